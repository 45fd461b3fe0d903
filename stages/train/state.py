"""The state from which an interrupted run resumes: one file, replaced atomically."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast
from zipfile import BadZipFile

import torch
from torch import Tensor

_STATE_FILE = "state.pt"


@dataclass
class TrainState:
    """Everything that the next step depends on beside config and inputs.

    Order, clips, learning rates and random numbers are functions of the step (see dataset.py,
    schedule.py), so the step stands for all of them.

    Attributes:
        step: optimiser steps done.
        weights: trained parameters by name.
        optimizer: state dict of AdamW.
        average: averaged weights, empty without EMA.
        history: rows of history.parquet so far: step, name, value.
        best_step, best_score: the best validation; step 0 for none.
    """

    step: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    average: dict[str, Tensor] = field(default_factory=dict)
    history: list[tuple[int, str, float]] = field(default_factory=list)
    best_step: int = 0
    best_score: float = 0.0


def save_state(folder: Path, state: TrainState) -> None:
    """Write the state under a temporary name, then move it: a kill leaves the one before.

    Raises:
        OSError: it cannot be written, with the system's error number.
    """
    temporary = folder / f".{_STATE_FILE}"
    with temporary.open("wb") as file:
        target = _Recording(file)
        try:
            torch.save(_fields(state), cast("BinaryIO", target))
        except RuntimeError as error:
            raise (target.failure or error) from error
    temporary.replace(folder / _STATE_FILE)


class _Recording:
    """A file that keeps the reason of a failed write, which torch does not pass on."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.failure: OSError | None = None

    def write(self, data: bytes) -> int:
        """As of a file."""
        try:
            return self._file.write(data)
        except OSError as error:
            self.failure = OSError(error.errno, error.strerror, self._file.name)
            raise

    def flush(self) -> None:
        """As of a file."""
        self._file.flush()


def load_state(folder: Path) -> TrainState | None:
    """The last saved state; None if there is none or it cannot be read.

    Only tensors and plain containers are unpickled.
    """
    path = folder / _STATE_FILE
    if not path.is_file():
        return None
    try:
        return TrainState(**torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, EOFError, TypeError, BadZipFile, pickle.UnpicklingError):
        return None


def _fields(state: TrainState) -> dict[str, Any]:
    """The fields by name, tensors shared and not copied."""
    return {name: getattr(state, name) for name in TrainState.__dataclass_fields__}
