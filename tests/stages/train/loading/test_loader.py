"""Batches from workers: the same as without them, and failures that stay what they are."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from train_mini import SIZE, children_end, small, write_index

from schemas.errors import CorruptInput, TglError
from schemas.layouts import MASKS_TABLE
from stages.core.engine.runtime import Runtime
from stages.train.config import TrainInputs
from stages.train.data.dataset import ClipDataset, Sample
from stages.train.loading import loader
from stages.train.loading.loader import BatchNumbers, load_batches, workers_of_process


def dataset(inputs: TrainInputs) -> ClipDataset:
    return ClipDataset(inputs.index, inputs.text, small(), size=SIZE)


@pytest.fixture
def own(inputs: TrainInputs, tmp_path: Path) -> TrainInputs:
    """Inputs whose index may be damaged."""
    write_index(tmp_path / "index")
    return dataclasses.replace(inputs, index=tmp_path / "index")


def test_workers_and_processes_change_nothing(inputs: TrainInputs) -> None:
    data = dataset(inputs)
    alone, helped = (
        [
            s
            for batch in load_batches(data, BatchNumbers(0, 4, 4, 0, 1), workers, list)
            for s in batch
        ]
        for workers in (0, 2)
    )
    ranks = [list(load_batches(data, BatchNumbers(0, 4, 2, rank, 2), 0, list)) for rank in (0, 1)]
    split = [
        sample for batches in zip(*ranks, strict=True) for batch in batches for sample in batch
    ]
    assert len(alone) == 16
    for other in (helped, split):
        for one, two in zip(alone, other, strict=True):
            assert (one.video_id, one.expression_id) == (two.video_id, two.expression_id)
            assert (one.frames == two.frames).all()
            assert torch.equal(one.pixels, two.pixels)
            assert torch.equal(one.targets, two.targets)


def test_batches_go_on_from_a_step(inputs: TrainInputs) -> None:
    whole = list(BatchNumbers(0, 6, 3, 1, 2))
    assert list(BatchNumbers(4, 6, 3, 1, 2)) == whole[4:]
    assert len(BatchNumbers(4, 6, 3, 1, 2)) == 2


# --- failures ---------------------------------------------------------------------------------


def flipped(path: Path, place: float) -> None:
    """Flip the lowest bit of a byte at a share of a file."""
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 1
    path.write_bytes(content)


def test_a_worker_s_error_comes_as_it_is(own: TrainInputs) -> None:
    for path in (own.index / "frames").rglob("*.jpg"):
        path.write_bytes(path.read_bytes()[:200])
    errors = []
    for workers in (0, 2):
        with pytest.raises(CorruptInput) as caught:
            list(load_batches(dataset(own), BatchNumbers(0, 4, 2, 0, 1), workers, list))
        assert children_end(), "an error that is kept keeps the workers"
        errors.append(str(caught.value))
    assert errors[0] == errors[1]
    assert "Traceback" not in errors[1]
    assert ".jpg: " in errors[1]


@pytest.mark.parametrize("place", [n / 16 for n in range(16)])
def test_masks_with_a_flipped_bit_load_or_give_one_line(own: TrainInputs, place: float) -> None:
    flipped(own.index / MASKS_TABLE, place)
    try:
        list(load_batches(dataset(own), BatchNumbers(0, 8, 2, 0, 1), 0, list))
    except TglError as error:
        assert "\n" not in str(error)  # noqa: PT017 (either way is right)
        assert len(str(error)) < 500  # noqa: PT017


_KILLED = """
import os, pickle, signal, sys
from contextlib import contextmanager
from multiprocessing import active_children

from schemas.errors import TglError
from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.train.stage import STAGE

class Killing(SilentProgress):
    @contextmanager
    def task(self, name, total, unit):
        yield self

    def advance(self, n=1, **figures):
        for child in active_children():
            os.kill(child.pid, signal.SIGKILL)

config, inputs, out = pickle.load(sys.stdin.buffer)
try:
    runtime = Runtime(workers=2, device="cpu")
    execute(STAGE, config, inputs, out, runtime=runtime, progress=Killing())
except TglError as error:
    print(error)
"""


def test_a_killed_worker_is_one_line(inputs: TrainInputs, tmp_path: Path) -> None:
    """In its own process, so that everything it prints until its end is seen."""
    job = pickle.dumps((small(steps=30), inputs, tmp_path / "out"))
    done = subprocess.run(
        [sys.executable, "-c", _KILLED], input=job, capture_output=True, timeout=120
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")
    assert done.stdout.decode() == (
        "a worker process died, most likely for lack of memory; rerun with fewer --workers; "
        "training resumes from the last saved step\n"
    )
    assert not (tmp_path / "out").exists()


class Broken(ClipDataset):
    """Samples that cannot be made because of a bug."""

    def __getitem__(self, number: int) -> Sample:
        raise RuntimeError("a bug")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bug_is_not_taken_for_a_death(inputs: TrainInputs, workers: int) -> None:
    broken = Broken(inputs.index, inputs.text, small(), size=SIZE)
    with pytest.raises(RuntimeError, match="a bug"):
        list(load_batches(broken, BatchNumbers(0, 1, 1, 0, 1), workers, list))


_FEW_FILES = """
import pickle, resource, sys
from schemas.errors import SystemRefused
dataset, numbers = pickle.load(sys.stdin.buffer)
from stages.train.loading.loader import load_batches
for limit in ((24, 1024), (24, 24)):
    resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    try:
        print(len(list(load_batches(dataset, numbers, 2, list))))
    except SystemRefused as error:
        print(error)
"""


def test_few_open_files_are_raised_or_told_before_the_first_batch(inputs: TrainInputs) -> None:
    """Without enough of them a worker's batch is lost, and the reader waits for it for ever."""
    job = pickle.dumps((dataset(inputs), BatchNumbers(0, 3, 4, 0, 1)))
    done = subprocess.run(
        [sys.executable, "-c", _FEW_FILES], input=job, capture_output=True, timeout=120
    )
    assert not done.stderr, done.stderr.decode()
    raised, refused = done.stdout.decode().splitlines()
    assert raised == "3"
    assert refused.startswith("--workers: too many open files: ")
    assert "ulimit -n" in refused


# --- workers of a machine ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "processes", "each"),
    [(96, 8, 8), (96, 1, 8), (96, 32, 3), (40, 1, 40), (40, 8, 5), (1, 8, 1)],
)
def test_processes_share_the_workers_of_their_machine(
    given: int, processes: int, each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight at most, unless another number than that of the cores (96) was asked for."""
    monkeypatch.setattr(loader, "usable_cores", lambda: 96)
    assert workers_of_process(Runtime(workers=given), processes) == each
