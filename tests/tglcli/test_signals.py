"""Ctrl-C and SIGTERM end a run in one line; the same command goes on from there."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
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


def start(words: tuple[str, ...], folder: Path, path: str = "") -> subprocess.Popen[str]:
    """The command in a process group of its own, as a shell starts it."""
    search = os.pathsep.join(filter(None, [path, os.environ["PATH"]]))
    return subprocess.Popen(
        [sys.executable, "-m", "tglcli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": search},
    )


def wait_for(pattern: str, folder: Path, process: subprocess.Popen[str]) -> None:
    """Until a file that the command makes is there."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not any(folder.glob(pattern)) and process.poll() is None:
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
    world: Path, tmp_path: Path, name: str, case: tuple[signal.Signals, bool, int, str]
) -> None:
    number, whole_group, code, line = case
    process = start(command(name, world), tmp_path)
    wait_for(".out.*.work", tmp_path, process)
    time.sleep(0.2)
    (os.killpg if whole_group else os.kill)(process.pid, number)
    out, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, errors, out) == (code, line, "")
    assert not (tmp_path / "out").exists()


def test_the_same_command_completes(world: Path, tmp_path: Path) -> None:
    process = start(command("render", world), tmp_path)
    wait_for(".out.*.work", tmp_path, process)
    process.terminate()
    process.communicate(timeout=PATIENCE_SECONDS)
    process = start(command("render", world), tmp_path)
    out, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, errors) == (0, "")
    assert "render: done in" in out


def test_nobody_waits_for_a_thread_that_cannot_be_stopped(world: Path, tmp_path: Path) -> None:
    (tmp_path / "ffmpeg").write_text(SLOW_FFMPEG)
    (tmp_path / "ffmpeg").chmod(0o755)
    words = ("extract-frames", str(world / "toy/valid/videos"), str(tmp_path / "out"))
    process = start((*words, "--workers", "2"), tmp_path, path=str(tmp_path))
    try:
        wait_for(".out.*.work/**/started", tmp_path, process)
        began = time.monotonic()
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 143
        assert time.monotonic() - began < 20
        assert process.stderr is not None
        assert process.stderr.readline() == TERMINATED
    finally:
        with contextlib.suppress(ProcessLookupError):  # the sleepers ended with it
            os.killpg(process.pid, signal.SIGKILL)
