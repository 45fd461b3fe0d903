"""Learning rates and their schedule, frozen parts, and averaged weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import Parameter

from schemas.errors import ConfigError
from stages.train.config import TrainConfig


def schedule_factor(step: int, *, warmup: int, steps: int) -> float:
    """Share of the full learning rate at a step (from 0): linear warm-up, then cosine to zero.

    A function of the step alone, so that a resumed run needs no scheduler state.
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = (step - warmup) / max(steps - warmup, 1)
    return (1 + math.cos(math.pi * done)) / 2


def freeze_parts(groups: Mapping[str, Mapping[str, Parameter]], prefixes: Iterable[str]) -> None:
    """Freeze the parameters whose names begin with one of `prefixes`.

    Raises:
        ConfigError: a prefix matches no parameter, or everything is frozen.
    """
    named = {name: p for group in groups.values() for name, p in group.items()}
    for prefix in prefixes:
        chosen = [p for name, p in named.items() if _begins(name, prefix)]
        if not chosen:
            parts = sorted({name.split(".")[0] for name, p in named.items() if p.requires_grad})
            raise ConfigError(
                f"no parameter has the name or prefix {prefix}",
                where="--freeze",
                hint=f"the parts are {', '.join(parts)}",
            )
        for parameter in chosen:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in named.values()):
        raise ConfigError("every part of the model is frozen", where="--freeze")


def make_optimizer(
    groups: Mapping[str, Mapping[str, Parameter]], config: TrainConfig
) -> torch.optim.AdamW:
    """AdamW over the trained parameters, with separate learning rates for new and pretrained ones.

    Vectors and scalars (norms, biases, prompt tokens) are not decayed.

    Args:
        groups: as ``TglModel.parameter_groups`` returns them; something of them is trained.
    """
    rates = {"new": config.lr_new, "pretrained": config.lr}
    chosen = []
    for group, rate in rates.items():
        trained = [p for p in groups[group].values() if p.requires_grad]
        for decay, parameters in (
            (config.weight_decay, [p for p in trained if p.ndim > 1]),
            (0.0, [p for p in trained if p.ndim <= 1]),
        ):
            if parameters:
                chosen.append(
                    {"params": parameters, "lr": rate, "base_lr": rate, "weight_decay": decay}
                )
    return torch.optim.AdamW(chosen)


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set the learning rate of every group to `factor` times its full rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor


@dataclass
class AveragedWeights:
    """Exponential moving average of the trained weights.

    Attributes:
        values: by parameter name.
    """

    decay: float
    values: dict[str, Tensor]

    @classmethod
    def start(cls, decay: float, trained: Mapping[str, Parameter]) -> AveragedWeights:
        """Start from the current weights."""
        return cls(decay, {name: p.detach().clone() for name, p in trained.items()})

    @torch.no_grad()
    def update(self, trained: Mapping[str, Parameter]) -> None:
        """Move towards the current weights."""
        for name, parameter in trained.items():
            self.values[name].lerp_(parameter, 1 - self.decay)

    @torch.no_grad()
    def swap(self, trained: Mapping[str, Parameter]) -> None:
        """Exchange the averaged and the current weights."""
        for name, parameter in trained.items():
            current = parameter.detach().clone()
            parameter.copy_(self.values[name])
            self.values[name].copy_(current)


def _begins(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")
