"""Checking masks: decoding each PNG, and comparing its area with the propagation table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import CorruptInput, MissingInput, TglError
from schemas.layouts import MASK_SUFFIX, PROPAGATION_TABLE, natural_key
from schemas.parquet import read_table
from schemas.tables import PROPAGATION
from stages.core.datasets.faults import Faults
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.engine.workers.pool import map_jobs
from stages.core.media.frames import read_frame
from stages.tools.check.findings import Findings


@dataclass(frozen=True)
class SentenceMasks:
    """Masks of one sentence: their folder, and the area of each in pixels by file name."""

    folder: Path
    areas: dict[str, int]


def check_predictions(
    folder: Path, findings: Findings, runtime: Runtime, progress: Progress
) -> None:
    """Decode every mask that propagation.parquet lists, and count its pixels."""
    faults = findings.part("masks")
    try:
        jobs = list(_sentences(folder, faults))
    except TglError as error:
        findings.part("tables")(error)
        return
    findings.counts["masks"] = sum(len(job.areas) for job in jobs)
    with progress.task("masks", findings.counts["masks"], "mask") as task:
        for job, found in map_jobs(faults_of_masks, jobs, runtime=runtime):
            for fault in [found] if isinstance(found, TglError) else found:
                faults(fault)
            task.advance(len(job.areas))


def faults_of_masks(job: SentenceMasks) -> list[TglError]:
    """Return a fault for each mask that is missing, damaged or not the one that was written."""
    found: list[TglError] = []
    for name, area in job.areas.items():
        path = job.folder / name
        try:
            pixels = int((read_frame(path)[:, :, 0] > 0).sum())
        except MissingInput:
            found.append(MissingInput("the mask is listed but missing", where=path))
        except TglError as error:
            found.append(error)
        else:
            if pixels != area:
                message = f"has {pixels} pixels, {PROPAGATION_TABLE} says {area}"
                found.append(CorruptInput(message, where=path))
    return found


def _sentences(folder: Path, faults: Faults) -> Iterator[SentenceMasks]:
    """List the masks in propagation.parquet with their file names."""
    columns = ["video_id", "expression_id", "frame", "mask_area"]
    table = read_table(folder / PROPAGATION_TABLE, PROPAGATION, columns=columns)
    videos: dict[str, dict[str, dict[int, int]]] = {}
    for video, name, frame, area in zip(
        *(table.column(column).to_pylist() for column in columns), strict=True
    ):
        videos.setdefault(video, {}).setdefault(name, {})[frame] = area
    for video, sentences in videos.items():
        frames = 1 + max(frame for areas in sentences.values() for frame in areas)
        names = _frame_files([folder / video / name for name in sentences], frames)
        if names is None:
            faults(
                MissingInput(
                    f"masks of its {frames} frames are missing, or others were added",
                    where=folder / video,
                )
            )
            continue
        for name, areas in sentences.items():
            listed = {names[frame]: area for frame, area in sorted(areas.items())}
            yield SentenceMasks(folder / video / name, listed)


def _frame_files(folders: Sequence[Path], frames: int) -> list[str] | None:
    """List the file names of a video's masks in order; None if too many files are missing.

    The table numbers the frames, the files have their names: those of all sentences of the video
    together or, if some are missing, numbers of equal length.
    """
    found = {
        path.name
        for folder in folders
        if folder.is_dir()
        for path in folder.iterdir()
        if path.suffix == MASK_SUFFIX
    }
    if len(found) == frames:
        return sorted(found, key=natural_key)
    digits = {len(name) for name in found}
    width = digits.pop() - len(MASK_SUFFIX) if len(digits) == 1 else 0
    numbered = [f"{frame:0{width}d}{MASK_SUFFIX}" for frame in range(frames)]
    return numbered if width and found <= set(numbered) else None
