"""Checking any artifact of tgl: its receipt, its tables, and the files that they list."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from schemas.directories import list_folder, sha256_file
from schemas.documents import load_object, mapping, parse_json
from schemas.errors import CorruptInput, TglError
from schemas.files import require_regular
from schemas.layouts import (
    BEST_FOLDER,
    CHECKPOINT_CONFIG,
    FRAMES_TABLE,
    PROPAGATION_TABLE,
    RECEIPT_FILE,
    SCORES_TABLE,
    TEXTS_TABLE,
    WEIGHTS_FILE,
)
from schemas.parquet import open_parquet, read_table, table_name
from schemas.parquet import read_receipt as read_origin
from schemas.receipts import read_receipt
from schemas.tables import ALL_TABLES, FRAMES, TableSpec
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.index.texts import TextStore, read_texts
from stages.tools.check.config import CheckConfig
from stages.tools.check.findings import Findings
from stages.tools.check.images import VideoImages, check_images

_SPECS = {spec.name: spec for spec in ALL_TABLES}


def check_receipt(folder: Path, findings: Findings, *, below: str = "") -> None:
    """Check the receipt, and that the files are as it lists them.

    Args:
        below: how `folder` is called in a note, with a slash; empty for the artifact itself.
    """
    faults = findings.part("receipt")
    try:
        receipt = read_receipt(folder)
    except TglError as error:
        faults(error)
        return
    if receipt is None:
        findings.notes.append(
            f"no {below}{RECEIPT_FILE}: changes of files since they were made cannot be detected"
        )
        return
    findings.made_by = f"{receipt.stage} {receipt.stage_version}"
    for failure in receipt.failures:
        faults(CorruptInput(f"an input failed when it was made: {failure}", where=folder))
    if list_folder(folder) != receipt.outputs:
        faults(CorruptInput("files were lost or changed since it was made", where=folder))


def check_tables(folder: Path, findings: Findings) -> None:
    """Check that every Parquet file of the folder is complete and of a version that is read."""
    for path in sorted(folder.glob("*.parquet")):
        check_table(path, findings)


def check_table(path: Path, findings: Findings) -> None:
    """Check one Parquet file as the table that its footer names."""
    faults = findings.part("tables")
    try:
        name = table_name(path)
        spec = _SPECS.get(name or "")
        if spec is None:
            faults(CorruptInput("its footer names no table of tgl", where=path))
            return
        findings.made_by = findings.made_by or _origin(path)
        findings.counts[f"rows of {spec.name}"] = _rows(path, spec)
    except TglError as error:
        faults(error)


def _origin(path: Path) -> str | None:
    """Read the stage and its version from a table's footer; None for a foreign table."""
    try:
        origin = mapping(parse_json(read_origin(path) or "null", path), path)
        return f"{origin['stage']} {origin['stage_version']}"
    except (CorruptInput, KeyError):
        return None


def _rows(path: Path, spec: TableSpec) -> int:
    """Count the rows of a table, reading all of it except for masks, which may be huge."""
    if spec.name != "masks":
        return read_table(path, spec).num_rows
    with open_parquet(path, spec) as file:
        return file.metadata.num_rows


def check_frames(
    folder: Path, config: CheckConfig, findings: Findings, runtime: Runtime, progress: Progress
) -> None:
    """Check an artifact of extract-frames: no listed frame is missing, changed or unreadable."""
    faults = findings.part("frames")
    videos: dict[str, list[dict[str, Any]]] = {}
    for row in read_table(folder / FRAMES_TABLE, FRAMES).to_pylist():
        videos.setdefault(row["video_id"], []).append(row)
    findings.counts |= {"videos": len(videos), "frames": sum(map(len, videos.values()))}
    jobs = []
    with progress.task("frames", findings.counts["frames"], "frame") as task:
        for video_id, rows in videos.items():
            present = [row for row in rows if _is_same(folder / row["path"], row, faults)]
            paths = tuple(folder / row["path"] for row in present)
            jobs.append(VideoImages(video_id, paths, rows[0]["height"], rows[0]["width"]))
        if config.images:
            check_images(jobs, runtime, faults, task)


def _is_same(path: Path, row: dict[str, Any], faults: Callable[[TglError], None]) -> bool:
    try:
        require_regular(path, missing="the frame is listed but missing")
    except TglError as error:
        faults(error)
        return False
    if path.stat().st_size != row["bytes"] or (
        row["sha256"] and sha256_file(path) != row["sha256"]
    ):
        faults(CorruptInput("the frame is not the one that was extracted", where=path))
        return False
    return True


def check_texts(folder: Path, findings: Findings) -> None:
    """Check an artifact of precompute-text: the arrays of every row have matching lengths."""
    faults = findings.part("texts")
    try:
        store = TextStore.open(folder)
    except TglError as error:
        faults(error)
        return
    sentences = read_texts(folder / TEXTS_TABLE, columns=["expression"])
    for sentence in sentences.column("expression").to_pylist():
        try:
            store.get(sentence)
        except TglError as error:
            faults(error)
    findings.counts["sentences"] = sentences.num_rows


def check_checkpoint(folder: Path, findings: Findings) -> None:
    """Check an artifact of train: configs and headers of its weights, the best ones' receipt."""
    _check_weights(folder, findings)
    best = folder / BEST_FOLDER
    if best.is_dir():
        check_receipt(best, findings, below=f"{BEST_FOLDER}/")
        _check_weights(best, findings)


def _check_weights(folder: Path, findings: Findings) -> None:
    from safetensors import SafetensorError, safe_open

    faults = findings.part("weights")
    path = folder / WEIGHTS_FILE
    try:
        load_object(folder / CHECKPOINT_CONFIG)
        with safe_open(require_regular(path), framework="numpy") as file:
            findings.counts.setdefault("tensors", len(list(file.keys())))
    except TglError as error:
        faults(error)
    except (SafetensorError, OSError) as error:
        faults(CorruptInput(f"the weights cannot be read ({error})", where=path))


MARKS = {
    "texts": TEXTS_TABLE,
    "checkpoint": WEIGHTS_FILE,
    "predictions": PROPAGATION_TABLE,
    "scores": SCORES_TABLE,
    "frames": FRAMES_TABLE,
}
"""File by which each kind of artifact is recognised; scores come before frames, since they have a
frames table too."""
