"""Other libraries print nothing; what the user must act on becomes a line of tgl's."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import warnings

import pytest

from tglcli.libraries import ENVIRONMENT, quiet_libraries

UNALIGNED = """
import pyarrow as pa

bytes_of = pa.py_buffer(bytes(65))[1:]
column = pa.Array.from_buffers(pa.int64(), 8, [None, bytes_of])
assert column.buffers()[1].address % 8
pa.table({"a": column}).group_by("a").aggregate([])
"""
DRIVER = "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040)."


def warn_from(file: str, message: str, category: type[Warning] = UserWarning) -> None:
    warnings.warn_explicit(message, category, file, 1, registry={})


def test_a_warning_of_the_gpu_is_one_line_and_others_are_none() -> None:
    told: list[str] = []
    before = warnings.showwarning
    with warnings.catch_warnings(), quiet_libraries(told.append):
        warnings.simplefilter("always")
        warn_from("/site-packages/torch/cuda/__init__.py", f"\n    {DRIVER} Please update\n it")
        warn_from("/site-packages/torch/cuda/__init__.py", "pynvml is old", FutureWarning)
        warn_from("/site-packages/torch/_inductor/compile_fx.py", "TensorFloat32 is not enabled")
        warn_from("/site-packages/torch/nn/cuda.py", "nothing to do about it")
    assert told == [f"torch: {DRIVER} Please update"]
    assert warnings.showwarning is before


def test_what_is_logged_is_a_line_with_the_name_of_the_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # those of pytest
    told: list[str] = []
    with quiet_libraries(told.append):
        logging.getLogger("accelerate.state").warning("Detected kernel %s\nwhich is old", "5.4")
        logging.getLogger("accelerate.state").info("nothing new")
    assert told == ["accelerate: Detected kernel 5.4"]
    assert logging.getLogger().handlers == []


def test_settings_of_the_user_win(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_LOGS", "+dynamo")
    with quiet_libraries(print):
        assert {name: os.environ[name] for name in ENVIRONMENT} == {
            **ENVIRONMENT,
            "TORCH_LOGS": "+dynamo",
        }


@pytest.mark.parametrize("quiet", [True, False])
def test_arrow_copies_what_is_unaligned_without_a_word(quiet: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    done = subprocess.run(
        [sys.executable, "-c", UNALIGNED],
        env=environment | (ENVIRONMENT if quiet else {}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("poorly aligned" in done.stderr) is not quiet
    assert not quiet or done.stderr == ""
