"""A miniature index, its texts and a tiny random checkpoint, written by the real code."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from schemas.layouts import (
    EXPRESSIONS_TABLE,
    MASKS_TABLE,
    MOMENTS_TABLE,
    TEXTS_TABLE,
    VIDEOS_TABLE,
)
from schemas.parquet import rows_of, write_table
from schemas.tables import EXPRESSIONS, MASKS, MOMENTS, TEXTS, VIDEOS
from stages.core.model.backbones.families import build_backbone
from stages.core.model.backbones.presets import toy_preset
from stages.core.model.checkpoint import save_checkpoint
from stages.core.model.config import ModelConfig
from stages.core.model.tgl import TglModel
from stages.propagate.config import PropagateInputs

sys.path.insert(0, str(Path(__file__).parent))  # workers import jobs of the tests

HEIGHT, WIDTH = 50, 70
TEXT_DIM = 8
LENGTHS = {"a": 11, "b": 5, "c": 1}
MOMENTS_OF = {
    ("a", "0"): [(2, 5), (8, 10)],
    ("a", "1"): [(0, 11)],
    ("b", "0"): [(1, 2)],
    ("c", "x y"): [(0, 1)],
}
SENTENCES = {
    ("a", "0"): "the ball that jumps",
    ("a", "1"): "the ball",
    ("a", "2"): "the cube that is not there",
    ("b", "0"): "the ball that jumps",
    ("c", "x y"): "the ball",
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@dataclass(frozen=True)
class World:
    """Paths of everything that the stage reads, and what stands in it."""

    root: Path
    size = (HEIGHT, WIDTH)
    lengths = LENGTHS
    sentences = SENTENCES
    moments = MOMENTS_OF

    @property
    def inputs(self) -> PropagateInputs:
        return PropagateInputs(self.root / "index", self.root / "text", self.root / "checkpoint")

    def frame(self, video: str, frame: int) -> Path:
        return self.root / "frames" / video / f"{frame:05d}.jpg"

    def write_moments(self, path: Path, rows: list[tuple[str, str, int, int]]) -> Path:
        """A moments table of (video, expression, start, end) rows."""
        names = ("video_id", "expression_id", "start_frame", "end_frame")
        records = [dict(zip(names, row, strict=True)) | {"source": "test"} for row in rows]
        write_table(path, rows_of(records, MOMENTS), MOMENTS)
        return path

    def write_texts(self, folder: Path, dim: int) -> None:
        """All sentences with random vectors."""
        write_texts(folder, dim)


@pytest.fixture(scope="session")
def made_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    write_frames(root / "frames")
    write_index(root / "index")
    write_texts(root / "text", TEXT_DIM)
    write_checkpoint(root / "checkpoint")
    return root


@pytest.fixture
def world(made_world: Path) -> World:
    """To be read only."""
    return World(made_world)


@pytest.fixture
def own_world(made_world: Path, tmp_path: Path) -> World:
    """To be damaged."""
    return World(Path(shutil.copytree(made_world, tmp_path / "world")))


def write_frames(folder: Path) -> None:
    generator = np.random.default_rng(0)
    for video, frames in LENGTHS.items():
        (folder / video).mkdir(parents=True)
        noise = generator.integers(0, 120, (HEIGHT, WIDTH, 3), np.uint8)
        for frame in range(frames):
            picture = noise.copy()
            picture[15:35, 4 * frame : 4 * frame + 20] = (250, 200, 30)
            Image.fromarray(picture).save(folder / video / f"{frame:05d}.jpg", quality=95)


def write_index(folder: Path) -> None:
    folder.mkdir()
    videos = [
        {
            "video_id": video,
            "num_frames": frames,
            "height": HEIGHT,
            "width": WIDTH,
            "fps": None,
            "frame_names": [f"{frame:05d}" for frame in range(frames)],
            "frame_suffix": ".jpg",
            "frames_dir": f"../frames/{video}",
        }
        for video, frames in LENGTHS.items()
    ]
    expressions = [
        {
            "video_id": video,
            "expression_id": name,
            "expression": text,
            "object_ids": ["1"] if (video, name) in MOMENTS_OF else [],
            "anno_ids": [f"{video}1"] if (video, name) in MOMENTS_OF else [],
        }
        for (video, name), text in SENTENCES.items()
    ]
    moments = [
        {
            "video_id": video,
            "expression_id": name,
            "anno_id": f"{video}1",
            "start_frame": start,
            "end_frame": end,
            "source": "annotated",
        }
        for (video, name), spans in MOMENTS_OF.items()
        for start, end in spans
    ]
    write_table(folder / VIDEOS_TABLE, rows_of(videos, VIDEOS), VIDEOS)
    write_table(folder / EXPRESSIONS_TABLE, rows_of(expressions, EXPRESSIONS), EXPRESSIONS)
    write_table(folder / MOMENTS_TABLE, rows_of(moments, MOMENTS), MOMENTS)
    write_table(folder / MASKS_TABLE, rows_of([], MASKS), MASKS)


def write_texts(folder: Path, dim: int) -> None:
    folder.mkdir()
    generator = np.random.default_rng(1)
    rows = []
    for number, sentence in enumerate(sorted(set(SENTENCES.values()))):
        words = sentence.split()
        vectors = generator.normal(size=(len(words), dim)).astype(np.float16)
        rows.append(
            {
                "text_id": str(number),
                "expression": sentence,
                "tokens": words,
                "embeddings": vectors.ravel(),
                "dim": dim,
                "pooled": vectors.mean(0),
                "motion": [word == "jumps" for word in words],
            }
        )
    write_table(folder / TEXTS_TABLE, rows_of(rows, TEXTS), TEXTS)


def write_checkpoint(folder: Path) -> None:
    torch.manual_seed(0)
    backbone = build_backbone(toy_preset(64))
    add_noise(backbone, seed=1)
    config = ModelConfig(adapter_width=16, adapter_heads=2, temporal_radius=2, relevance_radius=3)
    model = TglModel(config, backbone, TEXT_DIM)
    add_noise(model.adapter, seed=2)
    with torch.no_grad():
        # Random relevance is near one half everywhere, and random objects are barely visible.
        model.adapter.relevance_head[3].weight.mul_(4)
        model.adapter.relevance_head[3].bias.sub_(0.8)
        head = model.backbone.sam.mask_decoder.pred_obj_score_head
        head.proj_out.weight.mul_(20)
        head.proj_out.bias.add_(-0.9)
    save_checkpoint(folder, model, encoder="random")


def add_noise(module: torch.nn.Module, seed: int) -> None:
    """Move every parameter away from its neutral start."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
