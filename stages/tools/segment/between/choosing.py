"""The stage that makes an index of some of the frames of videos."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from schemas.layouts import EXPRESSIONS_TABLE, MASKS_TABLE, MOMENTS_TABLE, VIDEOS_TABLE
from schemas.parquet import read_table, rows_of
from schemas.tables import EXPRESSIONS, MASKS, MOMENTS, VIDEOS
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs, Result, Stage
from stages.core.engine.workspace import Workspace
from stages.core.index.frame_files import frame_folders, index_digest


def chosen_frames(total: int, every: int, needed: Iterable[int] = ()) -> list[int]:
    """Every N-th frame of a video, the last one, and those that are needed; ascending."""
    return sorted({*range(0, total, every), total - 1, *needed})


def nearest_known(total: int, known: Sequence[int]) -> np.ndarray:
    """For each of `total` frames the place of the nearest one in `known`, the earlier of two."""
    return np.abs(np.arange(total)[:, None] - np.asarray(known)).argmin(axis=1)


@dataclass(frozen=True)
class ChoiceConfig(Settings):
    """The frames to keep."""

    frames: tuple[str, ...] = setting((), "Numbers of the frames of one video, ascending.")
    every: int = setting(
        0, "Of each video instead every N-th frame, and the last one.", low=0, omit_default=True
    )


@dataclass(frozen=True)
class ChoiceInputs(Inputs):
    """An index without masks and moments."""

    index: Path

    def digests(self) -> dict[str, str]:
        """Digest of the index with its frames."""
        return {"index": index_digest(self.index)}

    def paths(self) -> list[Path]:
        """The index, and the frames that it points to."""
        return [*super().paths(), *frame_folders(self.index)]


def run(
    config: ChoiceConfig,
    inputs: ChoiceInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Write the tables of the videos with these frames alone."""
    rows = read_table(inputs.index / VIDEOS_TABLE, VIDEOS).to_pylist()
    for row in rows:
        frames = [int(frame) for frame in config.frames]
        if config.every:
            frames = chosen_frames(row["num_frames"], config.every)
        folder = (inputs.index / row["frames_dir"]).resolve()
        row |= {
            "num_frames": len(frames),
            "frame_names": [row["frame_names"][frame] for frame in frames],
            "frames_dir": os.path.relpath(folder, out.path.resolve()),
            "fps": None,  # the last frame may be nearer than the others
        }
    out.write_table(VIDEOS_TABLE, rows_of(rows, VIDEOS), VIDEOS)
    expressions = read_table(inputs.index / EXPRESSIONS_TABLE, EXPRESSIONS)
    out.write_table(EXPRESSIONS_TABLE, expressions, EXPRESSIONS)
    for name, spec in ((MOMENTS_TABLE, MOMENTS), (MASKS_TABLE, MASKS)):
        out.write_table(name, rows_of([], spec), spec)
    return Result({"videos": len(rows), "frames": sum(row["num_frames"] for row in rows)})


STAGE = Stage("choose-frames", 1, ChoiceConfig, ChoiceInputs, run)
