"""Running the model on tensors that have a shape, a type and a lifetime, but no values.

torch's fake tensors go through the same code as real ones. What the code reads of their values is
zero, except where it takes an array back that came from numpy, such as the frames that are guided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from stages.core.engine.runtime import BF16, FP32
from stages.core.model.device import counting

PRECISIONS = (BF16, FP32)
_IN_FLOAT32 = (F.layer_norm, F.softmax, torch.softmax, Tensor.softmax)
"""Of the functions that a GPU's autocast leaves in float32, those that this model calls."""


class CountingDevice(Protocol):
    """A device on which the cost of a model is counted."""

    precision: str
    """fp32 or bf16."""

    @property
    def device(self) -> torch.device:
        """The device that the tensors name."""

    def running(self) -> AbstractContextManager[None]:
        """A context in which the model runs."""

    def autocast(self) -> AbstractContextManager[object]:
        """As ``model.device.autocast`` for the precision."""


class ShapeDevice:
    """A device without values.

    Args:
        gpu: use the kernels that torch has for GPUs, which decide what is kept for the backward
            pass: fused attention and dropout, layer norms in float32. Else those of the CPU.
        precision: fp32 or bf16.
    """

    def __init__(self, *, gpu: bool = True, precision: str = FP32):
        if precision not in PRECISIONS:
            raise ValueError(f"precision is {precision!r}, expected one of {PRECISIONS}")
        self.gpu = gpu
        self.precision = precision
        self._fake = FakeTensorMode(allow_non_fake_inputs=True)
        self._known = WeakTensorKeyDictionary()

    @property
    def device(self) -> torch.device:
        """The CPU: a build of torch without another device accepts no other name."""
        return torch.device("cpu")

    @contextmanager
    def running(self) -> Iterator[None]:
        """A context in which every new tensor is one without values."""
        from transformers import pytorch_utils

        with (
            self._fake,
            counting("cuda" if self.gpu else "cpu"),
            _Values(self._known, gpu=self.gpu),
            # torch's modes do not see this function.
            _replaced(torch, "from_numpy", self._from_numpy),
            # Position tables are kept for the whole process, except in code that is compiled.
            _replaced(pytorch_utils, "is_torchdynamo_compiling", lambda: True),
        ):
            yield

    def autocast(self) -> AbstractContextManager[object]:
        """As ``model.device.autocast`` for the precision."""
        if self.precision == FP32:
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def model(self, build: Callable[[], nn.Module]) -> Any:
        """A module without values.

        Args:
            build: makes it on torch's meta device, which allows nothing to be read.
        """
        with torch.device("meta"):
            model = build()
        with self.running():
            for module in model.modules():
                for name, parameter in module._parameters.items():
                    if parameter is not None:
                        blank = nn.Parameter(self._blank(parameter), parameter.requires_grad)
                        module._parameters[name] = blank
                for name, buffer in module._buffers.items():
                    if buffer is not None:
                        module._buffers[name] = self._blank(buffer)
        return model

    def _blank(self, like: Tensor) -> Tensor:
        return torch.empty(like.shape, dtype=like.dtype, device=self.device)

    def _from_numpy(self, array: np.ndarray) -> Tensor:
        """A tensor without values, which stay readable."""
        tensor = self._blank(_FROM_NUMPY(array))
        self._known[tensor] = array
        return tensor


_FROM_NUMPY = torch.from_numpy


@contextmanager
def _replaced(module: ModuleType, name: str, value: object) -> Iterator[None]:
    """A context in which a module has another function under a name."""
    kept = vars(module)[name]
    vars(module)[name] = value
    try:
        yield
    finally:
        vars(module)[name] = kept


class _Values(TorchFunctionMode):
    """Answers for the values of tensors that have none, and chooses kernels.

    Args:
        known: values of some tensors; the others are zero.
        gpu: call the operators that torch chooses on a GPU, where it would choose others here.
    """

    def __init__(self, known: WeakTensorKeyDictionary, *, gpu: bool):
        super().__init__()
        self._known = known
        self._replaced: dict[Any, Callable[..., Any]] = {Tensor.numpy: self._array}
        self._replaced[Tensor.data_ptr] = lambda tensor: 0
        self._replaced[Tensor.backward] = self._backward
        for read in (Tensor.item, Tensor.__float__, Tensor.__int__, Tensor.__bool__):
            self._replaced[read] = lambda tensor: self._array(tensor).item()
        if gpu:
            self._replaced |= {F.scaled_dot_product_attention: _attention, F.dropout: _dropout}
            self._replaced |= {function: partial(_in_float32, function) for function in _IN_FLOAT32}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self._replaced.get(func, func)(*args, **(kwargs or {}))

    def _backward(self, total: Tensor, **_: object) -> None:
        """``Tensor.backward`` of a scalar in this mode, which activations are recomputed in."""
        with self:
            engine = torch.autograd.graph._engine_run_backward
            engine(
                (total,),
                (torch.ones_like(total),),
                False,  # the graph is not kept
                False,  # and has none of its own
                (),
                allow_unreachable=True,
                accumulate_grad=True,
            )

    def _array(self, tensor: Tensor) -> np.ndarray:
        found = self._known.get(tensor)
        if found is not None:
            return found
        kind = np.float32 if tensor.is_floating_point() else np.int64
        return np.zeros(tuple(tensor.shape), bool if tensor.dtype == torch.bool else kind)


def _in_float32(function: Any, x: Tensor, *more: Any, **named: Any) -> Tensor:
    """A function that autocast leaves in float32."""
    return function(x.float() if torch.is_autocast_enabled("cpu") else x, *more, **named)


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    **more: object,
) -> Tensor:
    """Scaled dot product attention by a fused kernel: no matrix of weights is kept.

    Flash attention takes half precision without a mask, the memory-efficient kernel the rest.
    """
    if torch.is_autocast_enabled("cpu"):
        query, key, value = (x.to(torch.bfloat16) for x in (query, key, value))
    operators = torch.ops.aten
    if attn_mask is None and query.dtype == torch.bfloat16:
        flash = operators._scaled_dot_product_flash_attention
        return flash(query, key, value, dropout_p, is_causal, False, scale=scale)[0]
    if attn_mask is not None:
        attn_mask = attn_mask.to(query.dtype).expand(*query.shape[:3], key.shape[2])
    keeps = any(x.requires_grad for x in (query, key, value))
    efficient = operators._scaled_dot_product_efficient_attention
    return efficient(query, key, value, attn_mask, keeps, dropout_p, is_causal, scale=scale)[0]


def _dropout(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout that keeps one byte per value, as its GPU kernel does."""
    return torch.native_dropout(x, p, True)[0] if training and p > 0 else x
