"""Copies of tensors from a device to host memory, which run while the device goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class HostCopy:
    """Tensors on their way to host memory.

    Attributes:
        tensors: in host memory.
        done: marks the end of the copy on a GPU; None if it has ended.
    """

    tensors: Sequence[Tensor]
    done: torch.cuda.Event | None = None

    def wait(self) -> list[np.ndarray]:
        """Wait until all values have arrived, and return them."""
        if self.done is not None:
            self.done.synchronize()
        return [tensor.numpy() for tensor in self.tensors]


def start_copy(*tensors: Tensor) -> HostCopy:
    """Start to copy tensors of one device to host memory.

    From a GPU they are copied to pinned memory without waiting for the work before it; torch keeps
    and reuses pinned memory. From the CPU nothing is copied.
    """
    device = tensors[0].device
    if device.type != "cuda":
        return HostCopy([tensor.cpu() for tensor in tensors])
    copies = []
    for tensor in tensors:
        pinned = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        copies.append(pinned.copy_(tensor, non_blocking=True))
    done = torch.cuda.Event()
    done.record(torch.cuda.current_stream(device))
    return HostCopy(copies, done)
