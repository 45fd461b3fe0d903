"""`-q` is quiet: no bar, no summary and no word of another library, for pipes and terminals."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_detectors import save_detector
from tiny_encoder import save_encoder
from tiny_selectors import save_answerer, save_selector
from tiny_world import TinyWorld

ROOT = Path(__file__).resolve().parents[2]
ALL_IN_ONE = """
import json, os, sys

from tglcli.main import main

def run(words):
    sys.argv = ["tgl", *words]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, ended.code

commands, twice = json.loads(sys.argv[1]), int(sys.argv[2])
for words in commands:
    run(words)
os.dup2(1, 2)  # from here on standard error is the pipe too
for words in commands[:twice]:
    run([*words, "--force"])
"""
"""Libraries take seconds to load: once is enough."""


def printed(commands: list[tuple[str, ...]], folder: Path, twice: int) -> tuple[int, str, str]:
    """Run commands with standard error on a terminal, and the first few again, on a pipe.

    Returns:
        The exit code, what came to the pipe, what came to the terminal.
    """
    ours, theirs = pty.openpty()
    known = {k: v for k, v in os.environ.items() if k != "HF_HUB_DISABLE_PROGRESS_BARS"}
    with subprocess.Popen(
        [sys.executable, "-c", ALL_IN_ONE, json.dumps(commands), str(twice)],
        cwd=folder,
        env=known | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    ) as process:
        os.close(theirs)
        shown = drained(ours)
        assert process.stdout is not None
        piped = process.stdout.read()
        return process.wait(), piped, shown


def drained(terminal: int) -> str:
    """All that is written to a terminal until nobody has it open."""
    blocks = []
    with contextlib.suppress(OSError):  # how Linux says that nobody has
        while block := os.read(terminal, 1 << 16):
            blocks.append(block)
    os.close(terminal)
    return b"".join(blocks).decode()


def test_real_models_are_loaded_without_a_word(world: Path, tmp_path: Path) -> None:
    encoder = save_encoder(tmp_path / "encoder")
    selector = save_selector("clip", tmp_path / "selector")
    detectors = ("grounding-dino", "mm-grounding-dino", "owlv2")
    for name in detectors:
        save_detector(name, tmp_path / name)
    index = str(world / "index")
    photo = str(world / "photo.jpg")
    tracks = ("--model", str(tmp_path / "owlv2"), "--tracker", "toy")
    judge = ("--judge", str(save_answerer("llava", tmp_path / "judge")))
    commands = [
        ("precompute-text", index, "text", "-q", "--encoder", str(encoder)),
        ("select-moments", index, "moments", "-q", "--model", str(selector)),
        ("segment", photo, "the left one", "-q", "-o", "o.png", *tracks, *judge),
        *(
            ("ground", index, f"{name}-out", "-q", "--model", str(tmp_path / name))
            for name in detectors
        ),
    ]
    once_more = len(commands) - len(detectors)  # `segment` has one of the detectors
    assert printed(commands, tmp_path, once_more) == (0, "", "")
    assert (tmp_path / "text/receipt.json").is_file()
    assert (tmp_path / "moments/receipt.json").is_file()
    assert (tmp_path / "o.png").is_file()


@pytest.mark.slow  # loads the libraries again
def test_a_pipe_gets_the_summary_alone(tiny_world: TinyWorld, tmp_path: Path) -> None:
    command = ("select-moments", tiny_world.index, "out", "--model", tiny_world.selector)
    done = subprocess.run(
        [sys.executable, "-m", "tglcli", *map(str, command)],
        capture_output=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout.count(b"\n")) == (0, b"", 1)
