"""Machine code of the inner loops of scoring, compiled once per machine.

It is compiled by numba and kept in `__pycache__` beside the loops or, if that is not writable, in
the user's cache folder (NUMBA_CACHE_DIR names another). If neither is writable, every run compiles
again, which takes a few seconds. From there it is loaded by LLVM alone: importing numba would take
most of the time in which a small data set is scored.

The functions check nothing; their callers do. Arrays are passed as addresses.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import llvmlite
import numpy as np
from llvmlite import binding as llvm

from schemas.directories import write_bytes_atomic

_FOLDER = Path(__file__).parent / "loops"
_OPTIMISATION = 3
_Result, _at, _address_of = ctypes.c_int64, ctypes.byref, ctypes.addressof
_in_buffer = ctypes.c_char.from_buffer
_FAILURE = ctypes.c_void_p()
"""Room for numba's description of an exception; there is none."""
_KINDS = {"i": ctypes.c_int64, "p": ctypes.c_void_p}

Symbols = dict[str, tuple[str, str]]
"""By name of each loop its symbol in the machine code, and the kinds of its arguments: `i`, an
integer, or `p`, an address."""


def target_machine() -> Any:
    """Describe this machine to LLVM."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=_OPTIMISATION,
        codemodel="jitdefault",
        jit=True,
    )


class Loops:
    """The loops of the folder `loops` as functions that return an int.

    Args:
        machine_code: an object file.
        symbols: of the loops in it.
    """

    def __init__(self, machine_code: bytes, symbols: Symbols):
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine())
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(machine_code))
        self._engine.finalize_object()
        self._functions = {
            name: self._function(symbol, kinds) for name, (symbol, kinds) in symbols.items()
        }

    def __getitem__(self, name: str) -> Callable[..., int]:
        """Return a loop by name."""
        return self._functions[name]

    def _function(self, symbol: str, kinds: str) -> Callable[..., int]:
        """Make a function by numba's calling convention, which keeps the interpreter's lock."""
        arguments = [ctypes.c_void_p, ctypes.c_void_p, *[_KINDS[kind] for kind in kinds]]
        prototype = ctypes.PYFUNCTYPE(ctypes.c_int32, *arguments)
        function = prototype(self._engine.get_function_address(symbol))

        def call(*arguments: Any) -> int:
            result = _Result()
            if function(_at(result), _at(_FAILURE), *arguments):
                raise RuntimeError("an inner loop of scoring failed, though none can")
            return result.value

        return call


def address(array: np.ndarray) -> int:
    """Return the address of a contiguous array; it must outlive the call that gets it."""
    try:  # a third of the time of the other way
        return _address_of(_in_buffer(array))  # type: ignore[arg-type]
    except TypeError:  # it is read-only
        return array.ctypes.data


def load_loops() -> Loops:
    """Load the machine code of the loops, or compile it."""
    found = cached()
    if found is not None:
        return Loops(*found)
    from stages.score.masks.loops.build import build  # imports numba

    machine_code, symbols = build(target_machine())
    content = json.dumps(symbols).encode() + b"\n" + machine_code
    for path in _cache_files():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes_atomic(path, _checksum(content) + b"\n" + content)
            break
        except OSError:  # not writable, or the disk is full
            continue
    return Loops(machine_code, symbols)


def cached() -> tuple[bytes, Symbols] | None:
    """Return the machine code and its symbols from the cache; None if it is missing."""
    return next(filter(None, map(_read, _cache_files())), None)


def _key() -> str:
    """Return a digest of all that the machine code follows from."""
    digest = hashlib.sha256(llvmlite.__version__.encode())
    digest.update(f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}".encode())
    for path in (*sorted(_FOLDER.glob("*.py")), Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _cache_files() -> Iterator[Path]:
    """Yield the files in which machine code may be kept, the first choice first."""
    name = f"tgl-loops-{_key()}.o"
    named = os.environ.get("NUMBA_CACHE_DIR")
    if named:
        yield Path(named) / name
        return
    yield _FOLDER / "__pycache__" / name
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    yield Path(home) / "tgl" / name


def _read(path: Path) -> tuple[bytes, Symbols] | None:
    """Read machine code; None if there is none, or if it is damaged."""
    try:
        checksum, _, content = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if checksum != _checksum(content):
        return None
    symbols, _, machine_code = content.partition(b"\n")
    return machine_code, json.loads(symbols)


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


LOOPS = load_loops()
"""Of this process, and of those that are forked from it."""
