"""Two processes over gloo do what one does with a doubled batch."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from train_mini import small

from schemas.layouts import HISTORY_TABLE, WEIGHTS_FILE
from schemas.parquet import read_table
from schemas.tables import HISTORY
from stages.engine.execute import execute
from stages.engine.progress import SilentProgress
from stages.engine.runtime import Runtime
from stages.train.config import TrainInputs
from stages.train.stage import STAGE

TOLERANCE = 2e-4
"""Relative: the processes add the same gradients in another order, in float32."""

PART = """
import pickle, sys
from pathlib import Path
from stages.engine.execute import execute
from stages.engine.progress import SilentProgress
from stages.engine.runtime import Runtime
from stages.train.stage import STAGE, together

config, inputs, out = pickle.loads(Path(sys.argv[1]).read_bytes())
runtime, progress = Runtime(workers=1, device="cpu"), SilentProgress()
for run in range(2):
    outcome = together(
        lambda: execute(STAGE, config, inputs, out, runtime=runtime, progress=progress),
        config, inputs, runtime,
    )
    if outcome is not None:
        assert outcome.skipped == (run == 1)
"""


def figures(folder: Path, name: str) -> list[float]:
    rows = read_table(folder / HISTORY_TABLE, HISTORY).to_pylist()
    return [row["value"] for row in rows if row["name"] == name]


def test_two_processes_equal_one_with_a_doubled_batch(inputs: TrainInputs, tmp_path: Path) -> None:
    """All frames are guided, so that the heat-map loss is a mean over equally many frames.

    The rate is small: Adam divides by the gradient's size, which turns the last bits of a
    gradient near zero into a whole step.
    """
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
    script, job = tmp_path / "part.py", tmp_path / "job.pkl"
    script.write_text(PART)
    job.write_bytes(pickle.dumps((small(batch=2, **common), inputs, tmp_path / "two")))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*launcher, "--nproc_per_node", "2", str(script), str(job)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    for name in ("loss", "mask", "dice", "relevance", "norm", "J"):
        expected = pytest.approx(figures(tmp_path / "one", name), rel=TOLERANCE, abs=1e-6)
        assert figures(tmp_path / "two", name) == expected, name
    first = load_file(tmp_path / "one" / WEIGHTS_FILE)
    second = load_file(tmp_path / "two" / WEIGHTS_FILE)
    apart = max(float((first[key] - second[key]).abs().max()) for key in first)
    assert apart <= 2 * 2 * common["lr_new"]
