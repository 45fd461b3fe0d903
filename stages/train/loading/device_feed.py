"""Batches on the device of the network, copied there while it works on the one before."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Protocol, TypeVar

import torch
from torch import Tensor


class OnDevice(Protocol):
    """A batch that can be copied to a device."""

    def to(self, device: torch.device) -> OnDevice:
        """The batch on a device."""

    def tensors(self) -> list[Tensor]:
        """All of its tensors."""


Batch = TypeVar("Batch", bound=OnDevice)


class CopyStream(Protocol):
    """Copies batches beside other work of the device."""

    def start(self, batch: Batch) -> Callable[[], Batch]:
        """Start to copy a batch.

        Returns:
            a function that gives the copy, for all work that is started after its call.
        """


class CudaCopies:
    """A :class:`CopyStream` of a CUDA device.

    Args:
        device: of the copies; batches come from page-locked memory.
    """

    def __init__(self, device: torch.device):
        self._device = device
        self._stream = torch.cuda.Stream(device)

    def start(self, batch: Batch) -> Callable[[], Batch]:
        """As in :class:`CopyStream`."""
        with torch.cuda.stream(self._stream):
            copy = batch.to(self._device)
            copied = self._stream.record_event()

        def finish() -> Batch:
            current = torch.cuda.current_stream(self._device)
            current.wait_event(copied)
            for tensor in copy.tensors():
                # Else its memory could be given to the next copy while this one is in use.
                tensor.record_stream(current)
            return copy  # type: ignore[return-value]

        return finish


def copy_stream(device: torch.device) -> CopyStream | None:
    """The way to copy to a device beside its work; None where batches are used as they come."""
    return CudaCopies(device) if device.type == "cuda" else None


def on_device(
    batches: Iterable[Batch], device: torch.device, copies: CopyStream | None
) -> Generator[Batch]:
    """Yield batches on a device, in order.

    With a copy stream, the next batch is fetched and its copy is started before a batch is handed
    out, so that it is under way while the network works.

    Args:
        copies: as :func:`copy_stream` makes it.
    """
    if copies is None:
        for batch in batches:
            yield batch.to(device)  # type: ignore[misc]
        return
    finish: Callable[[], Batch] | None = None
    for batch in batches:
        following = copies.start(batch)
        if finish is not None:
            yield finish()
        finish = following
    if finish is not None:
        yield finish()
