"""tgl segment without a checkpoint on real videos, and with models of real size.

The values of the weights are random; folders are saved and loaded as the published ones.
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
import torch
from PIL import Image
from tiny_detectors import save_detector
from tiny_selectors import save_answerer, save_selector
from tiny_world import TinyWorld
from transformers import (
    BertConfig,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessorPil,
    SwinConfig,
)

from schemas.layouts import OBJECTS_TABLE
from schemas.parquet import read_table
from schemas.tables import OBJECTS
from stages.core.media.ffmpeg import write_h264
from stages.core.model.backbones.families import build_backbone
from stages.core.model.backbones.presets import sam21_preset

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

ROOT = Path(__file__).resolve().parents[2]
VIDEOS = Path(os.environ.get("TGL_SHARED_DATA", ROOT.parent / "shared" / "data")) / "videos"
SENTENCE = "the left one jumps"
MOST_BYTES = 8e9
KIBIBYTE = 1024


def segment(source: Path, folder: Path, *options: object) -> tuple[int, str]:
    """Run the command in a process of its own.

    Returns:
        The peak of its resident memory in bytes, and what it printed.
    """
    outputs = ("-o", folder / "o.mp4", "--masks", folder / "masks", "--table", folder / "t.json")
    words = ("segment", source, SENTENCE, *outputs, "--device", "cpu", *options)
    with (folder / "said").open("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "tglcli", *map(str, words)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=said,
            stderr=said,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        printed = said.read()
    assert process.returncode == 0, printed
    return usage.ru_maxrss * KIBIBYTE, printed


def check(folder: Path, video: str) -> int:
    """The masks have the frames, sizes and object numbers that the tables say; the frames."""
    document = json.loads((folder / "t.json").read_text())
    size = document["width"], document["height"]
    names = [f"{name}.png" for name in document["frames"]]
    rows = read_table(folder / "masks" / OBJECTS_TABLE, OBJECTS).to_pylist()
    numbers = {row["number"] for row in rows}
    assert numbers == set(range(1, len(rows) + 1))
    masks = folder / "masks" / video / "0"
    assert sorted(path.name for path in masks.iterdir()) == names
    seen: set[int] = set()
    for name in names:
        with Image.open(masks / name) as image:
            assert (image.mode, image.size) == ("L", size)
            mask = np.asarray(image) > 0
        with Image.open(folder / "masks" / "ObjectMasks" / video / "0" / name) as image:
            assert (image.mode, image.size) == ("P", size)
            palette = np.asarray(image)
        assert ((palette > 0) == mask).all()
        seen |= set(np.unique(palette).tolist())
    assert seen - {0} <= numbers
    assert (folder / "o.mp4").stat().st_size > 0
    return len(names)


@pytest.mark.skipif(not VIDEOS.is_dir(), reason=f"needs real videos in {VIDEOS}")
@pytest.mark.parametrize(
    ("family", "judge"), [("grounding-dino", "clip"), ("owlv2", "llava"), ("owlv2", "none")]
)
@pytest.mark.parametrize("video", ["biker", "hummingbird"])
def test_a_real_video(
    tiny_world: TinyWorld, tmp_path: Path, video: str, family: str, judge: str
) -> None:
    detector = save_detector(family, tmp_path / "detector")
    saved: Path | str = judge
    if judge != "none":
        save = {"clip": save_selector, "llava": save_answerer}[judge]
        saved = save(judge, tmp_path / judge)
    models = ("--model", detector, "--tracker", tiny_world.tracker, "--judge", saved)
    _, printed = segment(VIDEOS / f"{video}.mp4", tmp_path, *models)
    if judge == "none":  # the best candidate of each sentence
        assert ", 1 object, " in printed
    assert f"{check(tmp_path, video)} frames -> " in printed


def test_models_of_real_size_fit(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Configurations of grounding-dino-tiny, sam2.1-hiera-tiny and clip-vit-base-patch32."""
    clip = tmp_path / "clip.mp4"
    noise = np.random.default_rng(0)
    frames = [noise.integers(0, 255, (480, 854, 3), np.uint8) for _ in range(10)]
    write_h264(clip, frames, (480, 854), 10, 20)
    torch.manual_seed(0)
    tracker = build_backbone(sam21_preset("tiny"))
    with torch.no_grad():  # it finds something everywhere
        tracker.sam.mask_decoder.pred_obj_score_head.proj_out.bias.add_(4.3)
    tracker.sam.save_pretrained(tmp_path / "tracker")
    _save_real_dino(tmp_path / "dino")
    save_selector("clip", tmp_path / "judge")  # its tokenizer
    CLIPModel(CLIPConfig()).save_pretrained(tmp_path / "judge")
    CLIPImageProcessorPil().save_pretrained(tmp_path / "judge")
    models = ("--model", tmp_path / "dino", "--tracker", tmp_path / "tracker")
    peak, _ = segment(clip, tmp_path, *models, "--judge", tmp_path / "judge", "--max-tracks", 2)
    record_property("peak bytes", peak)
    assert check(tmp_path, "clip") == len(frames)
    assert peak < MOST_BYTES


def _save_real_dino(folder: Path) -> None:
    save_detector("grounding-dino", folder)  # its tokenizer
    vision = SwinConfig(
        embed_dim=96,
        depths=[2, 2, 6, 2],
        num_heads=[3, 6, 12, 24],
        window_size=7,
        out_features=["stage2", "stage3", "stage4"],
    )
    config = GroundingDinoConfig(backbone_config=vision, text_config=BertConfig())
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    GroundingDinoImageProcessorPil().save_pretrained(folder)
