"""A miniature index with three referents a video, and its texts, written table by table."""

from __future__ import annotations

import multiprocessing
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from schemas.directories import list_folder
from schemas.layouts import (
    EXPRESSIONS_TABLE,
    MASKS_TABLE,
    MOMENTS_TABLE,
    TEXTS_TABLE,
    VIDEOS_TABLE,
)
from schemas.parquet import rows_of, write_table
from schemas.receipts import Receipt, write_receipt
from schemas.tables import EXPRESSIONS, MASKS, MOMENTS, TEXTS, VIDEOS
from stages.core.engine.progress import SilentProgress
from stages.core.media.rle import encode
from stages.core.model.backbones.families import load_backbone
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.config import ModelConfig
from stages.core.model.tgl import TglModel
from stages.train.config import TrainConfig

SIZE = 64
FRAMES = 10
WIDTH = 16
VIDEO_IDS = ("one", "two")
SPANS = {"a": [(1, 4)], "b": [(6, 8)], "c": [(2, 3), (9, 10)]}
"""Moments of the three referents of the sentence 0 of each video."""
SENTENCES = {
    "0": ("the squares moving left", ("a", "b", "c")),
    "1": ("the square moving right", ("a",)),
    "2": ("the red square sitting", ()),
    "3": ("a square", ("b",)),
}


class Interrupting(SilentProgress):
    """Presses Ctrl-C after a number of steps."""

    def __init__(self, after: int):
        super().__init__()
        self.left = after

    @contextmanager
    def task(self, name: str, total: int | None, unit: str) -> Iterator[Interrupting]:
        yield self

    def advance(self, n: int = 1, **figures: float | str) -> None:
        self.left -= n
        if self.left <= 0:
            raise KeyboardInterrupt


def loaded_model(backbone: Path) -> TglModel:
    """A model on the backbone of a folder."""
    return TglModel(ModelConfig(), load_backbone(backbone), WIDTH).eval()


class CountingEncoder:
    """The model's encoder, with a count of the frames that it was shown."""

    def __init__(self, model: TglModel):
        self.model = model
        self.frames = 0

    def __call__(self, frames: Tensor) -> FrameFeatures:
        self.frames += len(frames)
        return self.model.encode_frames(frames)


def children_end(seconds: float = 20.0) -> bool:
    """Whether all child processes end by themselves; a loaded machine needs a moment."""
    end = time.monotonic() + seconds
    while multiprocessing.active_children() and time.monotonic() < end:
        time.sleep(0.05)
    return not multiprocessing.active_children()


def small(**changes: object) -> TrainConfig:
    """Few steps of few small clips."""
    few: dict[str, object] = {
        "steps": 4,
        "track_steps": 0,
        "batch": 2,
        "clip_frames": 4,
        "relevant_frames": 2,
        "max_stride": 2,
        "warmup": 1,
        "relevance_context": 0,
        "lr": 1e-3,
        "lr_new": 1e-3,
        "adapter_width": 16,
        "adapter_layers": 1,
        "adapter_heads": 2,
    }
    return TrainConfig(**(few | changes))


def write_index(
    folder: Path, *, spans: dict[str, list[tuple[int, int]]] | None = None, frames: int = FRAMES
) -> None:
    """Two videos of three squares each, as build-moments would write them.

    With fewer frames, their background is another, and nobody annotated moments.
    """
    folder.mkdir(parents=True)
    videos = [_video(video, frames) for video in VIDEO_IDS]
    write_table(folder / VIDEOS_TABLE, rows_of(videos, VIDEOS), VIDEOS)
    expressions, moments, masks = [], [], []
    for number, video in enumerate(VIDEO_IDS, start=0 if frames == FRAMES else len(VIDEO_IDS)):
        _write_frames(folder / "frames" / video, number, frames)
        for name, (text, annos) in SENTENCES.items():
            ids = [f"{video}-{anno}" for anno in annos]
            expressions.append(
                {
                    "video_id": video,
                    "expression_id": name,
                    "expression": text,
                    "object_ids": ids,
                    "anno_ids": ids,
                }
            )
            if name != "3" and frames == FRAMES:  # nobody annotated the moment of sentence 3
                moments += _moments(video, name, annos, SPANS if spans is None else spans)
        for place, anno in enumerate("abc"):
            masks += [_mask(f"{video}-{anno}", place, frame) for frame in range(frames)]
    write_table(folder / EXPRESSIONS_TABLE, rows_of(expressions, EXPRESSIONS), EXPRESSIONS)
    write_table(folder / MOMENTS_TABLE, rows_of(moments, MOMENTS), MOMENTS)
    write_table(folder / MASKS_TABLE, rows_of(masks, MASKS), MASKS)


def write_texts(folder: Path, sentences: list[str], *, width: int = WIDTH) -> None:
    """Random vectors for each sentence's words."""
    folder.mkdir(parents=True)
    rows = []
    for number, sentence in enumerate(sentences):
        rng = np.random.default_rng(number)
        words = sentence.split()
        rows.append(
            {
                "text_id": str(number),
                "expression": sentence,
                "tokens": words,
                "embeddings": rng.normal(size=len(words) * width).astype(np.float16),
                "dim": width,
                "pooled": rng.normal(size=width).astype(np.float16),
                "motion": [word.endswith("ing") for word in words],
                "cut": False,
            }
        )
    columns = set(TEXTS.schema.names)
    rows = [{k: v for k, v in row.items() if k in columns} for row in rows]
    write_table(folder / TEXTS_TABLE, rows_of(rows, TEXTS), TEXTS)


def encoded_by(encoder: str, source: Path, folder: Path) -> Path:
    """A copy of texts, with a receipt that names their encoder."""
    shutil.copytree(source, folder)
    config = {"encoder": encoder, "pooling": "mean"}
    listing = list_folder(folder)
    write_receipt(folder, Receipt("precompute-text", 1, config, {}, "", {}, listing))
    return folder


def square(place: int, frame: int) -> np.ndarray:
    """The mask of the square at a place: it lies in its own third and walks down."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    left, top = 4 + 20 * place, 4 + 4 * frame
    mask[top : top + 14, left : left + 14] = 1
    return mask


def _video(video: str, frames: int) -> dict[str, object]:
    return {
        "video_id": video,
        "num_frames": frames,
        "height": SIZE,
        "width": SIZE,
        "fps": None,
        "frame_names": [f"{frame:05d}" for frame in range(frames)],
        "frame_suffix": ".jpg",
        "frames_dir": f"frames/{video}",
    }


def _write_frames(folder: Path, seed: int, frames: int) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    ground = rng.integers(0, 80, (SIZE, SIZE, 3), dtype=np.uint8)
    for frame in range(frames):
        picture = ground.copy()
        for place in range(3):
            picture[square(place, frame) > 0] = (230, 60 * place, 40)
        Image.fromarray(picture).save(folder / f"{frame:05d}.jpg", quality=95)


def _moments(
    video: str, name: str, annos: tuple[str, ...], spans: dict[str, list[tuple[int, int]]]
) -> list[dict[str, object]]:
    return [
        {
            "video_id": video,
            "expression_id": name,
            "anno_id": f"{video}-{anno}",
            "start_frame": start,
            "end_frame": end,
            "source": "test",
            "score": None,
        }
        for anno in annos
        for start, end in spans[anno]
    ]


def _mask(anno_id: str, place: int, frame: int) -> dict[str, object]:
    mask = square(place, frame)
    return {
        "anno_id": anno_id,
        "frame": frame,
        "height": SIZE,
        "width": SIZE,
        "counts": encode(mask)["counts"],
        "area": int(mask.sum()),
    }
