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
from output_commands import COMMANDS, add_foreign
from tiny_detectors import save_detector
from tiny_encoder import save_encoder
from tiny_selectors import save_answerer, save_selector
from tiny_world import TinyWorld

from tglcli.libraries import ENVIRONMENT

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
    known = {k: v for k, v in os.environ.items() if k not in ENVIRONMENT}
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


WARNINGS = {
    "train": (
        "--warmup 100 is not shorter than the training: the full learning rate is never reached",
        "the moments of INDEX lie too much alike: with clips of 3 frames, the share of relevant "
        "frames differs by up to 50% between the places of a clip; fewer --clip-frames help",
    ),
    "track": ("no tracks in 2 videos (a, b)",),
    "segment --model -o": (
        "no tracks in 1 video (source)",
        "no track is accepted for 1 of 1 sentence: their masks are empty",
    ),
}
"""All that the commands say, of random models and a training of one step."""
SUFFIXES = {
    "score --report": ".html",
    "submit": ".zip",
    "describe --html": ".html",
    "describe --json": ".json",
    "export-moments": ".csv",
}
ONCE = ("--masks", "--table", "--work")
"""Outputs of `tgl segment`: it runs once for its overlay."""


def test_every_command_says_what_it_warns_of_and_nothing_else(
    tiny_world: TinyWorld, tmp_path: Path
) -> None:
    world = tiny_world.copy(tmp_path / "world")
    add_foreign(world)
    commands, twice = with_other_models(world, tmp_path)
    expected = []
    for number, (name, command) in enumerate(COMMANDS.items()):
        if name.endswith(ONCE):
            continue
        out = tmp_path / f"{number}{SUFFIXES.get(name, command.suffix)}"
        commands.append((*map(str, command.arguments(world, out)), "-q"))
        expected += [line.replace("INDEX", str(world.index)) for line in WARNINGS.get(name, ())]
    code, piped, shown = printed(commands, tmp_path, twice)
    assert shown.splitlines() == [f"warning: {line}" for line in expected]
    assert (code, piped) == (0, "")
    assert (tmp_path / "text/receipt.json").is_file()
    assert (tmp_path / "moments/receipt.json").is_file()
    assert (tmp_path / "o.png").is_file()


def with_other_models(world: TinyWorld, folder: Path) -> tuple[list[tuple[str, ...]], int]:
    """Commands with models of further families; those that --force shall run again come first.

    Returns:
        The commands, and how many of them to run twice.
    """
    encoder = save_encoder(folder / "encoder")
    selector = save_selector("siglip", folder / "selector")
    detectors = ("grounding-dino", "mm-grounding-dino")
    for name in detectors:
        save_detector(name, folder / name)
    index = str(world.index)
    photo = str(world.frames / "JPEGImages" / "a" / "00000.jpg")
    tracks = ("--model", str(world.detector), "--tracker", "toy")
    judge = ("--judge", str(save_answerer("llava", folder / "judge")))
    twice = [
        ("precompute-text", index, "text", "-q", "--encoder", str(encoder)),
        ("select-moments", index, "moments", "-q", "--model", str(selector)),
        ("segment", photo, "the left one", "-q", "-o", "o.png", *tracks, *judge),
    ]
    once = [
        ("ground", index, f"{name}-out", "-q", "--model", str(folder / name)) for name in detectors
    ]
    return [*twice, *once], len(twice)


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
