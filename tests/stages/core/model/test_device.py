"""Devices by name."""

from __future__ import annotations

import pytest
import torch

from schemas.errors import ConfigError
from stages.core.model import device as module
from stages.core.model.device import (
    autocast,
    computes_values,
    counting,
    keep_freed_memory,
    pick_device,
    runs_on_cpu,
    settled_precision,
)


def test_an_unknown_device_is_one_line() -> None:
    with pytest.raises(ConfigError, match="no device 'abacus'"):
        pick_device("abacus")


@pytest.mark.parametrize(
    ("precision", "wanted"), [("auto", "fp32"), ("fp32", "fp32"), ("bf16", "bf16")]
)
def test_the_network_runs_in_the_precision_of_its_device(precision: str, wanted: str) -> None:
    cpu = torch.device("cpu")
    assert settled_precision(precision, cpu) == wanted
    one = torch.ones(2, 2)
    with autocast(precision, cpu):
        assert (one @ one).dtype == (torch.bfloat16 if wanted == "bf16" else torch.float32)


def test_on_a_gpu_with_bfloat16_the_rest_is_in_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    asked: list[str] = []
    monkeypatch.setattr(torch, "set_float32_matmul_precision", asked.append)
    contexts: list[tuple[str, torch.dtype]] = []
    monkeypatch.setattr(torch, "autocast", lambda kind, dtype: contexts.append((kind, dtype)))
    autocast("fp32", torch.device("cuda"))
    assert (asked, contexts) == ([], [])
    autocast("auto", torch.device("cuda", 1))
    assert (asked, contexts) == (["high"], [("cuda", torch.bfloat16)])


def test_a_process_on_a_cpu_keeps_freed_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits are those of glibc's mallopt(3): M_MMAP_THRESHOLD, then M_TRIM_THRESHOLD."""
    asked: list[tuple[int, int]] = []

    class Library:
        @staticmethod
        def mallopt(parameter: int, value: int) -> int:
            asked.append((parameter, value))
            return 1

    monkeypatch.setattr(module.ctypes, "CDLL", lambda name: Library())
    pick_device("cpu")
    assert asked == [(-3, 32 * 1024**2), (-1, 64 * 1024**2)]
    pick_device("meta")
    assert len(asked) == 2


@pytest.mark.parametrize("error", [OSError, TypeError])
def test_other_systems_have_no_such_limits(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: None) -> object:
        raise error

    monkeypatch.setattr(module.ctypes, "CDLL", fail)
    keep_freed_memory()
    monkeypatch.setattr(module.ctypes, "CDLL", lambda name: object())
    keep_freed_memory()


def test_a_gpu_is_counted_with_its_own_kernels() -> None:
    x = torch.zeros(1)
    assert runs_on_cpu(x)
    assert computes_values()
    with counting("cuda"):
        assert not runs_on_cpu(x)
        with counting("cpu"):
            assert runs_on_cpu(x)
            assert not computes_values()
        assert not runs_on_cpu(x)
    assert runs_on_cpu(x)
