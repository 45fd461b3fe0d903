"""Plain pickles: what Python pickled comes back, and what asks for more is refused unrun."""

from __future__ import annotations

import builtins
import os
import pickle
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refcoco_mini import python2_pickle
from spoiling import QUICK, error_or_success, spoilt_bytes

from schemas.errors import CorruptInput, MissingInput
from stages.core.datasets.documents.plain_pickle import parse_plain_pickle, read_plain_pickle

PLAIN = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.text(max_size=4), st.integers()), inner, max_size=4),
    ),
    max_leaves=20,
)
REFS = [{"ann_id": 7, "split": "train", "sentences": [{"sent": "the man", "tokens": ["the"]}]}]


@QUICK
@given(value=PLAIN, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_what_python_3_pickled_comes_back(value: object, protocol: int) -> None:
    assert parse_plain_pickle(pickle.dumps(value, protocol), "x") == value


@QUICK
@given(value=PLAIN)
def test_what_python_2_pickled_comes_back(value: object) -> None:
    data = python2_pickle(value)
    assert pickle.loads(data) == value  # the miniature writes what Python reads
    assert parse_plain_pickle(data, "x") == value


def test_long_lists_texts_and_shared_parts_come_back() -> None:
    tokens = [f"word {n}" for n in range(3000)]
    value = [tokens, tokens, "x" * 70_000, 2**70, -(2**40), {n: str(n) for n in range(2000)}]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        found = parse_plain_pickle(pickle.dumps(value, protocol), "x")
        assert found == value
        assert found[0] is found[1]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (rb"S'caf\xc3\xa9 \'au\' \\ \n\t'" + b"\np1\n.", "café 'au' \\ \n\t"),
        (rb'S"it\'s \xe9"' + b"\n.", "it's é"),
        (b"\x80\x02U\x05caf\xc3\xa9q\x01.", "café"),
        (b"\x80\x02U\x04caf\xe9q\x01.", "café"),
        (b"\x80\x02T\x04\x00\x00\x00caf\xe9q\x01.", "café"),
        (b"Vcaf\xe9 \\u4e2d\n.", "café 中"),
    ],
)
def test_byte_strings_of_python_2_are_text(data: bytes, text: str) -> None:
    assert parse_plain_pickle(data, "x") == text


class Runs:
    """What a hostile pickle makes of itself: a call."""

    def __init__(self, call: Any, *args: Any):
        self._reduced = call, args

    def __reduce__(self) -> Any:
        return self._reduced


@dataclass
class Record:
    sentence: str = "the man"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Runs(os.system, "touch {mark}"), "system"),
        (Runs(builtins.eval, "open({mark!r}, 'w')"), "builtin"),
        (Runs(Path.touch, Path("{mark}")), ""),
        (Record(), ""),
        (Record, "Record"),
        (OrderedDict(a=1), ""),
        (pickle.dumps, ""),
        ({1, 2}, ""),
        (("a", "tuple"), "(TUPLE"),
        (complex(1, 2), "complex"),
        (bytearray(b"x"), ""),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_more_than_plain_data_is_refused(
    value: Any, words: str, protocol: int, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    if isinstance(value, Runs):
        call, args = value.__reduce__()
        value = Runs(call, *(type(a)(str(a).format(mark=mark)) for a in args))
    path = tmp_path / "refs(unc).p"
    path.write_bytes(pickle.dumps([*REFS, {"sentences": value}], protocol))
    with pytest.raises(CorruptInput) as caught:
        read_plain_pickle(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "nothing in it was run" in message
    assert "\n" not in message
    assert words in message
    assert not mark.exists()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "asks Python to load os.system"),
        (b"(S'true'\nios\nsystem\n.", "asks Python to load os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "asks Python to load os.system"),
        (b"\x80\x02\x82\x01.", "a registered extension"),
        (b"\x80\x02]]\x93.", "asks Python to load "),
        (b"Pmine\n.", "(PERSID)"),
        (b"(dNb.", "(BUILD)"),
        (b"\x80\x02}N\x81.", "(NEWOBJ)"),
        (b"\x80\x05\x97.", "(NEXT_BUFFER)"),
        (b"c" + b"a" * 100_000 + b"\x1b[31m\n\n.", "asks Python to load aaa"),
    ],
)
def test_instructions_written_by_hand_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(CorruptInput) as caught:
        parse_plain_pickle(data, "here")
    assert words in str(caught.value)
    assert len(str(caught.value)) < 300
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>moved</html>",
        b"\x80\x02",
        b"]",
        b"]].",
        b".",
        b"a.",
        b"e.",
        b"(.",
        b"g5\n.",
        b"gx\n.",
        b"]K\x01s.",
        b"}(K\x01u.",
        b"}]K\x01s.",
        b"K\x01K\x02a.",
        b"I12",
        b"Iabc\n.",
        b"S'x\n.",
        b"Sx\n.",
        rb"S'\q'" + b"\n.",
        b"X\xff\xff\xff\xffabc.",
        b"T\xff\xff\xff\xffabc.",
        b"\x8d" + b"\xff" * 8 + b".",
        b"\x8b\xff\xff\xff\x7f.",
        b"\x8b\xff\xff\xff\xff.",
        b"X\x01\x00\x00\x00\xff.",
        b"Vbad \\u12\n.",
        b"I" + b"9" * 5000 + b"\n.",
        b"](K\x0100a.",
    ],
)
def test_damaged_pickles(data: bytes) -> None:
    with pytest.raises(CorruptInput, match=r"cut off|not a sound pickle at byte \d+"):
        parse_plain_pickle(data, "here")


def test_numbers_in_a_pickle_reserve_no_memory() -> None:
    """Python's own reserves 32 GB for this memo, and fills it."""
    assert parse_plain_pickle(b"]p2000000000\n.", "x") == []
    assert parse_plain_pickle(b"\x80\x02]r\xff\xff\xff\xffj\xff\xff\xff\xff0.", "x") == []


def test_nesting_is_no_recursion() -> None:
    found = parse_plain_pickle(b"]" * 100_000 + b"a" * 99_999 + b".", "x")
    assert isinstance(found, list)


@QUICK
@given(data=st.data(), protocol=st.integers(-1, pickle.HIGHEST_PROTOCOL))
def test_spoilt_pickles(data: st.DataObject, protocol: int) -> None:
    whole = python2_pickle(REFS) if protocol < 0 else pickle.dumps(REFS, protocol)
    with error_or_success():
        parse_plain_pickle(data.draw(spoilt_bytes(whole)), "here")


def test_a_missing_pickle(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="no such refs; get them"):
        read_plain_pickle(tmp_path / "x.p", missing="no such refs", hint="get them")
