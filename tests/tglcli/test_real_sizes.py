"""Models of real size with random weights at 1024 px: one step and two frames, within 12 GB.

Folders are saved and loaded as those of the published weights; only the values differ.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco
from real_models import save_roberta, save_sam2

from schemas.layouts import HISTORY_TABLE
from schemas.parquet import read_table
from schemas.tables import HISTORY, PROPAGATION

pytestmark = pytest.mark.slow

MOST_BYTES = 12e9
KIBIBYTE = 1024
HEIGHT, WIDTH, FRAMES = 360, 640, 2
SENTENCE = "the square that moves right"


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MeViS split of one video with two frames and one sentence, relevant in the first."""
    root = tmp_path_factory.mktemp("mevis") / "train"
    names = [f"{frame:05d}" for frame in range(FRAMES)]
    masks = []
    (root / "JPEGImages" / "v").mkdir(parents=True)
    for frame, name in enumerate(names):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[100:200, 100 + 40 * frame : 220 + 40 * frame] = 1
        Image.fromarray(mask * 200).save(root / "JPEGImages" / "v" / f"{name}.jpg")
        packed = coco.encode(np.asfortranarray(mask))
        masks.append({"size": [HEIGHT, WIDTH], "counts": packed["counts"].decode()})
    expression = {"exp": SENTENCE, "obj_id": [0], "anno_id": [1]}
    videos = {"v": {"vid_id": 0, "frames": names, "expressions": {"0": expression}}}
    (root / "meta_expressions.json").write_text(json.dumps({"videos": videos}))
    (root / "mask_dict.json").write_text(json.dumps({"1": masks}))
    moments = {
        "format": "tgl-moments",
        "version": 1,
        "frame_unit": "index",
        "videos": {"v": {"fps": None, "expressions": {"0": {"moments": {"1": [[0, 1]]}}}}},
    }
    (root / "moments.json").write_text(json.dumps(moments))
    return root


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_roberta(tmp_path_factory.mktemp("roberta-base"), [SENTENCE])


def tgl(*words: object) -> int:
    """Run a command; the peak of its resident memory in bytes."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tglcli", *map(str, words), "--quiet"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss * KIBIBYTE


@pytest.mark.parametrize("size", ["tiny", "base-plus"])
def test_a_step_and_two_frames_fit(
    size: str,
    split: Path,
    roberta: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    backbone = save_sam2(tmp_path / f"sam2.1-{size}", size)
    index, text = tmp_path / "index", tmp_path / "text"
    checkpoint, masks = tmp_path / "checkpoint", tmp_path / "masks"
    tgl("build-moments", split, index)
    encoding = tgl("precompute-text", index, text, "--encoder", roberta, "--device", "cpu")
    clip = (
        "--steps",
        1,
        "--track-steps",
        0,
        "--batch",
        1,
        "--clip-frames",
        2,
        "--relevant-frames",
        1,
    )
    cpu = ("--device", "cpu", "--workers", 1)
    training = tgl("train", index, text, checkpoint, "--backbone", backbone, *clip, *cpu)
    running = tgl("propagate", index, text, checkpoint, masks, "--moments", "annotated", *cpu)
    peaks = {"text": encoding, "train": training, "propagate": running}
    record_property(f"peak bytes, {size}", peaks)
    assert max(peaks.values()) < MOST_BYTES, peaks
    history = read_table(checkpoint / HISTORY_TABLE, HISTORY).to_pylist()
    losses = [row["value"] for row in history if row["name"] == "loss"]
    assert len(losses) == 1
    assert np.isfinite(losses).all()
    routes = read_table(masks / "propagation.parquet", PROPAGATION).column("route").to_pylist()
    assert routes == ["language", "propagated"]
    for frame in range(FRAMES):
        with Image.open(masks / "v" / "0" / f"{frame:05d}.png") as picture:
            assert picture.size == (WIDTH, HEIGHT)
