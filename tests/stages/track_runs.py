"""Runs of propagate with tracks, and tracks to give it: squares that stand still."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from schemas.layouts import EXPRESSIONS_TABLE, MASKS_TABLE, OBJECTS_TABLE, PROPAGATION_TABLE
from schemas.parquet import read_table, rows_of, write_table
from schemas.tables import EXPRESSIONS, MASKS, OBJECTS
from stages.core.engine.execute import Outcome, execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.media.rle import encode
from stages.propagate.config import PropagateConfig, PropagateInputs
from stages.propagate.stage import STAGE


def propagate(inputs: PropagateInputs, out: Path, **fields: Any) -> tuple[Outcome, list[str]]:
    """Run the stage through the engine on one CPU thread; returns its warnings too."""
    config = PropagateConfig(**({"moments": "annotated"} | fields))
    progress = SilentProgress()
    runtime = Runtime(workers=1, device="cpu")
    outcome = execute(STAGE, config, inputs, out, runtime=runtime, progress=progress)
    return outcome, [str(line) for line in progress.warnings]


def content(out: Path) -> dict[str, bytes]:
    """All masks and both tables by relative path."""
    files = [*out.rglob("*.png"), out / PROPAGATION_TABLE, out / OBJECTS_TABLE]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def objects(out: Path) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Rows of the objects table by sentence."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in read_table(out / OBJECTS_TABLE, OBJECTS).to_pylist():
        found.setdefault((row["video_id"], row["expression_id"]), []).append(row)
    return found


def square(world: Any, left: int) -> np.ndarray:
    mask = np.zeros(world.size, bool)
    mask[10:30, left : left + 20] = True
    return mask


TRACKS = {"a1": 0, "a2": 45, "b1": 0, "c1": 20}


def write_tracks(world: Any, folder: Path, tracks: dict[str, int]) -> Path:
    """An index of tracks, which stand still; every sentence of a video may mean all of them."""
    folder.mkdir()
    height, width = world.size
    for table in world.inputs.index.iterdir():
        (folder / table.name).write_bytes(table.read_bytes())
    rows = read_table(folder / EXPRESSIONS_TABLE, EXPRESSIONS).to_pylist()
    for row in rows:
        row["anno_ids"] = [name for name in tracks if name[0] == row["video_id"]]
        row["object_ids"] = row["anno_ids"]
    write_table(folder / EXPRESSIONS_TABLE, rows_of(rows, EXPRESSIONS), EXPRESSIONS)
    masks = [
        {
            "anno_id": name,
            "frame": frame,
            "height": height,
            "width": width,
            "counts": encode(square(world, left))["counts"],
            "area": 400,
        }
        for name, left in sorted(tracks.items())
        for frame in range(world.lengths[name[0]])
    ]
    write_table(folder / MASKS_TABLE, rows_of(masks, MASKS), MASKS)
    return folder


def with_tracks(world: Any, folder: Path) -> PropagateInputs:
    return replace(world.inputs, tracks=write_tracks(world, folder, TRACKS))
