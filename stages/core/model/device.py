"""The device that a runtime asks for, and the precision on it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from schemas.errors import ConfigError


def pick_device(name: str) -> torch.device:
    """Return a device by name; "auto" is the best one available.

    Raises:
        ConfigError: torch does not know the device, or this machine does not have it.
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


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """A context for running the network: bfloat16 autocast, or nothing for fp32."""
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()
