"""Tables of positions that are computed once per module."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

_KEPT: WeakKeyDictionary[nn.Module, dict[Hashable, Tensor]] = WeakKeyDictionary()


def kept_table(module: nn.Module, key: Hashable, build: Callable[[], Tensor]) -> Tensor:
    """A table of positions that depends on a module's configuration alone, computed once.

    transformers keeps the last such table of each class, and levels of different shapes push each
    other out.

    Args:
        module: the table is dropped with it.
        key: tells its tables apart: name, device and type.
        build: computes the table; called outside inference mode, since training may use it too.
    """
    tables = _KEPT.setdefault(module, {})
    if key not in tables:
        with torch.inference_mode(False), torch.no_grad():
            tables[key] = build()
    return tables[key]
