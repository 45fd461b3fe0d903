"""Compiling the inner loops by numba to machine code that stands alone.

Only this needs numba, whose import takes longer than the scoring of 1,000 frames; the machine code
is loaded without it by :mod:`stages.score.masks.compiled`.
"""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import binding as llvm
from numba import types

# Importing them registers their loops.
from stages.score.masks.loops import outlines, runs, unfilter  # noqa: F401
from stages.score.masks.loops.signatures import LOOPS, Loop

_FROM_LIBC = ("memset", "memcpy", "memmove")


def build(machine: Any) -> tuple[bytes, dict[str, tuple[str, str]]]:
    """Compile all loops.

    Args:
        machine: LLVM's description of it.

    Returns:
        an object file, and its symbols: see :data:`stages.score.masks.compiled.Symbols`.

    Raises:
        RuntimeError: a loop allocates or raises.
    """
    symbols: dict[str, tuple[str, str]] = {}
    whole: Any = None
    for item in LOOPS:
        module, symbol = compile_loop(item)
        symbols[item.function.__name__] = symbol, item.kinds
        if whole is None:
            whole = module
        else:
            whole.link_in(module)
    keep_only(whole, {symbol for symbol, _ in symbols.values()}, machine)
    return bytes(machine.emit_object(whole)), symbols


def compile_loop(item: Loop) -> tuple[Any, str]:
    """Compile a loop; returns LLVM's module and the name of the function in it."""
    signature = types.int64(*item.arguments)
    compiled = numba.njit(signature, error_model="numpy")(item.function)
    (found,) = compiled.overloads.values()
    module = llvm.parse_assembly(compiled.inspect_llvm(found.signature.args))
    return module, found.fndesc.llvm_func_name


def keep_only(module: Any, symbols: set[str], machine: Any) -> None:
    """Drop the functions by which numba calls the loops from Python, and all that they need.

    Raises:
        RuntimeError: a loop needs more than the C library, since it allocates or raises.
    """
    for function in module.functions:
        if not function.is_declaration and function.name not in symbols:
            function.linkage = "internal"
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options())
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, builder)
    for function in module.functions:
        name = function.name
        if function.is_declaration and not name.startswith("llvm.") and name not in _FROM_LIBC:
            raise RuntimeError(f"an inner loop of scoring needs {name}")
