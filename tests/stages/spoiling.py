"""Strategies that spoil documents: in their structure, in their text, and byte by byte."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from schemas.errors import TglError

QUICK = settings(
    max_examples=int(os.environ.get("TGL_FUZZ_EXAMPLES", "20")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
FEW = settings(QUICK, max_examples=max(1, QUICK.max_examples // 4))
"""For tests whose examples take tenths of a second."""
WILD_TEXT = ("../x", "..", "", "a", "7", "\x00", "é", "\ud800", "a/b", "/etc", "con", "x" * 300)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 9),
    st.sampled_from([1e400, -1e300, 2**70, 2**31, -(2**63), 0.5, *WILD_TEXT]),
    st.lists(st.integers(-1, 7), max_size=3),
    st.lists(st.lists(st.integers(-1, 7), max_size=3), max_size=2),
    st.dictionaries(st.sampled_from(["exp", "7", "../y", "size"]), st.integers(), max_size=2),
)
SMALL_VALUES = VALUES.filter(lambda value: not (isinstance(value, int) and abs(value) > 2**20))
"""For models' configurations, where a number of layers is built before it can be compared."""
NAMES = st.sampled_from(["../../x", "..", "9", "", "a/b", "A", "\x00", "\ud800", "nul", "x" * 300])
DEEP = 60_000
# What no value that Python dumps would become, but what a file may hold.
RAW = st.sampled_from(
    [
        *("NaN", "-Infinity", "1e999", "-0", "9" * 5000, '"\\ud800"', '"\\u0000"', "tru", "'a'"),
        "[" * DEEP + "]" * DEEP,
        '{"a":' * DEEP + "1" + "}" * DEEP,
        "[" * DEEP,
    ]
)
_HOLE, _TWIN = "@hole@", "@twin@"


@contextmanager
def error_or_success() -> Iterator[None]:
    """What a test does in this context succeeds, or ends with an error of one line."""
    try:
        yield
    except TglError as error:
        assert "\n" not in str(error)  # noqa: PT017 (either way is right)


@st.composite
def spoilt(
    draw: st.DrawFn, document: Any, edits: int = 3, values: st.SearchStrategy = VALUES
) -> Any:
    """`document` with a few values replaced, members renamed or dropped, lists made longer."""
    copy = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, edits))):
        node, key = _place(draw, copy)
        if node is None:
            continue
        change = draw(st.sampled_from(["replace", "drop", "rename", "repeat"]))
        if change == "replace":
            node[key] = draw(values)
        elif change == "rename" and isinstance(node, dict):
            node[draw(NAMES)] = node.pop(key)
        elif change == "repeat" and isinstance(node, list):
            node.insert(key, node[key])
        else:
            del node[key]
    return copy


def _place(draw: st.DrawFn, document: Any) -> tuple[Any, Any]:
    """A container somewhere in `document` and a key in it; (None, None) where all is empty."""
    node = document
    while isinstance(node, dict | list) and node:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = draw(st.sampled_from(keys))
        inner = node[key]
        if not (isinstance(inner, dict | list) and inner and draw(st.integers(0, 3))):
            return node, key
        node = inner
    return None, None


@st.composite
def spoilt_json(draw: st.DrawFn, document: Any, values: st.SearchStrategy = VALUES) -> str:
    """The text of `document`, spoilt in structure, by a raw value, a key that stands twice, a
    byte order mark, or by being cut."""
    kind = draw(st.sampled_from(["structure", "structure", "raw", "twin", "cut", "mark"]))
    changed = draw(spoilt(document, values=values))
    if kind == "raw":
        node, key = _place(draw, changed)
        if node is not None:
            node[key] = _HOLE
        return json.dumps(changed).replace(f'"{_HOLE}"', draw(RAW))
    if kind == "twin":
        node, key = _place(draw, changed)
        if isinstance(node, dict):
            node[_TWIN] = draw(values)
            return json.dumps(changed).replace(f'"{_TWIN}"', json.dumps(key))
    text = json.dumps(changed)
    if kind == "cut":
        return text[: draw(st.integers(0, len(text)))]
    return "\ufeff" + text if kind == "mark" else text


NOISE = st.sampled_from(
    [b"-", b"9e9", b"1e999", b"\xff", b'"', b"'", b"[", b"\n", b"\r", b"<", b"&", b"NaN", b"\x00",
     b"..", b"../", b"9" * 40, b",", b":", b";", b"\xef\xbb\xbf", b"<!ENTITY a 'b'>", b"&#0;",
     b"\xed\xa0\x80", b" "]
)  # fmt: skip


@st.composite
def spoilt_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """`content` cut, or with a few bytes set, inserted, removed or moved."""
    found = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(found)))
        kind = draw(st.sampled_from(["cut", "set", "insert", "remove", "move"]))
        if kind == "cut":
            del found[place:]
        elif kind == "set":
            found[place : place + 1] = draw(NOISE)
        elif kind == "insert":
            found[place:place] = draw(NOISE)
        elif kind == "remove":
            del found[place : place + draw(st.integers(1, 40))]
        else:
            other = draw(st.integers(0, len(found)))
            found[other:other] = found[place : place + 20]
    return bytes(found)
