"""The device that a runtime asks for, and the precision on it."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress

import torch
from torch import Tensor

from schemas.errors import ConfigError
from stages.core.engine.runtime import AUTO, FP32
from stages.core.engine.workers.devices import precision_of

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of ``mallopt``'s parameters, in glibc's malloc.h."""
_LARGEST_KEPT = 32 * 1024 * 1024
_counted: str | None = None
"""The device whose cost is counted on tensors without values, which all name the CPU."""


def pick_device(name: str) -> torch.device:
    """Return a device by name; "auto" is the best one available.

    A process that works on a CPU keeps freed memory from then on, see ``keep_freed_memory``.

    Raises:
        ConfigError: torch does not know the device, or this machine does not have it.
    """
    device = _device(name)
    if device.type == "cpu":
        keep_freed_memory()
    return device


def keep_freed_memory() -> None:
    """Let the C library keep a layer's freed memory for the next layer, where it is glibc.

    It would hand memory back to the system at every layer, and fetch it again page by page: a
    tenth of the time of small frames. It raises both limits to these values by itself, as far
    as it has seen allocations of that size.
    """
    with suppress(OSError, AttributeError, TypeError):  # on other systems
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
        mallopt(_TRIM_THRESHOLD, 2 * _LARGEST_KEPT)


def _device(name: str) -> torch.device:
    """The device of ``pick_device``."""
    if name == AUTO:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"no device {name!r} on this machine", where="--device", hint="use cpu or auto"
        ) from error
    return device


def settled_precision(precision: str, device: torch.device) -> str:
    """Return fp32 or bf16, whichever a precision means on a device."""
    return precision_of(device.type) if precision == AUTO else precision


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """A context for running the network: bfloat16 autocast, or nothing for fp32.

    On a GPU with bfloat16, the products that autocast leaves in float32 are made in TF32.

    Args:
        precision: fp32, bf16, or auto for that of the device.
        device: of the network.
    """
    if settled_precision(precision, device) == FP32:
        return nullcontext()
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    return torch.autocast(device.type, torch.bfloat16)


def runs_on_cpu(x: Tensor) -> bool:
    """Return whether what is computed from x should suit a processor's cache and its kernels."""
    return x.device.type == "cpu" and _counted != "cuda"


def computes_values() -> bool:
    """Return whether tensors have values, and not only shapes, whose cost is counted."""
    return _counted is None


@contextmanager
def counting(kind: str) -> Iterator[None]:
    """A context in which the cost of a device is counted on tensors that name the CPU.

    Args:
        kind: cuda or cpu.
    """
    # A context variable would do, but torch.compile cannot read one.
    global _counted
    before, _counted = _counted, kind
    try:
        yield
    finally:
        _counted = before
