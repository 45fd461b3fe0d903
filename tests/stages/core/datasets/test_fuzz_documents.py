"""Documents of data sets spoilt at random: a TglError or success, nothing written outside OUT.

A minute of each: TGL_FUZZ_EXAMPLES=3000 pytest tests/stages/core/datasets/test_fuzz_documents.py
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spoiling import QUICK, error_or_success, spoilt_bytes, spoilt_json

from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE
from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.tools.check.check import check
from stages.tools.check.config import CheckConfig

RUNTIME = Runtime(workers=1, device="cpu")


def _files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*")}


def _whole(path: Path) -> bytes:
    """What a file held before a test first spoilt it."""
    kept = path.with_suffix(".whole")
    if not kept.exists():
        kept.write_bytes(path.read_bytes())
    return kept.read_bytes()


def _survives(folder: Path, root: Path, *, split: str | None = None) -> None:
    """Check and build a data set; whatever comes of it, only `out` may hold something new."""
    before = _files(root)
    with error_or_success():
        report = check(folder, CheckConfig(split=split), runtime=RUNTIME, progress=SilentProgress())
        json.dumps(report.to_dict())
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        out = Path(scratch) / "index"
        with error_or_success():
            execute(STAGE, IndexConfig(split=split), IndexInputs(folder), out, runtime=RUNTIME,
                    progress=SilentProgress())  # fmt: skip
        assert all(name.startswith((".index.", "index")) for name in _files(Path(scratch)))
    assert _files(root) == before


@pytest.mark.parametrize("name", ["meta_expressions.json", "mask_dict.json", "moments.json"])
@QUICK
@given(data=st.data())
def test_documents_of_mevis(name: str, data: st.DataObject, mevis) -> None:
    split = mevis.write(frames=not mevis.root.exists())
    whole = json.loads((split / name).read_text())
    (split / name).write_text(data.draw(spoilt_json(whole)))
    _survives(split, split.parent.parent)


@pytest.mark.parametrize("name", ["meta_expressions.json", "mask_dict.json", "moments.json"])
@QUICK
@given(noise=st.binary(max_size=60))
def test_noise_for_documents(name: str, noise: bytes, mevis) -> None:
    split = mevis.write(frames=not mevis.root.exists())
    (split / name).write_bytes(noise)
    _survives(split, split.parent.parent)


@pytest.mark.parametrize("split", ["train", "valid"])
@QUICK
@given(data=st.data())
def test_sentences_of_ref_youtube_vos(split: str, data: st.DataObject, youtube: Path) -> None:
    path = youtube / "meta_expressions" / split / "meta_expressions.json"
    path.write_text(data.draw(spoilt_json(json.loads(_whole(path)))))
    _survives(youtube / split, youtube.parent)


@pytest.mark.parametrize(
    "name",
    ["davis_text_annotations/Davis17_annot1.txt", "davis_text_annotations/Davis17_annot2.txt",
     "DAVIS/ImageSets/2017/val.txt"],
)  # fmt: skip
@QUICK
@given(data=st.data())
def test_texts_of_ref_davis(name: str, data: st.DataObject, davis: Path) -> None:
    path = davis / name
    path.write_bytes(data.draw(spoilt_bytes(_whole(path))))
    _survives(davis, davis.parent, split="val")


@pytest.mark.parametrize(
    "name", ["expressions.csv", "Annotations/kitchen/img0.png", "JPEGImages/kitchen/img0.jpg"]
)
@QUICK
@given(data=st.data())
def test_files_of_a_plain_folder(name: str, data: st.DataObject, plain: Path) -> None:
    path = plain / name
    path.write_bytes(data.draw(spoilt_bytes(_whole(path))))
    _survives(plain, plain.parent)


@QUICK
@given(text=st.text(alphabet='a,;"\n\r 1/.x\x00é', max_size=60), head=st.booleans())
def test_sentences_of_a_plain_folder(text: str, head: bool, tmp_path: Path) -> None:
    split = tmp_path / "data" / "plain"
    (split / "JPEGImages" / "a").mkdir(parents=True, exist_ok=True)
    lead = "video_id,expression,object_ids\n" if head else ""
    (split / "expressions.csv").write_bytes((lead + text).encode())
    _survives(split, tmp_path)
