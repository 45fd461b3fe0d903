"""Runs that end early: killed, failed at once, out of memory or disk."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy_stage import COPY, KILL_AFTER, beside, content, copy

from schemas.errors import OutOfMemory, OutputBlocked
from stages.core.engine.stage import Result

SCRIPT = """
import sys
from pathlib import Path
from toy_stage import copy
copy(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def killed_copy(source: Path, out: Path, after: int) -> int:
    """Copy in a process that kills itself after some files; returns its exit code."""
    environment = {KILL_AFTER: str(after), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SCRIPT, str(source), str(out)]
    return subprocess.run(command, env=os.environ | environment, check=False).returncode


@pytest.mark.parametrize("after", [0, 1, 2])
def test_sigkill_resumes_where_it_was(source: Path, tmp_path: Path, after: int) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    assert killed_copy(source, out, after) == -signal.SIGKILL
    assert not out.exists()
    assert copy(source, out).counts == {"worked": 3 - after, "kept": after}
    copy(source, whole)
    assert content(out) == content(whole)
    assert beside(out) == ["whole"]


def test_sigkill_leaves_the_former_artifact_whole(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy(source, out)
    before = content(out)
    for name in "abc":
        (source / name).write_text(f"newer {name}")
    assert killed_copy(source, out, 1) == -signal.SIGKILL
    assert content(out) == before
    assert copy(source, out).counts == {"worked": 2, "kept": 1}


def test_other_settings_do_not_see_the_scratch_of_a_killed_run(
    source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert killed_copy(source, out, 2) == -signal.SIGKILL
    assert copy(source, out, times=3).counts == {"worked": 3, "kept": 0}
    assert beside(out) == []


def test_a_publication_that_was_killed_is_undone(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy(source, out)
    out.rename(tmp_path / ".out.retired")
    assert copy(source, out).skipped
    assert beside(out) == []


def test_a_run_that_fails_at_once_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: Path) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "read_text", interrupted)
    with pytest.raises(KeyboardInterrupt):
        copy(source, tmp_path / "out")
    assert beside(tmp_path / "out") == []


def test_a_full_disk_is_one_line_and_keeps_the_work(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(OutputBlocked, match="the disk is full"):
            copy(source, out)
    assert copy(source, out).counts["worked"] == 3


def _no_ram() -> None:
    raise MemoryError


def _no_cpu_memory() -> None:
    torch.empty(2**60, dtype=torch.uint8)


def _no_accelerator_memory() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore lines")


@pytest.mark.parametrize("fail", [_no_ram, _no_cpu_memory, _no_accelerator_memory])
def test_a_lack_of_memory_is_one_line(
    source: Path, tmp_path: Path, fail: Callable[[], None]
) -> None:
    def run(*given: object, **more: object) -> Result:
        fail()
        raise AssertionError("there was memory")

    with pytest.raises(OutOfMemory, match=r"^copy: not enough memory \(.*finished work is kept"):
        copy(source, tmp_path / "out", stage=replace(COPY, run=run))
