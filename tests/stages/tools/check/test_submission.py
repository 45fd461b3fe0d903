"""Submissions read back by `tgl check`: with the split's meta file, and by themselves."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from schemas.errors import MissingInput
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.tools.check.check import check
from stages.tools.check.config import CheckConfig
from stages.tools.check.findings import Report

FRAMES = ("00000", "00005")
EXPRESSIONS = {"a": ("0", "1"), "b": ("0",)}


def png(size: tuple[int, int] = (8, 12), value: int = 255, mode: str = "L") -> bytes:
    mask = np.zeros(size, np.uint8)
    mask[2:5, 3:7] = value
    file = io.BytesIO()
    Image.fromarray(mask).convert(mode).save(file, "PNG")
    return file.getvalue()


def entries(prefix: str = "") -> dict[str, bytes]:
    return {
        f"{prefix}{video}/{expression}/{frame}.png": png()
        for video, expressions in EXPRESSIONS.items()
        for expression in expressions
        for frame in FRAMES
    }


def checked(folder: Path, content: dict[str, bytes], meta: Path | None = None, **config) -> Report:
    path = folder / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return check(
        path,
        CheckConfig(**config),
        runtime=Runtime(workers=1, device="cpu"),
        progress=SilentProgress(),
        meta=meta,
    )


@pytest.fixture
def meta(tmp_path: Path) -> Path:
    """The split's meta file, with its frames beside it for video a."""
    path = tmp_path / "split" / "meta_expressions.json"
    path.parent.mkdir()
    videos = {
        video: {"frames": list(FRAMES), "expressions": {name: {"exp": "it"} for name in names}}
        for video, names in EXPRESSIONS.items()
    }
    path.write_text(json.dumps({"videos": videos}))
    return path


@pytest.mark.parametrize(("prefix", "server"), [("", "mevis"), ("Annotations/", "ref-youtube-vos")])
def test_the_layout_tells_the_server(tmp_path: Path, meta: Path, prefix: str, server: str) -> None:
    for known in (None, meta):
        report = checked(tmp_path, entries(prefix), known)
        assert (report.kind, report.faults) == (f"submission ({server})", ())
        assert report.counts == {"videos": 2, "expressions": 3, "masks": 6}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"a/1/00005.png": None}, "a/1/00005.png is missing"),
        ({"a/1/00005.png": png((9, 12))}, "a/1/00005.png is 12x9, the video 12x8"),
        ({"b/0/00000.png": png(value=7)}, "b/0/00000.png has 12 pixels that are neither 0"),
        ({"b/0/00000.png": png(mode="RGB")}, "b/0/00000.png has three channels"),
        ({"b/0/00000.png": b"GIF89a"}, "b/0/00000.png is not a PNG file"),
        ({"b/0/notes.txt": b"x"}, "b/0/notes.txt is not expected"),
        ({"readme.png": png()}, "readme.png is not expected"),
        ({"../x/0/00000.png": png()}, "outside the folder"),
    ],
)
def test_faults_that_a_zip_shows_by_itself(
    tmp_path: Path, meta: Path, change: dict[str, bytes | None], words: str
) -> None:
    content = {k: v for k, v in (entries() | change).items() if v is not None}
    for known in (None, meta):
        report = checked(tmp_path, content, known)
        assert len(report.faults) == 1, report.faults
        assert words in report.faults[0].message


def test_what_only_the_meta_file_shows(tmp_path: Path, meta: Path) -> None:
    content = {name: data for name, data in entries().items() if not name.startswith("b/")}
    assert checked(tmp_path, content).faults == ()
    report = checked(tmp_path, content, meta)
    assert [fault.message for fault in report.faults] == [
        f"b/0/{frame}.png is missing" for frame in FRAMES
    ]


def test_the_wrong_server_and_an_empty_zip(tmp_path: Path) -> None:
    report = checked(tmp_path, entries(), server="ref-youtube-vos")
    assert "has no mask at Annotations/VIDEO" in report.faults[0].message
    assert "has no mask at VIDEO" in checked(tmp_path, {}).faults[0].message


def test_videos_of_the_test_split_are_not_expected(tmp_path: Path, meta: Path) -> None:
    valid = tmp_path / "meta_expressions" / "valid" / "meta_expressions.json"
    test = tmp_path / "meta_expressions" / "test" / "meta_expressions.json"
    document = json.loads(meta.read_text())
    for path, videos in ((valid, document["videos"]), (test, {"b": document["videos"]["b"]})):
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"videos": videos}))
    content = {k: v for k, v in entries("Annotations/").items() if "/b/" not in k}
    assert checked(tmp_path, content, valid).faults == ()


def test_a_meta_file_that_is_not_there(tmp_path: Path) -> None:
    report = checked(tmp_path, entries(), tmp_path / "absent.json")
    assert "no such meta file" in report.faults[0].message


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="nothing to check"):
        check(tmp_path / "x.zip", CheckConfig(), runtime=Runtime(workers=1),
              progress=SilentProgress())  # fmt: skip
