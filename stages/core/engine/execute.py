"""Running a stage: fingerprint, skip, resume, publish."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Generic

from schemas.directories import (
    PARTIAL,
    all_scratches,
    has_leftovers,
    list_folder,
    lock_path,
    locked,
    publish,
    recover,
    remove_tree,
    scratch_path,
)
from schemas.errors import CorruptInput, OutOfMemory, TglError, system_errors
from schemas.layouts import RECEIPT_FILE
from schemas.receipts import (
    Receipt,
    fingerprint,
    finite_counts,
    origin_text,
    read_receipt,
    write_receipt,
)
from stages.core.engine.failures import is_out_of_memory
from stages.core.engine.outputs import input_state, refuse_inputs, replaceable
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import C, I, Result, Stage
from stages.core.engine.version import TGL_VERSION
from stages.core.engine.workers.devices import settled
from stages.core.engine.workspace import Workspace, holds_units

_SHOWN = 120
"""Characters shown of a library's message."""
_SHOWN_CHANGES = 3
"""Changed settings or inputs shown of an artifact that is replaced."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run.

    Attributes:
        out: as the user named it.
        path: of the artifact, or of the finished part if `published` is false.
        skipped: the artifact was up to date and nothing was done.
        counts: as the stage returned them; if skipped, from the receipt, without those of a single
            run.
        failures: one line for each input that failed while others went on, by its name.
        seconds: wall time of this call.
        replaced: the artifact that was replaced, as one phrase, None without one.
        published: false if it was held back, or if a complete artifact was kept because some
            inputs failed.
    """

    out: Path
    path: Path
    skipped: bool
    counts: Mapping[str, int | float]
    failures: Mapping[str, str]
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
    hold: bool = False,
) -> Outcome:
    """Make the artifact `out`, unless it is up to date.

    Args:
        force: start over even if the artifact is up to date, without reusing earlier runs, and
            replace whatever `out` is, except an input.
        hold: leave the finished artifact in its scratch folder until :func:`release` publishes it.

    Raises:
        OutputBlocked: `out` is locked, an input, or not an artifact of this stage; or the disk is
            full.
        CorruptInput: an input was replaced while the stage read it.
        TglError: as the stage raises it; the scratch folder stays if it has finished units.
    """
    started = time.monotonic()
    real = Path(os.path.realpath(out))
    with system_errors(out):
        refuse_inputs(out, inputs.paths())
        states = {path: input_state(path) for path in inputs.paths()}
        with _unreplaced(states):
            digests = inputs.digests()
        job = _Job(stage, config, inputs, out, real, digests, states, started, force)
        if receipt := job.up_to_date():
            _clear_former(real)
            return job.skipped(receipt)
        real.parent.mkdir(parents=True, exist_ok=True)
    with system_errors(out), locked(real, named=out):
        recover(real)
        if receipt := job.up_to_date():  # another run has just made it
            return job.skipped(receipt)
        return _make(job, runtime, progress, hold=hold)


@dataclass(frozen=True)
class _Job(Generic[C, I]):
    """One call of :func:`execute`.

    Attributes:
        named: the output as the user named it.
        out: its path with links resolved.
        digests: of the inputs, by name.
        states: of the inputs before their digests were taken.
        started: start of the call on the monotonic clock.
    """

    stage: Stage[C, I]
    config: C
    inputs: I
    named: Path
    out: Path
    digests: Mapping[str, str]
    states: Mapping[Path, object]
    started: float
    force: bool

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of stage, settings and inputs."""
        stage = self.stage
        return fingerprint(stage.name, stage.version, self.config.to_dict(), self.digests)

    def up_to_date(self) -> Receipt | None:
        """The receipt of an artifact that needs no work."""
        return None if self.force else _up_to_date(self.out, self.fingerprint)

    def skipped(self, receipt: Receipt) -> Outcome:
        """The outcome of an artifact that needed no work."""
        with contextlib.suppress(OSError):  # the disk may be read-only
            os.utime(self.out / RECEIPT_FILE)
        return self.outcome(self.named, Result(receipt.counts), skipped=True)

    def held(self, scratch: Path, result: Result) -> Outcome:
        """The outcome of a run whose artifact stays in its scratch folder."""
        return self.outcome(scratch, result, published=False)

    def outcome(
        self,
        path: Path,
        result: Result,
        *,
        skipped: bool = False,
        replaced: str | None = None,
        published: bool = True,
    ) -> Outcome:
        """The outcome of this call, ending now."""
        return Outcome(
            self.named,
            path,
            skipped,
            {**result.counts, **result.run_counts},
            result.failures,
            time.monotonic() - self.started,
            replaced,
            published,
        )

    def receipt(self, result: Result, folder: Path, runtime: Runtime) -> Receipt:
        """The receipt of a run that filled `folder`."""
        return Receipt(
            stage=self.stage.name,
            stage_version=self.stage.version,
            config=self.config.to_dict(),
            inputs=self.digests,
            fingerprint=self.fingerprint,
            counts=finite_counts(result.counts),
            outputs=list_folder(folder),
            failures=tuple(result.failures.values()),
            tgl=TGL_VERSION,
            threads=result.threads,
            precision=runtime.precision if self.stage.network else None,
        )


def _make(job: _Job[C, I], runtime: Runtime, progress: Progress, *, hold: bool) -> Outcome:
    """Run the stage and publish its artifact; call it under the lock."""
    former = replaceable(job.out, job.stage.name, force=job.force, named=job.named)
    complete = former is not None and former.complete and not job.force
    if former is not None and complete and former.fingerprint == job.fingerprint:
        named = job.named
        progress.warn(f"{named}: files were lost or changed since they were made; repairing it")
    workspace = _open_workspace(job)
    result = _finished(workspace.path, job.fingerprint)
    runtime = settled(runtime) if job.stage.network else runtime
    if result is None:
        result = _run(job, workspace, runtime, progress)
        if result.failures and complete:
            return job.held(workspace.path, result)
        write_receipt(workspace.path, job.receipt(result, workspace.path, runtime))
    workspace.close()
    if hold:
        return job.held(workspace.path, result)
    _publish(workspace.path, job.out)
    replaced = None if former is None else _difference(former, job.config.to_dict(), job.digests)
    return job.outcome(job.named, result, replaced=replaced)


def release(outcome: Outcome) -> None:
    """Publish an artifact that :func:`execute` held back, if it did.

    Raises:
        OutputBlocked: another run is writing it.
    """
    if not outcome.published:
        real = Path(os.path.realpath(outcome.out))
        with system_errors(outcome.out), locked(real, named=outcome.out):
            recover(real)
            _publish(outcome.path, real)


def _publish(scratch: Path, out: Path) -> None:
    publish(scratch, out)
    _remove(all_scratches(out))


def _up_to_date(out: Path, wanted: str) -> Receipt | None:
    """The receipt of `out` if it has the wanted fingerprint and lists the files that are there."""
    if not out.is_dir():
        return None
    try:
        receipt = read_receipt(out)
    except TglError:
        return None  # replaceable() decides about such a folder
    if receipt is None or receipt.fingerprint != wanted or not receipt.complete:
        return None
    return receipt if list_folder(out) == receipt.outputs else None


def _finished(scratch: Path, wanted: str) -> Result | None:
    """The result of a run that was killed just before it published, None if there is none."""
    receipt = _up_to_date(scratch, wanted)
    return None if receipt is None else Result(receipt.counts)


def _clear_former(out: Path) -> None:
    """Remove leftovers of a kill during publishing from beside `out`."""
    left = [path for path in all_scratches(out) if (path / RECEIPT_FILE).is_file()]
    if left or has_leftovers(out) or lock_path(out).exists():
        with contextlib.suppress(TglError, OSError), locked(out):  # a running one needs them
            recover(out)
            _remove(path for path in left if (path / RECEIPT_FILE).is_file())


def _open_workspace(job: _Job[C, I]) -> Workspace:
    """A scratch folder; finished units are reused from it, from `out` and from other scratches."""
    scratch = scratch_path(job.out, job.fingerprint)
    others = [path for path in all_scratches(job.out) if path != scratch]
    if job.force:
        _remove([scratch, *others])
    else:
        _remove(path for path in others if not holds_units(path))
        if _fingerprint_in(scratch) not in (None, job.fingerprint):
            remove_tree(scratch)  # a former artifact, left by a kill during publishing
    scratch.mkdir(exist_ok=True)
    _remove_partial(scratch)
    sources = () if job.force else tuple(p for p in (job.out, *others) if p.is_dir())
    stage, config = job.stage, job.config
    origin = origin_text(stage.name, stage.version, config.to_dict(), TGL_VERSION)
    return Workspace(scratch, stage.identity(config), origin, sources)


def _fingerprint_in(folder: Path) -> str | None:
    """The fingerprint in a folder's receipt, None without a receipt."""
    try:
        receipt = read_receipt(folder)
    except TglError:
        return ""
    return None if receipt is None else receipt.fingerprint


def _remove_partial(scratch: Path) -> None:
    """Remove files that a kill left under their temporary names."""
    for path in scratch.rglob(PARTIAL):
        if path.is_file():
            path.unlink()


def _remove(folders: Iterable[Path]) -> None:
    for folder in folders:
        remove_tree(folder)


def _run(job: _Job[C, I], workspace: Workspace, runtime: Runtime, progress: Progress) -> Result:
    """Run the stage; after an error, remove a scratch folder without finished units."""
    try:
        with _unreplaced(job.states):
            result = job.stage.run(
                job.config, job.inputs, workspace, runtime=runtime, progress=progress
            )
    except BaseException as error:
        if _replaced(job.states) is not None:
            workspace.discard_all()  # units may be of either input
        workspace.drop_if_useless()
        if isinstance(error, Exception) and is_out_of_memory(error):
            raise _memory_error(job.stage, error) from error
        raise
    return result


@contextlib.contextmanager
def _unreplaced(states: Mapping[Path, object]) -> Iterator[None]:
    """A context in which no input may be replaced.

    Raises:
        CorruptInput: one was, in place of any other error.
    """
    try:
        yield
    except (TglError, OSError) as error:
        _refuse_replaced(states, error)
        raise
    _refuse_replaced(states, None)


def _refuse_replaced(states: Mapping[Path, object], cause: Exception | None) -> None:
    path = _replaced(states)
    if path is not None:
        raise CorruptInput(
            "was replaced while it was read", where=path, hint="run the same command again"
        ) from cause


def _replaced(states: Mapping[Path, object]) -> Path | None:
    """The first input that was replaced, None if none was."""
    changed = (path for path, state in states.items() if input_state(path) != state)
    return next(changed, None)


def _memory_error(stage: Stage[C, I], error: Exception) -> OutOfMemory:
    lines = str(error).strip().splitlines() or ["out of memory"]
    return OutOfMemory(
        f"not enough memory ({lines[0][:_SHOWN]})",
        where=stage.name,
        hint=f"{stage.memory_hint}; finished work is kept",
    )


def _difference(former: Receipt, config: Mapping[str, object], digests: Mapping[str, str]) -> str:
    """The reason for replacing an artifact, as one phrase."""
    changed = [
        f"{name} {former.config.get(name)} -> {value}"
        for name, value in config.items()
        if former.config.get(name) != value
    ]
    if changed:
        return f"a result of other settings ({_first_of(changed)})"
    names = sorted(
        name for name in {*digests, *former.inputs} if former.inputs.get(name) != digests.get(name)
    )
    if names:
        return f"a result of other inputs ({_first_of(names)})"
    return "an earlier result" if former.complete else "an incomplete result"


def _first_of(changed: Sequence[str]) -> str:
    """The first few changes, and the number of the others."""
    more = f" and {len(changed) - _SHOWN_CHANGES} more" if changed[_SHOWN_CHANGES:] else ""
    return f"{', '.join(changed[:_SHOWN_CHANGES])}{more}"
