"""Meters of arithmetic and memory, for real tensors and for those without values."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import (
    FlopCounterMode,
    sdpa_backward_flop_count,
    sdpa_flop_count,
)


def count_flops() -> FlopCounterMode:
    """A context that counts floating-point operations, two for each multiplication with a sum.

    torch's counter with the CPU's fused attention, which it leaves out. Matrix products,
    convolutions and attention are counted; everything else is small beside them.
    """

    def forward(q: Any, k: Any, v: Any, *_: Any, **__: Any) -> int:
        return sdpa_flop_count(q, k, v)

    def backward(grad: Any, q: Any, k: Any, v: Any, *_: Any, **__: Any) -> int:
        return sdpa_backward_flop_count(grad, q, k, v)

    operators = torch.ops.aten
    return FlopCounterMode(
        display=False,
        custom_mapping={
            operators._scaled_dot_product_flash_attention_for_cpu: forward,
            operators._scaled_dot_product_flash_attention_for_cpu_backward: backward,
        },
    )


def network_hours(flops: float, tflops: float) -> float:
    """Hours that a device takes for some FLOP, at 10^12 times ``tflops`` of them per second."""
    return flops / (tflops * _TERA * _SECONDS_PER_HOUR)


_TERA = 1e12
_SECONDS_PER_HOUR = 3600


class SavedBytes:
    """Bytes that autograd keeps for the backward pass; parameters do not count.

    Args:
        model: with the parameters.
    """

    def __init__(self, model: nn.Module):
        self._own = {_storage(parameter) for parameter in model.parameters()}
        self._sizes: dict[int, int] = {}
        # A storage's number may be given to another one once it is freed.
        self._kept: list[Tensor] = []

    @property
    def total(self) -> int:
        """Bytes so far; views of one storage count once, and as a whole."""
        return sum(self._sizes.values())

    @contextmanager
    def counting(self) -> Iterator[None]:
        """A context for the forward pass."""
        with torch.autograd.graph.saved_tensors_hooks(self._keep, lambda tensor: tensor):
            yield

    def release(self) -> None:
        """Let go of the tensors, after the forward pass."""
        self._kept.clear()

    def _keep(self, tensor: Tensor) -> Tensor:
        number = _storage(tensor)
        if number not in self._own and number not in self._sizes:
            self._sizes[number] = tensor.untyped_storage().nbytes()
            self._kept.append(tensor.detach())
        return tensor


class LiveBytes(TorchDispatchMode):
    """Bytes of all tensors that were made in this context and still exist.

    Args:
        before: tensors that existed and do not count.

    Attributes:
        live: bytes now.
        peak: most bytes so far.
    """

    def __init__(self, before: Iterable[Tensor] = ()):
        super().__init__()
        self.live = self.peak = 0
        self._sizes: dict[int, int] = {}
        self._before = {_storage(tensor) for tensor in before}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for leaf in made if isinstance(made, tuple | list) else (made,):
            if isinstance(leaf, Tensor):
                self._add(leaf)
        return made

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        number = storage._cdata
        if number in self._sizes or number in self._before:
            return
        self._sizes[number] = storage.nbytes()
        self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._drop, number)

    def _drop(self, number: int) -> None:
        self.live -= self._sizes.pop(number)


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
