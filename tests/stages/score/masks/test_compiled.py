"""Compiling without a cache, and the processes that load the compiler."""

from __future__ import annotations

import subprocess
import sys

import numba
import pytest
from numba import types

from stages.score.masks.compiled import compiled


@pytest.mark.parametrize("error", [RuntimeError("no locator available"), OSError("disk full")])
def test_without_a_writable_cache_a_function_is_compiled(monkeypatch, error):
    plain = numba.njit

    def refuse(signature, **options):
        if options:
            raise error
        return plain(signature)

    monkeypatch.setattr(numba, "njit", refuse)

    @compiled(types.int64(types.int64))
    def twice(number):
        return 2 * number

    assert twice(21) == 42
    assert twice.signatures == [(types.int64,)]


def test_the_process_that_hands_out_the_work_does_not_load_the_compiler():
    code = (
        "import sys, stages.score.stage, tglcli.commands.score; "
        "sys.exit('numba' in sys.modules or 'torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
