"""Two small videos with an index, true masks, moments and predictions, written by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from schemas.layouts import (
    EXPRESSIONS_TABLE,
    MASKS_TABLE,
    MOMENTS_TABLE,
    PROPAGATION_TABLE,
    VIDEOS_TABLE,
    mask_path,
)
from schemas.parquet import rows_of, write_table
from schemas.tables import EXPRESSIONS, MASKS, MOMENTS, PROPAGATION, VIDEOS
from stages.core.media.rle import encode
from stages.tools.render.config import RenderInputs

HEIGHT, WIDTH, FRAMES = 30, 40, 5
GREY = 128
SENTENCES = {"0": "the square that moves", "1": "nothing of the kind", "2": "both squares"}


@dataclass(frozen=True)
class World:
    """Folder of the files; video `a` has all three sentences, video `b` the first."""

    root: Path

    @property
    def inputs(self) -> RenderInputs:
        """Predictions and index."""
        return RenderInputs(self.root / "preds", self.root / "index")

    def frame(self, video: str, frame: int) -> Path:
        """A frame of a video."""
        return self.root / "frames" / video / f"{frame:05d}.png"

    def mask(self, video: str, expression: str, frame: int) -> Path:
        """A prediction."""
        return mask_path(self.root / "preds", video, expression, f"{frame:05d}")


def square(left: int) -> np.ndarray:
    """A mask bool (H, W) of a square, 10 pixels wide, from column `left`."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[10:20, left : left + 10] = True
    return mask


@pytest.fixture
def world(tmp_path: Path) -> World:
    """The true square begins at column 10, the predicted one at column 14."""
    world = World(tmp_path)
    (tmp_path / "index").mkdir()
    videos = {"a": ["0", "1", "2"], "b": ["0"]}
    for video, names in videos.items():
        for frame in range(FRAMES):
            _save(world.frame(video, frame), np.full((HEIGHT, WIDTH, 3), GREY, np.uint8))
            for name in names:
                predicted = square(14) if name != "1" else np.zeros((HEIGHT, WIDTH), bool)
                _save(world.mask(video, name, frame), predicted.astype(np.uint8) * 255)
    _write_tables(tmp_path, videos)
    return world


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def _write_tables(root: Path, videos: dict[str, list[str]]) -> None:
    expressions, moments, routes, masks = [], [], [], []
    for video, names in videos.items():
        for name in names:
            key = {"video_id": video, "expression_id": name}
            annos = [] if name == "1" else [f"{video}0"]
            expressions.append(
                {**key, "expression": SENTENCES[name], "object_ids": annos, "anno_ids": annos}
            )
            moments += [
                {**key, "anno_id": anno, "start_frame": 1, "end_frame": 3, "source": "annotated"}
                for anno in annos
            ]
            routes += [
                {**key, "frame": t, "route": "language" if t in (2, 3) else "propagated"}
                | {"mask_area": 100}
                for t in range(FRAMES)
            ]
        rle = encode(square(10))
        masks += [
            {"anno_id": f"{video}0", "frame": t, "height": HEIGHT, "width": WIDTH}
            | {"counts": rle["counts"], "area": 100}
            for t in range(FRAMES)
        ]
    rows = [
        {
            "video_id": video,
            "num_frames": FRAMES,
            "height": HEIGHT,
            "width": WIDTH,
            "fps": 10.0,
            "frame_names": [f"{t:05d}" for t in range(FRAMES)],
            "frame_suffix": ".png",
            "frames_dir": f"../frames/{video}",
        }
        for video in videos
    ]
    write_table(root / "index" / VIDEOS_TABLE, rows_of(rows, VIDEOS), VIDEOS)
    write_table(root / "index" / EXPRESSIONS_TABLE, rows_of(expressions, EXPRESSIONS), EXPRESSIONS)
    write_table(root / "index" / MOMENTS_TABLE, rows_of(moments, MOMENTS), MOMENTS)
    write_table(root / "index" / MASKS_TABLE, rows_of(masks, MASKS), MASKS)
    write_table(root / "preds" / PROPAGATION_TABLE, rows_of(routes, PROPAGATION), PROPAGATION)
