"""The state from which an interrupted run resumes: one file, replaced atomically."""

from __future__ import annotations

import hashlib
import os
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from torch import Tensor

from schemas.errors import CorruptInput

_STATE_FILE = "state.pt"
_BLOCK_BYTES = 1 << 20


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

    Its SHA-256 follows at the end of the file: torch compares no checksums when it loads.

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
        file.write(target.digest.digest())
    temporary.replace(folder / _STATE_FILE)


class _Recording:
    """A file that hashes what is written, and keeps the reason of a failed write.

    torch writes from the first byte to the last, and does not pass the reason on.
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        self.digest = hashlib.sha256()
        self.failure: OSError | None = None

    def write(self, data: bytes) -> int:
        """As of a file."""
        self.digest.update(data)
        try:
            return self._file.write(data)
        except OSError as error:
            self.failure = OSError(error.errno, error.strerror, self._file.name)
            raise

    def flush(self) -> None:
        """As of a file."""
        self._file.flush()


def load_state(folder: Path) -> TrainState | None:
    """The last saved state; None if there is none.

    Only tensors and plain containers are unpickled.

    Raises:
        CorruptInput: it is not as it was written.
    """
    path = folder / _STATE_FILE
    if not path.is_file():
        return None
    try:
        if not _is_whole(path):
            raise ValueError("its SHA-256 is another")
        return TrainState(**torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, ValueError, TypeError, pickle.UnpicklingError) as error:
        raise CorruptInput("the saved state of the interrupted run is damaged") from error


def _is_whole(path: Path) -> bool:
    """Return whether a file ends with the SHA-256 of all that precedes it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        left = file.seek(0, os.SEEK_END) - digest.digest_size
        file.seek(0)
        while left > 0 and (block := file.read(min(left, _BLOCK_BYTES))):
            digest.update(block)
            left -= len(block)
        return file.read() == digest.digest()


def _fields(state: TrainState) -> dict[str, Any]:
    """The fields by name, tensors shared and not copied."""
    return {name: getattr(state, name) for name in TrainState.__dataclass_fields__}
