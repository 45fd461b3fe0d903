"""The cache of machine code, and the processes that load the compiler."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from schemas.errors import CorruptInput
from stages.score.masks import compiled
from stages.score.masks.compiled import address, load_loops
from stages.score.masks.loops import build as building
from stages.score.masks.loops.signatures import INTEGER, INTEGERS, Loop
from stages.score.masks.packed_masks import unpack
from stages.score.masks.rle import pack_rle


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """An empty cache, and one entry per time that the loops were built."""
    machine_code, symbols = compiled.cached() or building.build(compiled.target_machine())
    counted: list[int] = []

    def build(machine: object) -> tuple[bytes, compiled.Symbols]:
        counted.append(1)
        return machine_code, symbols

    monkeypatch.setattr(building, "build", build)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    return counted


def filled(loops: compiled.Loops) -> np.ndarray:
    """A mask of 2 x 3 pixels whose runs are filled by loops."""
    words, runs = np.zeros((2, 1), np.uint64), np.array([1, 4, 1])
    assert loops["fill_runs"](address(runs), 3, 2, 3, address(words)) == 1
    return words


def test_machine_code_is_built_once(builds, tmp_path):
    for _ in range(2):
        np.testing.assert_array_equal(filled(load_loops()), [[0b110], [0b011]])
    assert builds == [1]
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize("damage", ["cut off", "a flipped byte", "empty"])
def test_damaged_machine_code_is_built_again(builds, tmp_path, damage):
    load_loops()
    (path,) = (tmp_path / "cache").iterdir()
    whole = path.read_bytes()
    flipped = bytes([whole[-9] ^ 1])
    path.write_bytes(
        {
            "cut off": whole[:-9],
            "a flipped byte": whole[:-9] + flipped + whole[-8:],
            "empty": b"",
        }[damage]
    )
    np.testing.assert_array_equal(filled(load_loops()), [[0b110], [0b011]])
    assert builds == [1, 1]
    assert path.read_bytes() == whole


def test_without_a_writable_cache_every_run_builds(builds, tmp_path):
    (tmp_path / "cache").write_text("a file, not a folder")
    for _ in range(2):
        np.testing.assert_array_equal(filled(load_loops()), [[0b110], [0b011]])
    assert builds == [1, 1]


def test_machine_code_of_other_sources_is_not_used(builds, tmp_path, monkeypatch):
    load_loops()
    monkeypatch.setattr(compiled, "_FOLDER", Path(building.__file__).parents[1])
    load_loops()
    assert builds == [1, 1]


def test_a_loop_that_allocates_is_refused():
    def allocates(count, numbers):
        return np.zeros(count, np.int64).sum()

    module, symbol = building.compile_loop(Loop(allocates, (INTEGER, INTEGERS)))
    with pytest.raises(RuntimeError, match="an inner loop of scoring needs NRT_"):
        building.keep_only(module, {symbol}, compiled.target_machine())


def test_read_only_arrays_are_taken():
    runs = np.array([1, 4, 1])
    runs.flags.writeable = False
    assert address(runs) == runs.ctypes.data
    np.testing.assert_array_equal(
        unpack(pack_rle([1, 4, 1], (2, 3), where="mask")), [[0, 1, 1], [1, 1, 0]]
    )


@pytest.mark.parametrize("counts", [[], "", b""])
def test_no_runs_fill_no_mask(counts):
    with pytest.raises(CorruptInput, match="the runs fill 0 of 3x2 = 6 pixels"):
        pack_rle(counts, (2, 3), where="mask")


@pytest.mark.parametrize("counts", [[[6]], [[]], [[3], [3]], [1.5, 4.5], ["6"], [None], [2**63]])
def test_what_is_no_list_of_run_lengths_is_refused(counts):
    with pytest.raises(CorruptInput, match="the mask is not a valid RLE"):
        pack_rle(counts, (2, 3), where="mask")


@pytest.mark.parametrize(
    "module", ["stages.score.stage, tglcli.commands.score", "stages.score.scorer"]
)
def test_no_process_loads_the_compiler(module):
    loaded = ("numba", "torch") if "scorer" in module else ("numba", "torch", "llvmlite")
    code = f"import sys, {module}; sys.exit(any(name in sys.modules for name in {loaded}))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
