"""check decodes every mask that the propagation table lists, and counts its pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from schemas.layouts import PROPAGATION_TABLE, mask_path
from schemas.parquet import rows_of, write_table
from schemas.tables import PROPAGATION
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.media.mask_png import write_mask
from stages.tools.check.check import check
from stages.tools.check.config import CheckConfig
from stages.tools.check.findings import Report

FRAMES, FLIPS = 3, 50


def _check(path: Path) -> Report:
    runtime = Runtime(workers=1, device="cpu")
    return check(path, CheckConfig(), runtime=runtime, progress=SilentProgress())


@pytest.fixture
def preds(tmp_path: Path) -> Path:
    """Masks of two sentences with growing squares, and their table; no receipt."""
    root = tmp_path / "preds"
    rows = []
    for name in ("0", "1"):
        for frame in range(FRAMES):
            mask = np.zeros((12, 16), bool)
            mask[: frame + 1, : frame + 1] = True
            path = mask_path(root, "a", name, f"{frame:05d}")
            path.parent.mkdir(parents=True, exist_ok=True)
            write_mask(path, mask)
            rows.append(
                {
                    "video_id": "a",
                    "expression_id": name,
                    "frame": frame,
                    "route": "language",
                    "relevance": 1.0,
                    "object_score": 1.0,
                    "mask_area": int(mask.sum()),
                }
            )
    write_table(root / PROPAGATION_TABLE, rows_of(rows, PROPAGATION), PROPAGATION)
    return root


def test_sound_masks_have_no_faults_and_a_lack_of_receipt_is_noted(preds: Path) -> None:
    report = _check(preds)
    assert (report.kind, report.faults) == ("predictions", ())
    assert report.counts["masks"] == 2 * FRAMES
    assert "no receipt.json" in report.notes[0]


def test_every_flipped_bit_is_found(preds: Path) -> None:
    """Each round flips one bit of every mask: other bits each time, spread over the files."""
    whole = {path: path.read_bytes() for path in sorted(preds.rglob("*.png"))}
    assert len({*whole.values()}) == FRAMES
    for turn in range(FLIPS):
        for number, (path, content) in enumerate(whole.items()):
            bits = 8 * len(content)
            bit = (turn * bits // FLIPS + 3 * number) % bits
            spoilt = bytearray(content)
            spoilt[bit // 8] ^= 1 << bit % 8
            path.write_bytes(spoilt)
        assert {fault.where for fault in _check(preds).faults} == {str(path) for path in whole}


def test_a_link_that_leads_back_to_itself_is_a_fault_beside_others(preds: Path) -> None:
    loop, damaged = (mask_path(preds, "a", "0", f"0000{frame}") for frame in (0, 1))
    loop.unlink()
    loop.symlink_to(loop)
    damaged.write_bytes(b"")
    (preds / "stray").symlink_to(preds / "stray")
    assert {fault.where for fault in _check(preds).faults} == {str(loop), str(damaged)}


def test_masks_that_are_lost_or_another_are_named(preds: Path) -> None:
    lost, other = (mask_path(preds, "a", "0", f"0000{frame}") for frame in (0, 1))
    lost.unlink()
    other.write_bytes(mask_path(preds, "a", "0", "00002").read_bytes())
    assert [str(fault).removeprefix(f"{preds}/a/0/") for fault in _check(preds).faults] == [
        "00000.png: the mask is listed but missing",
        "00001.png: has 9 pixels, propagation.parquet says 4",
    ]


def test_a_frame_that_every_sentence_lost_is_named_by_its_number(preds: Path) -> None:
    for name in ("0", "1"):
        mask_path(preds, "a", name, "00001").unlink()
    where = {fault.where for fault in _check(preds).faults}
    assert where == {str(mask_path(preds, "a", name, "00001")) for name in ("0", "1")}
