"""Checking submissions: each kind of fault is found, and nothing is unpacked to disk."""

from __future__ import annotations

import shutil
import stat
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.errors import CorruptInput, MissingInput
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.submissions import checking
from stages.core.submissions.checking import check_submission
from stages.tools.submit.config import SubmitConfig
from stages.tools.submit.writing import write_submission

Check = Callable[..., list[str]]


@pytest.fixture
def good(split) -> Path:
    """A zip without faults."""
    runtime = Runtime(workers=1, device="cpu")
    progress = SilentProgress()
    out = split.root / "x.zip"
    write_submission(SubmitConfig(), split.inputs, out, runtime=runtime, progress=progress)
    return out


@pytest.fixture
def check(split, good: Path) -> Check:
    """Change the entries (name, info, bytes) of the good zip, then check it."""

    def run(change: Callable[[dict[str, bytes]], None] = lambda _: None, **options) -> list[str]:
        with zipfile.ZipFile(good) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        change(entries)
        with zipfile.ZipFile(good, "w") as archive:
            for name, data in entries.items():
                info = zipfile.ZipInfo("placeholder")
                info.filename = name
                archive.writestr(info, data)
        inputs = split.inputs
        settings = {"server": "mevis", "frames_dir": inputs.frames_dir} | options
        return check_submission(good, inputs.meta, **settings)

    return run


def test_what_we_write_has_no_faults(split, good: Path) -> None:
    inputs = split.inputs
    assert check_submission(good, inputs.meta, server="mevis", frames_dir=inputs.frames_dir) == []
    assert check_submission(good, inputs.meta, server="mevis") == []


def test_every_fault_is_listed(check: Check, split) -> None:
    def change(entries: dict[str, bytes]) -> None:
        del entries["a/0/00000.png"], entries["b/1/00010.png"]
        entries["b/0/00000.png"] = b"text"
        entries["b/0/00005.png"] = split.mask("a/0/00000.png").read_bytes()
        entries["notes.txt"] = b""

    assert check(change) == [
        "notes.txt is not expected",
        "b/0/00000.png is not a PNG file",
        "b/0/00005.png is 7x9, the video 20x12",
        "b/1/00010.png is missing",
        "a/0/00000.png is missing",
    ]


def test_a_folder_too_much_is_explained(check: Check) -> None:
    def nest(entries: dict[str, bytes]) -> None:
        for name in list(entries):
            entries[f"preds/{name}"] = entries.pop(name)

    faults = check(nest)
    assert "the video folders belong at the root of the zip, found preds/b/0/00000.png" in faults[0]
    assert len(faults) == 1 + 9 + 9
    faults = check(server="ref-youtube-vos")
    assert "the video folders belong in Annotations/" in faults[0]


@pytest.mark.parametrize("name", ["../a.png", "/etc/passwd", "c:/x", "a\\..\\x", "a/../../b"])
def test_names_that_lead_out_are_faults(check: Check, name: str, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    faults = check(lambda entries: entries.update({name: b""}))
    assert faults == [f"{name!r} would be unpacked outside the folder"]
    assert sorted(tmp_path.rglob("*")) == before


def test_names_with_control_characters_are_shown_escaped(check: Check) -> None:
    faults = check(lambda entries: entries.update({"a\n\x1b[31m.png": b""}))
    assert faults == [r"'a\n\x1b[31m.png' is not expected"]


def test_links_twins_and_folders(check: Check, split, good: Path) -> None:
    with zipfile.ZipFile(good, "a") as archive:
        link = zipfile.ZipInfo("b/0/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.mkdir("b/0")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a/0/00000.png", b"")
    assert check_submission(good, split.inputs.meta, server="mevis") == [
        "'b/0/link' is a symbolic link",
        "'a/0/00000.png' is in the zip twice",
    ]


def test_a_mask_that_unpacks_to_gigabytes_is_not_read(check: Check, monkeypatch) -> None:
    monkeypatch.setattr(checking, "LARGEST_FILE_BYTES", 1000)
    faults = check(lambda entries: entries.update({"a/0/00000.png": b"\0" * 1001}))
    assert faults == ["a/0/00000.png unpacks to 1001 bytes, far more than a mask has"]


def test_a_flipped_byte_is_found(split, good: Path) -> None:
    data = bytearray(good.read_bytes())
    data[data.index(b"IDAT") + 8] ^= 0xFF
    good.write_bytes(data)
    faults = check_submission(good, split.inputs.meta, server="mevis")
    assert len(faults) == 1
    assert faults[0].startswith("b/0/00000.png cannot be unpacked (Bad CRC-32")


def test_damaged_and_missing_zips_are_errors(split, good: Path) -> None:
    good.write_bytes(good.read_bytes()[:200])
    with pytest.raises(CorruptInput, match=r"x\.zip: is not a complete zip"):
        check_submission(good, split.inputs.meta, server="mevis")
    with pytest.raises(MissingInput, match="no such file"):
        check_submission(split.root / "y.zip", split.inputs.meta, server="mevis")


@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_damage_anywhere_is_a_fault_or_one_line(split, good: Path, data: st.DataObject) -> None:
    if not (split.root / "whole").exists():
        shutil.copy(good, split.root / "whole")
    damaged = bytearray((split.root / "whole").read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        # Most of what breaks a zip stands at its end, in the directory.
        place = data.draw(
            st.integers(0, len(damaged) - 1) | st.integers(len(damaged) - 900, len(damaged) - 1)
        )
        damaged[place] = data.draw(st.integers(0, 255))
    good.write_bytes(damaged)
    with suppress(CorruptInput):
        faults = check_submission(good, split.inputs.meta, server="mevis")
        assert not any("\n" in fault for fault in faults)
