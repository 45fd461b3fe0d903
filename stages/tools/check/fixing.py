"""`tgl check --fix`: mending what is tgl's own; sources are never touched.

Only folders that hold a receipt of tgl are looked at. What cannot be derived again from the inputs
is not removed: a picture can, by running extract-frames once more.
"""

from __future__ import annotations

from pathlib import Path

from schemas.directories import all_scratches, locked, recover, remove_tree, retired_path
from schemas.layouts import FRAMES_FOLDER, RECEIPT_FILE
from schemas.wording import amount
from stages.tools.check.findings import Fault

_PARTIAL = ".*.partial"


def put_back(path: Path) -> list[str]:
    """Undo a publication that was killed half-way; one line where there was one.

    Raises:
        OutputBlocked: a run is writing `path`.
    """
    retired = retired_path(path)
    if not (retired / RECEIPT_FILE).is_file():
        return []
    with locked(path):
        there = path.exists()
        recover(path)
    what = "removed the former artifact" if there else "put back the artifact"
    return [f"{what} that an interrupted run had moved aside"]


def clear(path: Path, faults: list[Fault]) -> list[str]:
    """Remove what interrupted runs left, and pictures that are not as they were extracted.

    Args:
        path: an artifact; nothing is done where it has no receipt.
        faults: what check found in it.

    Returns:
        One line for each kind of thing that was removed.

    Raises:
        OutputBlocked: a run is writing `path`.
    """
    if not (path / RECEIPT_FILE).is_file():
        return []
    done = []
    with locked(path):
        scratches = all_scratches(path)
        for folder in scratches:
            remove_tree(folder)
        if scratches:
            done.append(f"removed {amount(len(scratches), 'unfinished runs')} beside it")
        partial = [file for file in path.glob(_PARTIAL) if file.is_file()]
        damaged = _damaged_pictures(path, faults)
        for file in [*partial, *damaged]:
            file.unlink()
    if partial:
        done.append(f"removed {amount(len(partial), 'unfinished files')}")
    if damaged:
        done.append(
            f"removed {amount(len(damaged), 'damaged pictures')}; run the same tgl extract-frames "
            "again, it works these videos alone"
        )
    return done


def _damaged_pictures(path: Path, faults: list[Fault]) -> list[Path]:
    """Pictures below the artifact's own folder that a fault names and that are there."""
    root = (path / FRAMES_FOLDER).resolve()
    named = {Path(fault.where) for fault in faults if fault.part == "pictures" and fault.where}
    return sorted(file for file in named if file.is_file() and root in file.resolve().parents)
