"""Ctrl-C and SIGTERM end a run in one line; the same command goes on from there."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from forked_python import OWN_WORKERS, PID_FILE

PATIENCE_SECONDS = 60
INTERRUPTED = "interrupted; run the same command again to resume\n"
TERMINATED = "terminated; run the same command again to resume\n"
ONE_SENTENCE = ("--only", "valid_0000/0", "--only", "valid_0001/0", "--short-side", "480")
CTRL_C = (signal.SIGINT, True, 130, INTERRUPTED)
SIGTERM = (signal.SIGTERM, False, 143, TERMINATED)
SIGTERM_TO_ALL = (signal.SIGTERM, True, 143, TERMINATED)
SLOW_FFMPEG = """#!/bin/sh
case "$*" in *-demuxers*) exit 0;; esac
touch started
exec sleep 60
"""


def command(name: str, world: Path) -> tuple[str, ...]:
    """A command that takes a while, to `out` in the folder it is started in."""
    preds, index, text, model = (str(world / part) for part in ("preds", "index", "text", "ck"))
    return {
        "render": ("render", preds, index, "out", *ONE_SENTENCE, "--workers", "2"),
        "score": ("score", preds, index, "--out", "out", "--images", "-1", "--workers", "2"),
        "propagate": ("propagate", index, text, model, "out", "--workers", "2"),
    }[name]


class Started:
    """A command in a process group of its own, as a shell starts it."""

    def __init__(self, python: list[str], words: tuple[str, ...], folder: Path, path: str = ""):
        self._folder = folder
        self._number = folder / "pid"
        search = os.pathsep.join(filter(None, [path, os.environ["PATH"]]))
        self.popen = subprocess.Popen(
            [*python, "-m", "tglcli", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=os.environ | {"PATH": search, PID_FILE: str(self._number), OWN_WORKERS: "1"},
        )

    @property
    def pid(self) -> int:
        """The command's own number, not that of the process which stands for it."""
        return int(self._number.read_text())

    def wait_for(self, pattern: str) -> None:
        """Until a file that the command makes is there."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not any(self._folder.glob(pattern)) and self.popen.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("render", CTRL_C),
        ("render", SIGTERM),
        ("render", SIGTERM_TO_ALL),
        ("score", CTRL_C),
        ("propagate", SIGTERM),
    ],
    ids=str,
)
def test_a_signal_ends_in_one_line(
    world: Path,
    tmp_path: Path,
    python: list[str],
    name: str,
    case: tuple[signal.Signals, bool, int, str],
) -> None:
    number, whole_group, code, line = case
    process = Started(python, command(name, world), tmp_path)
    process.wait_for(".out.*.work")
    time.sleep(0.2)
    (os.killpg if whole_group else os.kill)(process.pid, number)
    out, errors = process.popen.communicate(timeout=PATIENCE_SECONDS)
    assert (process.popen.returncode, out) == (code, ""), errors
    assert errors == line
    assert not (tmp_path / "out").exists()


def test_the_same_command_completes(world: Path, tmp_path: Path, python: list[str]) -> None:
    process = Started(python, command("render", world), tmp_path)
    process.wait_for(".out.*.work")
    os.kill(process.pid, signal.SIGTERM)
    process.popen.communicate(timeout=PATIENCE_SECONDS)
    process = Started(python, command("render", world), tmp_path)
    out, errors = process.popen.communicate(timeout=PATIENCE_SECONDS)
    assert (process.popen.returncode, errors) == (0, "")
    assert "render: done in" in out


def test_nobody_waits_for_a_thread_that_cannot_be_stopped(
    world: Path, tmp_path: Path, python: list[str]
) -> None:
    (tmp_path / "ffmpeg").write_text(SLOW_FFMPEG)
    (tmp_path / "ffmpeg").chmod(0o755)
    words = ("extract-frames", str(world / "toy/valid/videos"), str(tmp_path / "out"))
    process = Started(python, (*words, "--workers", "2"), tmp_path, path=str(tmp_path))
    try:
        process.wait_for(".out.*.work/**/started")
        began = time.monotonic()
        os.kill(process.pid, signal.SIGTERM)
        assert process.popen.wait(PATIENCE_SECONDS) == 143
        assert time.monotonic() - began < 20
        assert process.popen.stderr is not None
        assert process.popen.stderr.readline() == TERMINATED
    finally:
        with contextlib.suppress(ProcessLookupError):  # the sleepers ended with it
            os.killpg(process.pid, signal.SIGKILL)
