"""The resumable state: whole or not there."""

import errno
import io
import pickle
from pathlib import Path

import pytest
import torch

from schemas.errors import CorruptInput, OutputBlocked, system_errors
from stages.train.state import TrainState, load_state, save_state

STATE = TrainState(
    step=7,
    weights={"w": torch.arange(3.0)},
    optimizer={"state": {0: {"step": torch.tensor(7.0)}}, "param_groups": [{"lr": 0.1}]},
    history=[(7, "loss", 0.5)],
    best_step=4,
    best_score=0.25,
)


class Unwritable:
    """Fails when it is saved."""

    def __reduce__(self) -> str:
        raise OSError("disk")


def test_a_state_comes_back(tmp_path: Path) -> None:
    save_state(tmp_path, STATE)
    found = load_state(tmp_path)
    assert found is not None
    assert (found.step, found.history, found.best_step, found.best_score) == (
        7,
        [(7, "loss", 0.5)],
        4,
        0.25,
    )
    assert torch.equal(found.weights["w"], STATE.weights["w"])
    assert found.optimizer["param_groups"] == [{"lr": 0.1}]


def test_no_state_is_none(tmp_path: Path) -> None:
    assert load_state(tmp_path) is None


@pytest.mark.parametrize("length", [0, 10, 500])
def test_a_truncated_state_is_refused(tmp_path: Path, length: int) -> None:
    save_state(tmp_path, STATE)
    path = tmp_path / "state.pt"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CorruptInput, match="the saved state of the interrupted run is damaged"):
        load_state(tmp_path)


def test_every_flipped_bit_is_refused(tmp_path: Path) -> None:
    """torch would load other weights without a word."""
    save_state(tmp_path, STATE)
    path = tmp_path / "state.pt"
    whole = path.read_bytes()
    for bit in range(0, 8 * len(whole), 97):
        spoilt = bytearray(whole)
        spoilt[bit // 8] ^= 1 << bit % 8
        path.write_bytes(spoilt)
        with pytest.raises(CorruptInput, match="is damaged"):
            load_state(tmp_path)


def test_foreign_objects_are_not_unpickled(tmp_path: Path) -> None:
    save_state(tmp_path, TrainState(history=[Path("x")]))  # type: ignore[list-item]
    with pytest.raises(CorruptInput, match="is damaged") as caught:
        load_state(tmp_path)
    assert isinstance(caught.value.__cause__, pickle.UnpicklingError)


def test_a_save_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    save_state(tmp_path, STATE)
    broken = TrainState(step=8, weights={"w": Unwritable()})  # type: ignore[dict-item]
    with pytest.raises(OSError, match="disk"):
        save_state(tmp_path, broken)
    found = load_state(tmp_path)
    assert found is not None
    assert found.step == 7


@pytest.mark.parametrize("written", [0, 100, 3000])
def test_a_full_disk_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """torch says only that it could not write."""

    class FullDisk(io.FileIO):
        def write(self, data: bytes) -> int:  # type: ignore[override]
            if self.tell() + len(data) > written:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    save_state(tmp_path, TrainState(step=1))
    monkeypatch.setattr(Path, "open", lambda path, mode: FullDisk(path, mode))
    with pytest.raises(OutputBlocked, match="the disk is full"), system_errors(tmp_path):
        save_state(tmp_path, TrainState(step=2, weights={"w": torch.zeros(1000)}))
    monkeypatch.undo()
    assert load_state(tmp_path).step == 1  # type: ignore[union-attr]
