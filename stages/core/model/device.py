"""The device that a runtime asks for, and the arithmetic on it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from schemas.errors import ConfigError


def pick_device(name: str) -> torch.device:
    """A device by name; "auto" is the best that is there.

    Raises:
        ConfigError: torch knows no such device, or this machine has none.
    """
    if name == "auto":
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


def arithmetic(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """A context for the network's work: bfloat16 autocast, or nothing for fp32."""
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()
