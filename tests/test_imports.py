"""Data and imports flow one way: tglcli -> stages -> schemas, and no stage knows another."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = {"datasets", "engine", "index", "model"}
LIGHT = {"numpy", "pyarrow"}


def modules() -> list[Path]:
    return sorted(p for top in ("schemas", "stages", "tglcli") for p in (ROOT / top).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Names of all modules that a file imports, in functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    return names


def package(path: Path) -> tuple[str, ...]:
    return path.relative_to(ROOT).parts[:-1]


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_downwards(path: Path) -> None:
    own = package(path)
    for name in imported(path):
        parts = name.split(".")
        if own[0] == "schemas":
            known = parts[0] in {"schemas"} | LIGHT or parts[0] in sys.stdlib_module_names
            assert known, f"schemas may not import {name}"
        if own[0] == "stages":
            assert parts[0] != "tglcli", f"a stage may not import {name}"
        if own[0] == "stages" and len(own) > 1 and parts[0] == "stages" and len(parts) > 1:
            allowed = SHARED | ({own[1]} - SHARED)
            if own[1] in SHARED:
                allowed = SHARED
            assert parts[1] in allowed, f"{'.'.join(own)} may not import {name}"


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "stages").glob("*/config.py")),
    ids=lambda p: p.parent.name,
)
def test_a_config_is_light(path: Path) -> None:
    heavy = {"torch", "transformers", "pyarrow", "numpy", "PIL", "skimage", "accelerate"}
    assert not {name.split(".")[0] for name in imported(path)} & heavy


def test_no_file_names_the_workplace() -> None:
    """The project stands alone: shared data is named only where a test skips without it."""
    for path in modules():
        assert "../shared" not in path.read_text(encoding="utf-8"), path
