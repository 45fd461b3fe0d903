"""Writing submissions: layout, equal bytes, missing masks, and masks that a server would refuse."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from spoiling import QUICK, spoilt_json

from schemas.errors import ConfigError, CorruptInput, MissingInput, OutputBlocked, UnsafeName
from stages.core.engine.execute import Outcome
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.tools.submit.config import SubmitConfig, SubmitInputs
from stages.tools.submit.writing import FORMAT, write_submission

Write = Callable[..., Outcome]
FLIPS = 30
AFTER_IHDR = 33
"""Bytes of a PNG up to the end of its first chunk."""
UNPACKED_BYTES = 4_000_000
"""More than Pillow unpacks of a text or a colour profile."""


@pytest.fixture
def write(split, tmp_path: Path) -> Write:
    """Write `x.zip` from the split's inputs."""

    def run(
        config: SubmitConfig | None = None, inputs: SubmitInputs | None = None, **options
    ) -> Outcome:
        workers = options.pop("workers", 1)
        return write_submission(
            config or SubmitConfig(),
            inputs or split.inputs,
            options.pop("out", tmp_path / "x.zip"),
            runtime=Runtime(workers=workers, device="cpu"),
            progress=SilentProgress(),
            **options,
        )

    return run


def test_mevis_has_the_videos_at_the_root_in_the_order_of_the_meta(write: Write, split) -> None:
    outcome = write()
    assert outcome.counts["masks"] == 9
    with zipfile.ZipFile(outcome.path) as archive:
        assert archive.namelist() == split.paths()
        assert archive.read("b/1/00005.png") == split.mask("b/1/00005.png").read_bytes()
        assert archive.testzip() is None


def test_ref_youtube_vos_stands_below_annotations(write: Write, split) -> None:
    outcome = write(SubmitConfig(server="ref-youtube-vos"))
    with zipfile.ZipFile(outcome.path) as archive:
        assert archive.namelist() == [f"Annotations/{path}" for path in split.paths()]


def test_bytes_depend_on_no_clock_no_mode_and_no_order(write: Write, split, tmp_path) -> None:
    first = write().path.read_bytes()
    for path in reversed(split.paths()):
        file = split.mask(path)
        data = file.read_bytes()
        file.unlink()
        file.write_bytes(data)
        file.chmod(0o600)
        os.utime(file, (10**9, 10**9))
    again = write(out=tmp_path / "y.zip", workers=2).path.read_bytes()
    assert again == first


def test_second_run_skips_and_changes_write_again(write: Write, split) -> None:
    assert not write().skipped
    again = write()
    assert again.skipped
    assert again.counts["masks"] == 9
    assert not write(force=True).skipped
    assert not write(SubmitConfig(server="ref-youtube-vos")).skipped
    Image.new("L", (7, 9)).save(split.mask("a/0/00000.png"))
    assert not write(SubmitConfig(server="ref-youtube-vos")).skipped


def test_a_zip_that_was_cut_off_is_replaced_by_force_alone(write: Write) -> None:
    path = write().path
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(OutputBlocked, match=r"changed since tgl wrote it; .*--force"):
        write()
    assert path.read_bytes() == whole[:-100]
    assert not write(force=True).skipped
    assert path.read_bytes() == whole


def test_missing_masks_are_refused_with_the_first_and_the_total(write: Write, split) -> None:
    for path in split.paths()[:7]:
        split.mask(path).unlink()
    with pytest.raises(MissingInput) as caught:
        write()
    message = str(caught.value)
    assert "7 of 9 masks are missing: b/0/00000.png; " in message
    assert "and 2 more" in message
    assert "--missing black" in message
    assert not (split.root / "x.zip").exists()


def test_black_masks_fill_gaps_only_when_asked(write: Write, split) -> None:
    split.mask("b/0/00005.png").unlink()
    shutil.rmtree(split.root / "preds" / "a")
    outcome = write(SubmitConfig(missing="black"))
    assert outcome.counts["black masks for missing ones"] == 4
    with zipfile.ZipFile(outcome.path) as archive:
        assert archive.namelist() == split.paths()
        for name, size in {"b/0/00005.png": (20, 12), "a/0/00010.png": (7, 9)}.items():
            with archive.open(name) as file, Image.open(file) as image:
                assert (image.mode, image.size) == ("L", size)
                assert image.getextrema() == (0, 0)


def test_black_masks_need_a_size(write: Write, split) -> None:
    shutil.rmtree(split.root / "valid" / "JPEGImages")
    split.mask("b/0/00005.png").unlink()
    with zipfile.ZipFile(write(SubmitConfig(missing="black")).path) as archive:
        assert len(archive.namelist()) == 9
    shutil.rmtree(split.root / "preds" / "a")
    with pytest.raises(
        MissingInput, match=r"all masks of 1 video are missing, .*: a; name the split's"
    ):
        write(SubmitConfig(missing="black"))


def test_predictions_of_something_else_are_not_written_black(write: Write, split) -> None:
    for video in ("a", "b"):
        (split.root / "preds" / video).rename(split.root / "preds" / f"other-{video}")
    for missing in ("black", "refuse"):
        with pytest.raises(MissingInput, match=r"no mask here matches the meta file, .*2 videos"):
            write(SubmitConfig(missing=missing))


def save(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda p: save(p, np.zeros((9, 8), np.uint8)), "is 8x9, the video 7x9"),
        (lambda p: save(p, np.zeros((9, 7, 3), np.uint8)), "has three channels"),
        (lambda p: save(p, np.zeros((9, 7), bool)), "has one bit"),
        (lambda p: Image.new("P", (7, 9)).save(p), "has a palette"),
        (
            lambda p: save(p, np.ones((9, 7), np.uint8)),
            "has 63 pixels that are neither 0 nor 255",
        ),
        (lambda p: save(p, np.zeros((9, 7), np.uint16)), "has mode I;16"),
        (lambda p: p.write_bytes(p.read_bytes()[:-30]), "is a truncated PNG file"),
        (lambda p: p.write_bytes(b"text"), "is not a PNG"),
        (lambda p: p.write_bytes(b""), "is not a PNG"),
        (lambda p: Image.new("L", (7, 9)).save(p, "JPEG"), "is not a PNG"),
        (lambda p: (p.unlink(), p.mkdir()), "cannot be read"),
    ],
)
def test_what_a_server_would_refuse_is_named(write: Write, split, damage, reason: str) -> None:
    damage(split.mask("a/0/00005.png"))
    with pytest.raises(CorruptInput) as caught:
        write()
    assert f"1 mask that the server would refuse: a/0/00005.png {reason}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_flipped_bit_of_a_mask_is_refused(write: Write, split) -> None:
    draw, path = random.Random(0), split.mask("a/0/00005.png")
    whole = path.read_bytes()
    for _ in range(FLIPS):
        place = draw.randrange(8 * len(whole))
        spoilt = bytearray(whole)
        spoilt[place // 8] ^= 1 << place % 8
        path.write_bytes(spoilt)
        with pytest.raises(CorruptInput, match=r"1 mask .*: a/0/00005\.png"):
            write()


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_what_unpacks_to_more_than_a_mask_is_never_unpacked(
    write: Write, split, kind: bytes
) -> None:
    path = split.mask("a/0/00005.png")
    whole = path.read_bytes()
    content = kind + b"name\0\0" + zlib.compress(bytes(UNPACKED_BYTES))
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    path.write_bytes(whole[:AFTER_IHDR] + chunk + whole[AFTER_IHDR:])
    assert write().counts["masks"] == 9


def test_without_frames_the_masks_of_a_video_must_agree(write: Write, split) -> None:
    shutil.rmtree(split.root / "valid" / "JPEGImages")
    assert write().counts["videos whose size is not known from frames"] == 2
    save(split.mask("b/1/00010.png"), np.zeros((5, 5), np.uint8))
    with pytest.raises(CorruptInput, match=r"b/1/00010\.png is 5x5, the video 20x12"):
        write()


def test_what_nobody_expects_is_left_out_and_counted(write: Write, split) -> None:
    (split.root / "preds" / "propagation.parquet").write_bytes(b"")
    shutil.copytree(split.root / "preds" / "a", split.root / "preds" / "c")
    shutil.copytree(split.root / "preds" / "a" / "0", split.root / "preds" / "a" / "9")
    counts = write().counts
    assert counts["unexpected files left out"] == 3
    assert counts["unexpected folders left out"] == 1
    assert counts["masks"] == 9


def test_videos_of_the_excluded_meta_file_are_not_expected(write: Write, split) -> None:
    test = split.root / "test.json"
    test.write_text(json.dumps({"videos": {"a": {}, "zzz": {}}}))
    shutil.rmtree(split.root / "preds" / "a")
    outcome = write(inputs=replace(split.inputs, exclude=test))
    assert outcome.counts["videos"] == 1
    assert outcome.counts["masks"] == 6


def test_frames_may_lie_elsewhere(write: Write, split) -> None:
    (split.root / "valid" / "JPEGImages").rename(split.root / "pictures")
    inputs = replace(split.inputs, frames=split.root / "pictures")
    assert write(inputs=inputs).counts["videos whose size is not known from frames"] == 0
    shutil.rmtree(split.root / "pictures" / "a")
    with pytest.raises(MissingInput, match=r"a/00000\.jpg: the frame is missing"):
        write(inputs=inputs)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("{", CorruptInput, "is not readable JSON"),
        ("[]", CorruptInput, "a JSON object is needed, found list"),
        ('{"videos": {}}', CorruptInput, "expects no masks at all"),
        ('{"videos": {"a": 3}}', CorruptInput, "video a: a JSON object is needed"),
        ('{"videos": {"a": {"expressions": {}}}}', CorruptInput, "has no list of frames"),
        (
            '{"videos": {"a": {"frames": ["0"]}}}',
            CorruptInput,
            "expressions of video a: a JSON object is needed",
        ),
        ('{"videos": {"a": {"frames": [0, "0"], "expressions": {}}}}', CorruptInput, "frame twice"),
        ('{"videos": {"a/b": {"frames": ["0"]}}}', UnsafeName, "path separator"),
        (
            '{"videos": {"a": {"frames": ["0"], "expressions": {"../../x": {}}}}}',
            UnsafeName,
            "begins or ends with a dot",
        ),
        (
            '{"videos": {"a": {"frames": ["/etc/x"], "expressions": {"0": {}}}}}',
            UnsafeName,
            "path separator",
        ),
    ],
)
def test_damaged_meta_files_are_one_line(write: Write, split, text, error, message) -> None:
    split.inputs.meta.write_text(text)
    with pytest.raises(error, match=message) as caught:
        write()
    assert "\n" not in str(caught.value)


def test_foreign_files_are_never_overwritten(write: Write, split) -> None:
    path = split.root / "x.zip"
    for content in (b"precious", b""):
        path.write_bytes(content)
        with pytest.raises(OutputBlocked, match="was not written by tgl"):
            write()
        assert path.read_bytes() == content
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(OutputBlocked, match="was not written by tgl"):
        write()
    assert not write(force=True).skipped
    (split.root / "folder.zip").mkdir()
    with pytest.raises(OutputBlocked, match="is a folder"):
        write(out=split.root / "folder.zip", force=True)


@given(data=st.data())
@QUICK
def test_a_spoilt_receipt_of_a_zip_makes_it_new(write: Write, split, data: st.DataObject) -> None:
    path = write(force=True).path
    whole = path.read_bytes()
    with zipfile.ZipFile(path, "a") as archive:
        receipt = json.loads(archive.comment.removeprefix(FORMAT))
        comment = data.draw(spoilt_json(receipt) | st.text(max_size=20))
        archive.comment = FORMAT + comment.encode("utf-8", "surrogatepass")[:60_000]
    try:
        assert write().skipped or path.read_bytes() == whole
    except OutputBlocked:  # nobody can tell any more that tgl wrote it
        write(force=True)
        assert path.read_bytes() == whole


def test_a_full_disk_leaves_the_old_zip(write: Write, split, monkeypatch) -> None:
    path = write().path
    old = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(OutputBlocked, match="the disk is full"):
        write(SubmitConfig(server="ref-youtube-vos"))
    assert path.read_bytes() == old
    assert not list(split.root.glob(".partial-*"))


def test_unknown_servers_are_refused() -> None:
    with pytest.raises(ConfigError, match="'codalab' is not one of"):
        SubmitConfig(server="codalab")
