"""docs/mevis.md and examples/mevis on miniatures of MeViS and RefCOCO, up to the zip."""

from __future__ import annotations

import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.main
from mevis_mini import FRAMES, SENTENCES, MevisMini
from real_models import save_roberta, save_sam2
from refcoco_mini import RefcocoMini
from safetensors.torch import load_file

from schemas.layouts import WEIGHTS_FILE
from schemas.receipts import read_receipt
from stages.core.model.backbones.presets import sam21_preset
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
precompute-text) set -- "$@" {encoding} ;;
train)
  case "$*" in *--init*) ;; *) set -- "$@" --backbone {backbone} ;; esac
  set -- "$@" --clip-frames 2 --relevant-frames 1 --batch 1 --steps 2 --warmup 1 --track-steps 2 \\
    --valid-frames 2 --device cpu --workers 1 {sizes} ;;
propagate) set -- "$@" --devices cpu ;;
esac
exec {tgl} "$@"
"""
LAUNCHER = """\
#!/bin/sh
while [ "$1" != tglcli ]; do shift; done
shift
exec {bin}/tgl "$@"
"""
MOST_BYTES = 12e9
KIBIBYTE = 1024


def write_downloads(folder: Path, mevis: MevisMini) -> Path:
    """Write a folder with the downloads, as the page wants them."""
    mevis.write(folder / "mevis")
    for name, by in (
        ("refcoco", ("unc", "google")),
        ("refcoco+", ("unc",)),
        ("refcocog", ("umd",)),
    ):
        mini = RefcocoMini(folder / name)
        for person in by:
            mini.write(by=person)
    (folder / "coco").mkdir()
    (folder / "refcoco" / "train2014").rename(folder / "coco" / "train2014")
    for name in ("refcoco+", "refcocog"):
        shutil.rmtree(folder / name / "train2014")
    return folder


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    return write_downloads(tmp_path, MevisMini())


def programs(folder: Path, tgl: str, **settings: str) -> dict[str, str]:
    """Programs `tgl` and `torchrun` that take small settings.

    Args:
        tgl: the command that runs.
        settings: what stands in STAND_IN for encoder, backbone and sizes.

    Returns:
        the environment in which they are found.
    """
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    stand_in = STAND_IN.format(tgl=tgl, **settings)
    for name, text in (("tgl", stand_in), ("torchrun", LAUNCHER.format(bin=bin_folder))):
        (bin_folder / name).write_text(text)
        (bin_folder / name).chmod(0o755)
    path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": path, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}
    return os.environ | own


@pytest.fixture
def environment(tmp_path: Path, forked: str) -> dict[str, str]:
    return programs(
        tmp_path,
        forked,
        encoding="--encoder hash --dim 16",
        backbone="toy",
        sizes="--adapter-width 16 --adapter-heads 2",
    )


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


def check_zip(folder: Path, environment: dict[str, str], frames: int = FRAMES) -> None:
    """The zip has every mask of the server's split, and nothing that the server refuses."""
    with zipfile.ZipFile(folder / "mevis-valid.zip") as archive:
        names = archive.namelist()
    masks = [f"{frame:05d}.png" for frame in range(frames)]
    assert sorted(names) == sorted(f"valid_0/{key}/{name}" for key in SENTENCES for name in masks)
    meta = "mevis/valid/meta_expressions.json"
    command = ["tgl", "check", "mevis-valid.zip", "--meta", meta, "--json"]
    report = json.loads(run(command, folder, environment))
    assert report["faults"] == []


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
    check_zip(downloads, environment)
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
@pytest.mark.timeout(5400)
def test_the_page_leads_to_the_zip_with_models_of_real_size(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """SAM 2.1 base-plus at 1024 px and RoBERTa-base with random weights, and TGL's own sizes."""
    mevis = MevisMini(frames=3, scale=8)
    downloads = write_downloads(tmp_path, mevis)
    sentences = [text for text, *_ in SENTENCES.values()]
    environment = programs(
        downloads,
        f"{sys.executable} -m tglcli",
        encoding=f"--encoder {save_roberta(tmp_path / 'roberta-base', sentences)} --device cpu",
        backbone=str(save_sam2(tmp_path / "sam2.1-base-plus", "base-plus")),
        sizes="",
    )
    environment["OMP_NUM_THREADS"] = str(os.cpu_count())
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    printed = run(["bash", "-ec", page_script()], downloads, environment)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    record_property("CPU seconds", round(seconds))
    record_property("peak bytes of a process", used.ru_maxrss * KIBIBYTE)
    assert used.ru_maxrss * KIBIBYTE < MOST_BYTES
    check_zip(downloads, environment, mevis.frames)
    assert all(name in printed for name in ("valid_u-annotated", "valid_u-predicted"))
    config = json.loads((downloads / "checkpoint/tgl/config.json").read_text())
    assert config["backbone"]["image_size"] == sam21_preset("base-plus").image_size


@pytest.mark.slow
@needs_make
@pytest.mark.parametrize("more", [[], ["FREEZE=--freeze backbone.sam", "GPUS=1"]])
def test_the_makefile_leads_to_the_zip(
    downloads: Path, environment: dict[str, str], more: list[str]
) -> None:
    run(["make", "-f", str(MAKEFILE), *more], downloads, environment)
    check_zip(downloads, environment)
    receipt = read_receipt(downloads / "checkpoint/tgl")
    assert receipt is not None
    weights = load_file(downloads / "checkpoint/tgl" / WEIGHTS_FILE)
    new = ("adapter.", "track_head.")
    own = sum(w.numel() for name, w in weights.items() if name.startswith(new))
    assert (receipt.counts["weights trained"] <= own) == bool(more)
