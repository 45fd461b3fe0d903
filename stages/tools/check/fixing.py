"""`tgl check --fix`: fixing artifacts of tgl; sources are never changed.

Only folders with a receipt of tgl are fixed, and only files that can be made again from the inputs
are removed, such as frames, which extract-frames restores.
"""

from __future__ import annotations

from pathlib import Path

from schemas.directories import all_scratches, locked, recover, remove_tree, retired_path
from schemas.layouts import FRAMES_FOLDER, RECEIPT_FILE
from schemas.wording import amount
from stages.tools.check.findings import Fault

_PARTIAL = ".*.partial"


def put_back(path: Path) -> list[str]:
    """Finish or undo a publication that was killed half-way; returns a line if there was one.

    Raises:
        OutputBlocked: a run is writing `path`.
    """
    retired = retired_path(path)
    if not (retired / RECEIPT_FILE).is_file():
        return []
    with locked(path):
        published = path.exists()
        recover(path)
    what = "removed the former artifact" if published else "put back the artifact"
    return [f"{what} that an interrupted run had moved aside"]


def clear(path: Path, faults: list[Fault]) -> list[str]:
    """Remove leftovers of interrupted runs, and frames that are not as they were extracted.

    Args:
        path: an artifact; nothing is done if it has no receipt.
        faults: its faults that check found.

    Returns:
        one line per kind of thing that was removed.

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
        damaged = _damaged_frames(path, faults)
        for file in [*partial, *damaged]:
            file.unlink()
    if partial:
        done.append(f"removed {amount(len(partial), 'unfinished files')}")
    if damaged:
        done.append(
            f"removed {amount(len(damaged), 'damaged frames')}; rerun the same tgl extract-frames, "
            "which works on these videos alone"
        )
    return done


def _damaged_frames(path: Path, faults: list[Fault]) -> list[Path]:
    """List the frames below the artifact's own folder that a fault names."""
    root = (path / FRAMES_FOLDER).resolve()
    named = {Path(fault.where) for fault in faults if fault.part == "frames" and fault.where}
    return sorted(file for file in named if file.is_file() and root in file.resolve().parents)
