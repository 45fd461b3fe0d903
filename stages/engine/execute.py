"""Running a stage: fingerprint, skip, resume, publish."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.directories import all_scratches, list_folder, locked, remove_tree, scratch_path
from schemas.errors import CorruptInput, OutOfMemory, TglError, system_errors
from schemas.layouts import RECEIPT_FILE
from schemas.publishing import has_leftovers, publish, recover
from schemas.receipts import (
    Receipt,
    fingerprint,
    finite_counts,
    origin_text,
    read_receipt,
    write_receipt,
)
from stages.engine.memory import is_out_of_memory
from stages.engine.outputs import artifact_mark, refuse_inputs, replaceable
from stages.engine.progress import Progress
from stages.engine.runtime import Runtime
from stages.engine.stage import C, I, Result, Stage
from stages.engine.version import TGL_VERSION
from stages.engine.workspace import Workspace, holds_units

_SHOWN = 120
"""Characters shown of a foreign message."""
_SHOWN_SETTINGS = 3
"""Changed settings named of an artifact that is replaced."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Attributes:
        out: what the user named.
        path: of the artifact; of the finished part where `published` is false.
        skipped: the artifact was up to date and nothing was done.
        counts: as the stage returned them, from the receipt where skipped.
        failures: one line for each input that failed while others went on.
        seconds: wall time of this call.
        replaced: what took the artifact's place before, as one phrase; None where nothing did.
        published: false where a complete artifact stayed, since some inputs failed.
    """

    out: Path
    path: Path
    skipped: bool
    counts: Mapping[str, int | float]
    failures: tuple[str, ...]
    seconds: float
    replaced: str | None = None
    published: bool = True


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
        force: start over even if the artifact is up to date, keeping nothing of earlier runs, and
            replace whatever `out` holds, but for an input.

    Raises:
        OutputBlocked: `out` is locked, is an input, is not an artifact of this stage, or the disk
            is full.
        SystemRefused: the system lets a file not be read or written.
        CorruptInput: an input was replaced while the stage read it.
        TglError: as the stage raises them; the scratch folder stays for the next try, unless
            nothing was done yet.
    """
    started = time.monotonic()
    named = out
    out = Path(os.path.realpath(out))
    with system_errors(named):
        refuse_inputs(named, inputs.paths())
        marks = _marks(inputs.paths())
        digests = inputs.digests()
        mark = fingerprint(stage.name, stage.version, config.to_dict(), digests)
        receipt = None if force else _up_to_date(out, mark)
        if receipt is not None:
            _clear_former(out)
            return _skipped(named, receipt, started)
        out.parent.mkdir(parents=True, exist_ok=True)
    with system_errors(named), locked(out, named=named):
        recover(out)
        receipt = None if force else _up_to_date(out, mark)
        if receipt is not None:  # another run has just made it
            return _skipped(named, receipt, started)
        former = replaceable(out, stage.name, force=force)
        if former is not None and former.fingerprint == mark and former.complete and not force:
            progress.warn(f"{named}: files were lost or changed since they were made; repairing it")
        workspace = _open_workspace(stage, config, out, mark, force)
        result = _finished(workspace.path, mark)
        if result is None:
            try:
                result = _run(stage, config, inputs, workspace, runtime, progress)
                _refuse_replaced(inputs.paths(), marks, workspace)
            except BaseException:
                workspace.drop_if_useless()
                raise
            if result.failures and former is not None and former.complete and not force:
                return Outcome(
                    named,
                    workspace.path,
                    skipped=False,
                    counts=result.counts,
                    failures=result.failures,
                    seconds=time.monotonic() - started,
                    published=False,
                )
            _write_receipt(stage, config, digests, mark, workspace, result)
        workspace.close()
        publish(workspace.path, out)
        _remove(all_scratches(out))
    replaced = None if former is None else _difference(former, config.to_dict(), digests)
    seconds = time.monotonic() - started
    return Outcome(named, named, False, result.counts, result.failures, seconds, replaced)


def _skipped(named: Path, receipt: Receipt, started: float) -> Outcome:
    with contextlib.suppress(OSError):  # on a read-only disk it stays as old as it is
        os.utime(named / RECEIPT_FILE)
    return Outcome(named, named, True, receipt.counts, (), time.monotonic() - started)


def _up_to_date(out: Path, mark: str) -> Receipt | None:
    """The receipt of `out` if its fingerprint is `mark` and its files are as it says."""
    if not out.is_dir():
        return None
    try:
        receipt = read_receipt(out)
    except TglError:
        return None  # what becomes of it is for replaceable() to say
    if receipt is None or receipt.fingerprint != mark or not receipt.complete:
        return None
    return receipt if list_folder(out) == receipt.outputs else None


def _finished(scratch: Path, mark: str) -> Result | None:
    """The result of a run that was killed just before it published, None where there is none."""
    receipt = _up_to_date(scratch, mark)
    return None if receipt is None else Result(receipt.counts)


def _clear_former(out: Path) -> None:
    """Remove former artifacts that a kill in the middle of publishing left beside `out`."""
    left = [path for path in all_scratches(out) if (path / RECEIPT_FILE).is_file()]
    if left or has_leftovers(out):
        with contextlib.suppress(TglError, OSError), locked(out):  # a run that goes on needs them
            recover(out)
            _remove(path for path in left if (path / RECEIPT_FILE).is_file())


def _marks(paths: Sequence[Path]) -> dict[Path, object]:
    return {path: artifact_mark(path) for path in paths}


def _refuse_replaced(
    paths: Sequence[Path], marks: Mapping[Path, object], workspace: Workspace
) -> None:
    """Take no unit for finished of a run whose inputs were replaced under its hands."""
    for path in paths:
        if artifact_mark(path) != marks[path]:
            workspace.discard_all()
            raise CorruptInput(
                "was replaced while it was read", where=path, hint="run the same command again"
            )


def _open_workspace(stage: Stage[C, I], config: C, out: Path, mark: str, force: bool) -> Workspace:
    """A scratch folder; finished units are taken from it, from `out` and from other scratches."""
    scratch = scratch_path(out, mark)
    others = [path for path in all_scratches(out) if path != scratch]
    if force:
        _remove([scratch, *others])
    else:
        _remove(path for path in others if not holds_units(path))
        if _fingerprint(scratch) not in (None, mark):
            remove_tree(scratch)  # a former artifact: a kill came in the middle of publishing
    scratch.mkdir(exist_ok=True)
    sources = () if force else tuple(path for path in (out, *others) if path.is_dir())
    origin = origin_text(stage.name, stage.version, config.to_dict(), TGL_VERSION)
    return Workspace(scratch, stage.identity(config), origin, sources)


def _fingerprint(folder: Path) -> str | None:
    """The fingerprint in a folder's receipt, None where it has none."""
    try:
        receipt = read_receipt(folder)
    except TglError:
        return ""
    return None if receipt is None else receipt.fingerprint


def _remove(folders: Iterable[Path]) -> None:
    for folder in folders:
        remove_tree(folder)


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


def _difference(former: Receipt, config: Mapping[str, object], digests: Mapping[str, str]) -> str:
    """Why an artifact was replaced, as one phrase."""
    changed = [
        f"{name} {former.config.get(name)} -> {value}"
        for name, value in config.items()
        if former.config.get(name) != value
    ]
    if changed:
        more = f" and {len(changed) - _SHOWN_SETTINGS} more" if changed[_SHOWN_SETTINGS:] else ""
        return f"a result of other settings ({', '.join(changed[:_SHOWN_SETTINGS])}{more})"
    names = sorted(
        name for name in {*digests, *former.inputs} if former.inputs.get(name) != digests.get(name)
    )
    if names:
        more = f" and {len(names) - _SHOWN_SETTINGS} more" if names[_SHOWN_SETTINGS:] else ""
        return f"a result of other inputs ({', '.join(names[:_SHOWN_SETTINGS])}{more})"
    return "an earlier result" if former.complete else "an incomplete result"


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
