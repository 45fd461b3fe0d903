"""A stage for the engine's tests: it copies files, one unit per file, and fails when told to."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from schemas.directories import sha256_file
from schemas.errors import CorruptInput
from stages.core.engine.execute import Outcome, execute
from stages.core.engine.progress import Progress, SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs, Result, Stage
from stages.core.engine.workspace import Workspace

KILL_AFTER = "TGL_TEST_KILL_AFTER"


@dataclass(frozen=True)
class CopyConfig(Settings):
    times: int = setting(1, "How often the text is repeated.", low=1, high=9)


@dataclass(frozen=True)
class CopyInputs(Inputs):
    folder: Path

    def digests(self) -> dict[str, str]:
        return {path.name: sha256_file(path) for path in sorted(self.folder.iterdir())}


def run(
    config: CopyConfig,
    inputs: CopyInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Copy every file; the word `damaged` fails, and the environment may ask for a SIGKILL."""
    worked, kept, failures = 0, 0, {}
    kill_after = int(os.environ.get(KILL_AFTER, "-1"))
    for name, digest in inputs.digests().items():
        if out.finished(name, digest) is not None:
            kept += 1
            continue
        if worked == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)
        text = (inputs.folder / name).read_text()
        if text == "damaged":
            failures[name] = str(CorruptInput("is damaged", where=name))
            continue
        target = out.path / "copies" / name
        target.parent.mkdir(exist_ok=True)
        target.write_text(text * config.times)
        out.finish(name, digest, pa.table({"name": [name]}), [target])
        worked += 1
    (out.path / "table.txt").write_text(f"{config.times}\n")
    return Result({}, failures, {"worked": worked, "kept": kept})


COPY = Stage("copy", 1, CopyConfig, CopyInputs, run)


def copy(
    source: Path,
    out: Path,
    *,
    stage: Stage[CopyConfig, CopyInputs] = COPY,
    force: bool = False,
    hold: bool = False,
    progress: Progress | None = None,
    **settings: int,
) -> Outcome:
    """Execute the stage, or one made from it."""
    return execute(
        stage,
        CopyConfig(**settings),
        CopyInputs(source),
        out,
        runtime=Runtime(workers=1),
        progress=progress or SilentProgress(),
        force=force,
        hold=hold,
    )


def content(folder: Path) -> dict[str, str]:
    """The copies in an artifact."""
    return {p.name: p.read_text() for p in sorted((folder / "copies").iterdir())}


def beside(out: Path) -> list[str]:
    """Names of other files in the parent folder, where no run may leave any."""
    return sorted(p.name for p in out.parent.iterdir() if p.name not in (out.name, "source"))
