"""The app as a person meets it: help, version, mistakes, exit codes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from command_line import run_tgl

from tglcli.main import app
from tglcli.reference import reference

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = typer.main.get_command(app).commands
HEAVY = ("torch", "transformers", "pyarrow", "PIL", "skimage", "accelerate")
# The promise is 0.4 s on a free machine; a busy one may take longer for the same work.
HELP_SECONDS = 0.4
BUSY = 2


def tgl(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line, without colours and on a terminal of 100 columns."""
    return run_tgl(*arguments, cwd=cwd, COLUMNS="100", NO_COLOR="1")


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "tglcli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "100", "NO_COLOR": "1"},
    )


def test_help_loads_nothing_heavy() -> None:
    """`tgl --help` must come at once: neither torch nor transformers nor arrow."""
    code = (
        "import sys, tglcli.main\n"
        "from typer.testing import CliRunner\n"
        "assert CliRunner().invoke(tglcli.main.app, ['--help']).exit_code == 0\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_help_is_fast() -> None:
    best = min(_seconds_of_help() for _ in range(3))
    assert best < HELP_SECONDS * BUSY


def _seconds_of_help() -> float:
    """Of the processor, since other processes take their share of the clock's."""
    before = os.times()
    assert start("--help").returncode == 0
    after = os.times()
    user = after.children_user - before.children_user
    return user + after.children_system - before.children_system


def test_version() -> None:
    done = start("--version")
    assert re.fullmatch(r"tgl \d+\.\d+\.\d+\S*\n", done.stdout)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_and_option_has_help(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    for parameter in command.params:
        assert parameter.help, f"tgl {name}: {parameter.name} has no help"


def test_the_reference_is_what_the_commands_say() -> None:
    assert (ROOT / "docs" / "commands.md").read_text(encoding="utf-8") == reference(), (
        "docs/commands.md is stale: run `make docs`"
    )


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    done = tgl("build-moments", "nowhere", "out", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr == "error: nowhere: no such folder\n"
    assert not (tmp_path / "out").exists()


def test_inputs_are_missed_before_a_backbone_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    for words, missing in (
        (("nowhere", "index", "out"), "nowhere"),
        (("index", "nothing", "out"), "nothing"),
        (("index", "index", "out", "--valid", "none"), "none"),
    ):
        done = tgl("train", *words, "--backbone", "no/such-model", cwd=tmp_path)
        assert done.returncode == 3
        assert done.stderr == f"error: {missing}: no such folder\n"


def test_what_another_stage_made_is_named(tmp_path: Path) -> None:
    toy = ("toy", "toy", "--train-clips", "1", "--valid-clips", "0", "--dev-clips", "0")
    assert tgl(*toy, cwd=tmp_path).returncode == 0
    for command, message in (
        (
            ("precompute-text", "toy", "t"),
            "is not an index, it lacks expressions.parquet; make one ",
        ),
        (("table", "toy"), "/summary.json: no such summary; make it "),
        (
            ("propagate", "toy", "toy", "./toy", "m"),
            "it lacks config.json; make one with tgl train ",
        ),
        (("score", "toy", "toy"), "nor <video>/<expression>/<frame>.png "),
    ):
        done = tgl(*command, cwd=tmp_path)
        assert done.returncode == 3
        assert message in done.stderr
        assert done.stderr.endswith("(toy was made by tgl toy)\n")


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    done = tgl("toy", "file/out", "--train-clips", "1", cwd=tmp_path)
    assert done.returncode == 10
    assert done.stderr == f"error: {tmp_path / 'file'}: is a file, not a folder\n"
    done = tgl("check", "x" * 300, cwd=tmp_path)
    assert done.returncode == 10
    assert done.stderr == f"error: {'x' * 300}: file name too long\n"


def test_a_setting_out_of_range_is_one_line(tmp_path: Path) -> None:
    done = tgl("toy", "out", "--train-clips", "-1", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: --train-clips: -1 is outside [0, inf]\n"


def test_a_typo_gets_a_suggestion() -> None:
    done = start("extract-frame")
    assert done.returncode == 2
    assert "extract-frames" in done.stderr


def documented_calls() -> list[tuple[str, str, list[str]]]:
    """Every `tgl command --option` of the README, the docs and the examples."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    pages += sorted((ROOT / "examples").rglob("Makefile"))
    calls = []
    for page in pages:
        if page.name == "commands.md":
            continue
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for found in re.finditer(r"(?:\btgl|\$\(TGL\)) ([a-z][a-z-]+)([^`\n|#]*)", text):
            options = re.findall(r"(?<!\S)--[a-z][a-z-]*", found[2])
            if options or found[1] in COMMANDS:
                calls.append((page.name, found[1], options))
    return calls


@pytest.mark.parametrize("call", documented_calls(), ids=lambda c: f"{c[0]}-{c[1]}")
def test_documented_calls_exist(call: tuple[str, str, list[str]]) -> None:
    page, name, options = call
    assert name in COMMANDS, f"{page} names tgl {name}, which does not exist"
    known = {o for p in COMMANDS[name].params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
    assert set(options) <= known, f"{page}: tgl {name} has no {set(options) - known}"


def test_every_stage_is_documented() -> None:
    named = {name for page, name, _ in documented_calls() if page == "README.md"}
    stages = {"extract-frames", "build-moments", "precompute-text", "train", "propagate", "score"}
    assert stages <= named
