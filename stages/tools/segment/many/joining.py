"""The stage that makes one index of several: of extracted videos and of folders of images."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.layouts import EXPRESSIONS_TABLE, MASKS_TABLE, MOMENTS_TABLE, VIDEOS_TABLE
from schemas.parquet import concatenate, read_table, rows_of
from schemas.tables import EXPRESSIONS, MASKS, MOMENTS, VIDEOS
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.engine.settings import Settings
from stages.core.engine.stage import Inputs, Result, Stage
from stages.core.engine.workspace import Workspace
from stages.core.index.frame_files import frame_folders, index_digest


@dataclass(frozen=True)
class JoinConfig(Settings):
    """No settings."""


@dataclass(frozen=True)
class JoinInputs(Inputs):
    """Indexes without masks and moments, of different videos."""

    indexes: tuple[Path, ...]

    def digests(self) -> dict[str, str]:
        """Digest of each index with its frames, by the name of its folder."""
        return {index.name: index_digest(index) for index in self.indexes}

    def paths(self) -> list[Path]:
        """The indexes, and the frames that they point to."""
        folders = (folder for index in self.indexes for folder in frame_folders(index))
        return [*self.indexes, *folders]


def run(
    config: JoinConfig,
    inputs: JoinInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Write the tables of all videos, one index after the other."""
    videos: list[dict[str, Any]] = []
    for index in inputs.indexes:
        for row in read_table(index / VIDEOS_TABLE, VIDEOS).to_pylist():
            folder = (index / row["frames_dir"]).resolve()
            # The scratch folder lies beside the final one: a relative path holds for both.
            videos.append(row | {"frames_dir": os.path.relpath(folder, out.path.resolve())})
    tables = [read_table(index / EXPRESSIONS_TABLE, EXPRESSIONS) for index in inputs.indexes]
    expressions = concatenate(tables, EXPRESSIONS)
    out.write_table(VIDEOS_TABLE, rows_of(videos, VIDEOS), VIDEOS)
    out.write_table(EXPRESSIONS_TABLE, expressions, EXPRESSIONS)
    for name, spec in ((MOMENTS_TABLE, MOMENTS), (MASKS_TABLE, MASKS)):
        out.write_table(name, rows_of([], spec), spec)
    return Result({"videos": len(videos), "expressions": expressions.num_rows})


STAGE = Stage("join-indexes", 1, JoinConfig, JoinInputs, run)
