"""Text inputs spoilt at random: a TglError or success, never a traceback, nothing outside OUT.

A minute's worth of each: TGL_FUZZ_EXAMPLES=3000 pytest tests/stages/build_moments/test_fuzz.py
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.errors import TglError
from stages.build_moments.config import MOMENT_FORMATS, IndexConfig, IndexInputs
from stages.build_moments.formats.context import MomentContext, Timing, row
from stages.build_moments.formats.registry import FORMATS
from stages.build_moments.stage import STAGE
from stages.datasets.records import RawExpression
from stages.engine.execute import execute
from stages.engine.progress import SilentProgress
from stages.engine.runtime import Runtime

QUICK = settings(
    max_examples=int(os.environ.get("TGL_FUZZ_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 9),
    st.sampled_from([1e400, -1e300, 2**70, 0.5, "../x", "..", "", "a", "7", "\x00", "é", "\ud800"]),
    st.lists(st.integers(-1, 7), max_size=3),
    st.lists(st.lists(st.integers(-1, 7), max_size=3), max_size=2),
    st.dictionaries(st.sampled_from(["exp", "7", "../y", "size"]), st.integers(), max_size=2),
)


@st.composite
def spoilt(draw: st.DrawFn, document: Any, edits: int = 3) -> Any:
    """`document` with a few values replaced, members renamed or dropped."""
    copy = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, edits))):
        node = copy
        while isinstance(node, dict | list) and node:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            key = draw(st.sampled_from(keys))
            inner = node[key]
            if isinstance(inner, dict | list) and inner and draw(st.integers(0, 3)):
                node = inner
                continue
            change = draw(st.sampled_from(["replace", "drop", "rename"]))
            if change == "replace":
                node[key] = draw(VALUES)
            elif isinstance(node, dict) and change == "rename":
                node[draw(st.sampled_from(["../../x", "..", "9", "", "a/b", "A"]))] = node.pop(key)
            else:
                del node[key]
            break
    return copy


def _check_line(error: TglError) -> None:
    assert "\n" not in str(error)


def _files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*")}


def _survives(split: Path, **config: str) -> None:
    """Build the split; whatever comes of it, only `out` may hold something new."""
    root = split.parent.parent
    before = _files(root)
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        out = Path(scratch) / "index"
        runtime = Runtime(workers=1, device="cpu")
        try:
            execute(STAGE, IndexConfig(**config), IndexInputs(split), out, runtime=runtime,
                    progress=SilentProgress())  # fmt: skip
        except TglError as error:
            _check_line(error)
        assert all(name.startswith((".index.", "index")) for name in _files(Path(scratch)))
    assert _files(root) == before


@pytest.mark.parametrize("name", ["meta_expressions.json", "mask_dict.json", "moments.json"])
@QUICK
@given(data=st.data())
def test_documents_of_mevis(name: str, data: st.DataObject, mevis) -> None:
    split = mevis.root if mevis.root.exists() else mevis.write()
    whole = {
        "meta_expressions.json": mevis.meta,
        "mask_dict.json": mevis.masks,
        "moments.json": mevis.moments,
    }
    for other, document in whole.items():
        (split / other).write_text(json.dumps(document))
    changed = data.draw(spoilt(whole[name]))
    text = json.dumps(changed)
    if data.draw(st.integers(0, 5)) == 0:
        text = text[: data.draw(st.integers(0, len(text)))]
    (split / name).write_text(text)
    _survives(split)


@QUICK
@given(noise=st.binary(max_size=60))
def test_noise_for_documents(noise: bytes, mevis) -> None:
    split = mevis.root if mevis.root.exists() else mevis.write()
    (split / "moments.json").write_bytes(noise)
    _survives(split)


@QUICK
@given(text=st.text(alphabet='a,;"\n\r 1/.x\x00é', max_size=60), head=st.booleans())
def test_sentences_of_a_plain_folder(text: str, head: bool, tmp_path: Path) -> None:
    split = tmp_path / "data" / "plain"
    (split / "JPEGImages" / "a").mkdir(parents=True, exist_ok=True)
    lead = "video_id,expression,object_ids\n" if head else ""
    (split / "expressions.csv").write_bytes((lead + text).encode())
    _survives(split)


CONTEXT = MomentContext(
    (
        RawExpression("a", "0", "the cat", ("1",), ("7",)),
        RawExpression("a", "1", "a dog", (), ()),
    ),
    {"a": Timing(50, 25.0, 10, 10)},
)
SUFFIX = {"tgl": ".json", "label-studio": ".json", "cvat": ".xml", "elan": ".eaf",
          "qvhighlights": ".jsonl", "charades-sta": ".txt", "parquet": ".parquet"}  # fmt: skip


def _sound(name: str, folder: Path) -> bytes:
    """A sound file of a format."""
    path = folder / f"sound{SUFFIX.get(name, '.csv')}"
    rows = [row("a", "0", None, (0, 5)), row("a", "1", None, (10, 20))]
    FORMATS[name].write(path, rows, CONTEXT)
    if path.is_dir():
        path = next(path.iterdir())
    return path.read_bytes()


@pytest.mark.parametrize("name", MOMENT_FORMATS)
@QUICK
@given(data=st.data())
def test_moments_of_every_format(name: str, data: st.DataObject, tmp_path: Path) -> None:
    content = bytearray(_sound(name, tmp_path))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content)))
        kind = data.draw(st.sampled_from(["cut", "set", "insert", "remove"]))
        noise = data.draw(st.sampled_from([b"-", b"9e9", b"\xff", b'"', b"[", b"\n", b"<", b"NaN"]))
        if kind == "cut":
            del content[place:]
        elif kind == "set":
            content[place : place + 1] = noise
        elif kind == "insert":
            content[place:place] = noise
        else:
            del content[place : place + 3]
    path = tmp_path / f"moments{SUFFIX.get(name, '.csv')}"
    path.write_bytes(content)
    try:
        for found in FORMATS[name].read(path, CONTEXT):
            assert 0 <= found["start_frame"] < found["end_frame"]
    except TglError as error:
        _check_line(error)
