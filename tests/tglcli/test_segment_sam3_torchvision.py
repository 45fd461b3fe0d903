"""tgl segment with SAM 3 for boxes and tracker, which are in one folder.

Runs in ``tests/test_torchvision.py``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torchvision_operators
from PIL import Image
from tiny_detectors import save_detector
from tiny_world import tgl

from schemas.documents import load_object
from stages.core.media.ffmpeg import write_h264

torchvision_operators.require()
sys.path.append(str(Path(__file__).parents[1] / "stages" / "core" / "model"))  # tiny_backbones
FRAMES, HEIGHT, WIDTH = 4, 48, 70
SENTENCES = ("the left one", "two that run")


@pytest.mark.parametrize("way", ["sentences", "box"])
def test_one_folder_finds_and_tracks(tmp_path: Path, way: str) -> None:
    model = save_detector("sam3", tmp_path / "sam3")
    random = np.random.default_rng(0)
    frames = [random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(FRAMES)]
    write_h264(tmp_path / "clip.mp4", frames, (HEIGHT, WIDTH), 5, 0)
    asked = {
        "sentences": [*SENTENCES, "--model", model, "--judge", "none"],
        "box": ["--box", "10,10,40,40@2"],
    }
    code, printed, said = tgl(
        *("segment", tmp_path / "clip.mp4", *asked[way], "--tracker", model, "--device", "cpu"),
        *("--work", tmp_path / "work"),
        *("-o", tmp_path / "o.png", "--masks", tmp_path / "masks", "--table", tmp_path / "t.json"),
    )
    assert code == 0, said
    assert f"{FRAMES} frames -> " in printed
    if way == "sentences":  # the tracker began from what the detector's encoder had made
        (counts,) = (
            receipt["counts"]
            for receipt in map(load_object, (tmp_path / "work").rglob("receipt.json"))
            if receipt["stage"] == "track"
        )
        assert counts["frames encoded by ground"] == FRAMES
        assert counts["frames encoded"] == 0
    document = json.loads((tmp_path / "t.json").read_text())
    assert [entry["sentence"] for entry in document["sentences"]] == (
        list(SENTENCES) if way == "sentences" else ["object 1"]
    )
    for number, entry in enumerate(document["sentences"]):
        paths = sorted((tmp_path / "masks" / "clip" / str(number)).iterdir())
        assert len(paths) == FRAMES
        for path, rle in zip(paths, entry["masks"], strict=True):
            with Image.open(path) as image:
                assert image.size == (WIDTH, HEIGHT)
                assert np.asarray(image).any() == (rle is not None)
