"""What the tests of several stages share: running a stage, and killing one half-way."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stages.engine.execute import Outcome, execute
from stages.engine.progress import SilentProgress
from stages.engine.runtime import Runtime
from stages.engine.stage import Stage

_KILLED = -9
_KILLER = """
import os, pickle, signal, sys
from contextlib import contextmanager

from stages.engine.execute import execute
from stages.engine.progress import SilentProgress
from stages.engine.runtime import Runtime

module, config, inputs, out, after = pickle.load(sys.stdin.buffer)


class Killer(SilentProgress):
    done = 0

    @contextmanager
    def task(self, name, total, unit):
        yield self

    def advance(self, n=1, **figures):
        self.done += n
        if self.done >= after:
            os.kill(os.getpid(), signal.SIGKILL)


stage = __import__(module, fromlist=["STAGE"]).STAGE
execute(stage, config, inputs, out, runtime=Runtime(workers=1, device="cpu"), progress=Killer())
"""


@pytest.fixture
def run_stage() -> Callable[..., Outcome]:
    """`run_stage(stage, config, inputs, out)`: execute on one worker and the CPU, silently."""

    def run(
        stage: Stage[Any, Any],
        config: Any,
        inputs: Any,
        out: Path,
        *,
        workers: int = 1,
        force: bool = False,
        progress: SilentProgress | None = None,
    ) -> Outcome:
        return execute(
            stage,
            config,
            inputs,
            out,
            runtime=Runtime(workers=workers, device="cpu"),
            progress=progress or SilentProgress(),
            force=force,
        )

    return run


@pytest.fixture
def killed_run() -> Callable[..., None]:
    """`killed_run(stage, config, inputs, out, after)`: the same in a process that kills itself.

    SIGKILL comes as soon as the stage's progress reaches `after` units.
    """

    def run(stage: Stage[Any, Any], config: Any, inputs: Any, out: Path, after: int) -> None:
        job = pickle.dumps((stage.run.__module__, config, inputs, out, after))
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", _KILLER], input=job, capture_output=True, env=environment
        )
        assert done.returncode == _KILLED, done.stderr.decode()

    return run
