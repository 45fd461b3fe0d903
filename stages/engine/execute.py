"""Running a stage: fingerprint, skip, resume, publish."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from schemas.directories import (
    list_folder,
    locked,
    other_scratches,
    publish,
    recover,
    remove_tree,
    scratch_path,
)
from schemas.errors import OutOfMemory, OutputBlocked, TglError, system_errors
from schemas.layouts import RECEIPT_FILE
from schemas.receipts import (
    Receipt,
    fingerprint,
    finite_counts,
    origin_text,
    read_receipt,
    write_receipt,
)
from stages.engine.memory import is_out_of_memory
from stages.engine.progress import Progress
from stages.engine.runtime import Runtime
from stages.engine.stage import C, I, Result, Stage
from stages.engine.version import TGL_VERSION
from stages.engine.workspace import Workspace

_SHOWN = 120
"""Characters shown of a foreign message."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Attributes:
        skipped: the artifact was up to date and nothing was done.
        counts: as the stage returned them, from the receipt where skipped.
        failures: one line for each input that failed while others went on.
        seconds: wall time of this call.
    """

    path: Path
    skipped: bool
    counts: Mapping[str, int | float]
    failures: tuple[str, ...]
    seconds: float


def execute(
    stage: Stage[C, I],
    config: C,
    inputs: I,
    out: Path,
    *,
    runtime: Runtime,
    progress: Progress,
    force: bool = False,
) -> Outcome:
    """Make the artifact `out`, or find that it is up to date.

    Args:
        force: work anew even if the artifact is up to date, keeping nothing of earlier runs.

    Raises:
        OutputBlocked: `out` is locked, is not an artifact of tgl, or the disk is full.
        SystemRefused: the system lets a file not be read or written.
        TglError: as the stage raises them; the scratch folder stays for the next try, unless
            nothing was done yet.
    """
    started = time.monotonic()
    named = out
    out = Path(os.path.abspath(out))  # noqa: PTH100 (resolve() would follow links)
    with system_errors(named):
        out.parent.mkdir(parents=True, exist_ok=True)
        digests = inputs.digests()
        mark = fingerprint(stage.name, stage.version, config.to_dict(), digests)
    with system_errors(named), locked(out):
        recover(out)
        receipt = None if force else _up_to_date(out, mark, named, progress)
        if receipt is not None:
            os.utime(out / RECEIPT_FILE)
            seconds = time.monotonic() - started
            return Outcome(out, True, receipt.counts, (), seconds)
        _refuse_foreign(out)
        workspace = _open_workspace(stage, config, out, mark, force)
        try:
            result = _run(stage, config, inputs, workspace, runtime, progress)
        except BaseException:
            workspace.drop_if_empty()
            raise
        workspace.close()
        _write_receipt(stage, config, digests, mark, workspace, result)
        publish(workspace.path, out)
    return Outcome(out, False, result.counts, result.failures, time.monotonic() - started)


def _up_to_date(out: Path, mark: str, named: Path, progress: Progress) -> Receipt | None:
    """The receipt of `out` if its fingerprint is `mark` and its files are as it says.

    Args:
        named: `out` as the user named it, for warnings.
    """
    if not out.is_dir():
        return None
    try:
        receipt = read_receipt(out)
    except TglError as error:
        progress.warn(f"{error}; the artifact is made anew")
        return None
    if receipt is None or receipt.fingerprint != mark or not receipt.complete:
        return None
    if list_folder(out) != receipt.outputs:
        progress.warn(f"{named}: files were lost or changed since they were made; mending it")
        return None
    return receipt


def _refuse_foreign(out: Path) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise OutputBlocked("is a file, the output is a folder", where=out)
    if not (out / RECEIPT_FILE).exists() and any(out.iterdir()):
        raise OutputBlocked(
            "holds files that tgl did not write", where=out, hint="name another or an empty folder"
        )


def _open_workspace(stage: Stage[C, I], config: C, out: Path, mark: str, force: bool) -> Workspace:
    scratch = scratch_path(out, mark)
    for leftover in other_scratches(out, mark):
        remove_tree(leftover)
    if force:
        remove_tree(scratch)
    scratch.mkdir(exist_ok=True)
    previous = out if out.is_dir() and not force else None
    origin = origin_text(stage.name, stage.version, config.to_dict(), TGL_VERSION)
    return Workspace(scratch, stage.identity(config), origin, previous)


def _run(
    stage: Stage[C, I],
    config: C,
    inputs: I,
    workspace: Workspace,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    try:
        return stage.run(config, inputs, workspace, runtime=runtime, progress=progress)
    except Exception as error:
        if is_out_of_memory(error):
            raise _memory_error(stage.name, error) from error
        raise


def _memory_error(stage: str, error: Exception) -> OutOfMemory:
    lines = str(error).strip().splitlines() or ["no memory"]
    return OutOfMemory(
        f"there is not enough memory ({lines[0][:_SHOWN]})",
        where=stage,
        hint="take less at once, in train with a smaller --batch and more --accumulate, in "
        "propagate with fewer --expressions-per-batch; finished work is kept",
    )


def _write_receipt(
    stage: Stage[C, I],
    config: C,
    digests: Mapping[str, str],
    mark: str,
    workspace: Workspace,
    result: Result,
) -> None:
    receipt = Receipt(
        stage=stage.name,
        stage_version=stage.version,
        config=config.to_dict(),
        inputs=digests,
        fingerprint=mark,
        counts=finite_counts(result.counts),
        outputs=list_folder(workspace.path),
        failures=result.failures,
        tgl=TGL_VERSION,
    )
    write_receipt(workspace.path, receipt)
