"""docs/mevis.md and examples/mevis on miniatures of MeViS and RefCOCO, up to the zip."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
import typer.main
from mevis_mini import FRAMES, SENTENCES, write_mevis
from refcoco_mini import RefcocoMini
from safetensors.torch import load_file

from schemas.layouts import WEIGHTS_FILE
from schemas.receipts import read_receipt
from tglcli.main import app

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "mevis.md"
MAKEFILE = ROOT / "examples" / "mevis" / "Makefile"
FENCE = "```"
IMAGE_SENTENCES = 3 * 4
"""Of the training splits of three data sets."""
PRINTED = """
tgl() { printf '%s\\n' "tgl $*"; }
torchrun() { printf '%s\\n' "torchrun $*"; }
"""
STAND_IN = """\
#!/bin/sh
case "$1" in
precompute-text) set -- "$@" --encoder hash --dim 16 ;;
train)
  case "$*" in *--init*) ;; *) set -- "$@" --backbone toy ;; esac
  set -- "$@" --clip-frames 2 --relevant-frames 1 --batch 1 --steps 2 --warmup 1 --track-steps 2 \\
    --adapter-width 16 --adapter-heads 2 --valid-frames 2 --device cpu --workers 1 ;;
propagate) set -- "$@" --devices cpu ;;
esac
echo "$@" >> {log}
exec {tgl} "$@"
"""
LAUNCHER = """\
#!/bin/sh
while [ "$1" != tglcli ]; do shift; done
shift
exec {bin}/tgl "$@"
"""


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    """A folder with the downloads, as the page wants them."""
    write_mevis(tmp_path / "mevis")
    for name, by in (
        ("refcoco", ("unc", "google")),
        ("refcoco+", ("unc",)),
        ("refcocog", ("umd",)),
    ):
        mini = RefcocoMini(tmp_path / name)
        for person in by:
            mini.write(by=person)
    (tmp_path / "coco").mkdir()
    (tmp_path / "refcoco" / "train2014").rename(tmp_path / "coco" / "train2014")
    for name in ("refcoco+", "refcocog"):
        shutil.rmtree(tmp_path / name / "train2014")
    return tmp_path


@pytest.fixture
def environment(tmp_path: Path, forked: str) -> dict[str, str]:
    """Programs `tgl` and `torchrun` that take small settings; the commands go to `commands`."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    tgl = STAND_IN.format(log=shlex.quote(str(tmp_path / "commands")), tgl=forked)
    for name, text in (("tgl", tgl), ("torchrun", LAUNCHER.format(bin=bin_folder))):
        (bin_folder / name).write_text(text)
        (bin_folder / name).chmod(0o755)
    path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": path, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}
    return os.environ | own


def page_script() -> str:
    """The commands of the page: its blocks that are marked as `sh`."""
    blocks, inside = [], False
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith(FENCE):
            inside = line == f"{FENCE}sh"
        elif inside:
            blocks.append(line)
    return "\n".join(blocks)


def run(words: list[str], folder: Path, env: dict[str, str] | None = None) -> str:
    """Run a program; what it prints."""
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, check=False, env=env or dict(os.environ)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def written(text: str) -> list[list[str]]:
    """Commands of tgl among lines of a shell, each as its words."""
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.startswith(("tgl ", "torchrun "))]


def check_zip(folder: Path) -> None:
    with zipfile.ZipFile(folder / "mevis-valid.zip") as archive:
        names = set(archive.namelist())
    frames = [f"{frame:05d}.png" for frame in range(FRAMES)]
    assert names == {f"valid_0/{key}/{name}" for key in SENTENCES for name in frames}


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@needs_make
def test_the_page_and_the_makefile_have_the_same_commands(downloads: Path) -> None:
    page = written(run(["bash", "-ec", PRINTED + page_script()], downloads))
    makefile = written(run(["make", "-n", "-f", str(MAKEFILE)], downloads))
    assert len(page) > 20
    assert sorted(page) == sorted(makefile)


def test_every_command_of_the_page_has_its_options(downloads: Path) -> None:
    group: Any = typer.main.get_command(app)
    for words in written(run(["bash", "-ec", PRINTED + page_script()], downloads)):
        name, *rest = words[1:] if words[0] == "tgl" else words[words.index("tglcli") + 1 :]
        known = {
            option for p in group.commands[name].params for option in p.opts + p.secondary_opts
        }
        assert known >= {word for word in rest if word.startswith("--")}, name


@pytest.mark.slow
@needs_make
def test_the_page_leads_to_the_zip_and_leaves_the_makefile_nothing_to_do(
    downloads: Path, environment: dict[str, str]
) -> None:
    printed = run(["bash", "-ec", page_script()], downloads, environment)
    check_zip(downloads)
    for run_name in ("valid_u-annotated", "valid_u-predicted"):
        assert run_name in printed.split("tgl table")[-1]
        summary = json.loads((downloads / "scores" / run_name / "summary.json").read_text())
        assert summary["expressions"] == len(SENTENCES)
    images, tgl = (read_receipt(downloads / "checkpoint" / name) for name in ("images", "tgl"))
    assert images is not None
    assert images.counts["of one-frame videos"] == IMAGE_SENTENCES
    assert tgl is not None
    assert "init" in tgl.inputs
    assert "valid J" in tgl.counts
    again = run(["make", "-f", str(MAKEFILE)], downloads, environment)
    assert "done in" not in again


@pytest.mark.slow
@needs_make
@pytest.mark.parametrize("more", [[], ["FREEZE=--freeze backbone.sam", "GPUS=1"]])
def test_the_makefile_leads_to_the_zip(
    downloads: Path, environment: dict[str, str], more: list[str]
) -> None:
    run(["make", "-f", str(MAKEFILE), *more], downloads, environment)
    check_zip(downloads)
    receipt = read_receipt(downloads / "checkpoint/tgl")
    assert receipt is not None
    weights = load_file(downloads / "checkpoint/tgl" / WEIGHTS_FILE)
    new = ("adapter.", "track_head.")
    own = sum(w.numel() for name, w in weights.items() if name.startswith(new))
    assert (receipt.counts["weights trained"] <= own) == bool(more)
