"""Two processes over gloo do what one does with a doubled batch."""

import dataclasses
from pathlib import Path

import pytest
from launching import launch_pair
from safetensors.torch import load_file
from train_mini import small

from schemas.layouts import HISTORY_TABLE, WEIGHTS_FILE
from schemas.parquet import read_table
from schemas.tables import HISTORY
from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.train.config import TrainConfig, TrainInputs
from stages.train.stage import STAGE

TOLERANCE = 2e-4
"""Relative: the processes add the same gradients in another order, in float32."""


def options_of(config: TrainConfig) -> list[str]:
    """The options of `tgl train` that make this config."""
    words = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value != field.default:
            name = field.name.replace("_", "-")
            words += [f"--no-{name}"] if value is False else [f"--{name}", str(value)]
    return words


def launch(config: TrainConfig, inputs: TrainInputs, out: Path, *python: str) -> str:
    """Run `tgl train` in two processes, as a user starts it; returns its stdout.

    Args:
        python: what stands for python, if anything does.
    """
    done = launch_pair(
        *("train", inputs.index, inputs.text, out, "--backbone", inputs.backbone),
        *("--valid", inputs.valid, "--workers", "1", *options_of(config)),
        python=python,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    return done.stdout


def figures(folder: Path, name: str) -> list[float]:
    rows = read_table(folder / HISTORY_TABLE, HISTORY).to_pylist()
    return [row["value"] for row in rows if row["name"] == name]


def test_two_processes_equal_one_with_a_doubled_batch(
    inputs: TrainInputs, tmp_path: Path, python: list[str]
) -> None:
    """All frames are guided, so that the heat-map loss is a mean over equally many frames.

    The rate is small: Adam divides by the gradient's size, which turns the last bits of a
    gradient near zero into a whole step.
    """
    inputs = dataclasses.replace(inputs, valid=inputs.index)
    common = {"steps": 2, "mdp": False, "lr": 1e-6, "lr_new": 1e-6}
    one = small(batch=4, **common)
    execute(
        STAGE,
        one,
        inputs,
        tmp_path / "one",
        runtime=Runtime(workers=1, device="cpu"),
        progress=SilentProgress(),
    )
    halves = small(batch=2, **common)
    assert "2 steps" in launch(halves, inputs, tmp_path / "two", *python)
    assert "up to date" in launch(halves, inputs, tmp_path / "two", *python)
    validated = ("valid_J", "valid_relevance_auc", "valid_relevance_ap_per_sentence")
    for name in ("loss", "mask", "dice", "relevance", "norm", "J", *validated):
        expected = pytest.approx(figures(tmp_path / "one", name), rel=TOLERANCE, abs=1e-6)
        assert figures(tmp_path / "two", name) == expected, name
    first = load_file(tmp_path / "one" / WEIGHTS_FILE)
    second = load_file(tmp_path / "two" / WEIGHTS_FILE)
    apart = max(float((first[key] - second[key]).abs().max()) for key in first)
    assert apart <= 2 * 2 * common["lr_new"]


@pytest.mark.slow  # each of four interpreters loads torch
def test_torchrun_itself_starts_them(inputs: TrainInputs, tmp_path: Path) -> None:
    inputs = dataclasses.replace(inputs, valid=inputs.index)
    config = small(batch=2, steps=2, mdp=False)
    assert "2 steps" in launch(config, inputs, tmp_path / "out")
    assert "up to date" in launch(config, inputs, tmp_path / "out")
