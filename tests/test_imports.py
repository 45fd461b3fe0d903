"""Imports flow one way, without a circle: schemas, core, stages, zero_shot and tools, tglcli."""

from __future__ import annotations

import ast
import importlib
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SIX = (
    "extract_frames",
    "build_moments",
    "precompute_text",
    "train",
    "propagate",
    "score",
)
CORE_ORDER = (
    *("engine", "language", "statistics", "media", "pages", "index", "model", "datasets"),
    *("moment_formats", "submissions", "browser"),
)
"""A part of core imports those before it."""
COMPOSING = {"segment": ("render", "select_moments")}
"""Tools that may import stages of both kinds, each with the other tools it may import."""
LIGHT = {"numpy", "pyarrow"}
MOST_MODULES = 12


def modules() -> list[Path]:
    return sorted(p for top in ("schemas", "stages", "tglcli") for p in (ROOT / top).rglob("*.py"))


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def imported(path: Path) -> frozenset[str]:
    """Names of all modules that a file imports, in functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def package(path: Path) -> tuple[str, ...]:
    return path.relative_to(ROOT).parts[:-1]


def allowed_in_stages(own: tuple[str, ...], name: tuple[str, ...]) -> bool:
    """Whether a module below stages/ may import another one below stages/.

    Args:
        own: folders of the importing module below stages/.
        name: the imported module below stages/.
    """
    room, target = own[0], name[0]
    if room == "core":
        if target != "core":
            return False
        if len(own) < 2 or len(name) < 2:
            return len(own) < 2
        return CORE_ORDER.index(name[1]) <= CORE_ORDER.index(own[1])
    if target == "core":
        return True
    if room == "tools" and len(own) > 1 and own[1] in COMPOSING:
        tools = {("tools", tool) for tool in (own[1], *COMPOSING[own[1]])}
        return target in (*SIX, "zero_shot") or name[:2] in tools
    depth = 2 if room in ("tools", "zero_shot") else 1
    return name[:depth] == own[:depth]


@pytest.mark.parametrize("path", modules(), ids=short)
def test_a_module_imports_only_downwards(path: Path) -> None:
    own = package(path)
    for name in imported(path):
        parts = tuple(name.split("."))
        if own[0] == "schemas":
            known = parts[0] in {"schemas"} | LIGHT or parts[0] in sys.stdlib_module_names
            assert known, f"schemas may not import {name}"
        if own[0] == "stages":
            assert parts[0] != "tglcli", f"a stage may not import {name}"
            if parts[0] == "stages" and len(parts) > 1:
                assert own[1:], f"stages/ itself may not import {name}"
                assert allowed_in_stages(own[1:], parts[1:]), f"{short(path)} may not import {name}"


@pytest.mark.parametrize(
    ("own", "name", "allowed"),
    [
        ("train", "stages.core.model.tgl", True),
        ("train", "stages.train.data.clips", True),
        ("train", "stages.propagate.config", False),
        ("train", "stages.tools.render.config", False),
        ("core.index", "stages.core.media.frames", True),
        ("core.media", "stages.core.index.index", False),
        ("core.engine", "stages.train.stage", False),
        ("tools.render", "stages.score.config", False),
        ("tools.render", "stages.tools.check.config", False),
        ("tools.segment", "stages.propagate.config", True),
        ("tools.segment", "stages.tools.render.config", True),
        ("tools.segment", "stages.tools.select_moments.config", True),
        ("tools.segment", "stages.zero_shot.track.config", True),
        ("tools.segment", "stages.tools.check.config", False),
        ("tools.render", "stages.zero_shot.track.config", False),
        ("zero_shot.ground", "stages.zero_shot.track.config", False),
    ],
)
def test_the_rule(own: str, name: str, allowed: bool) -> None:
    assert allowed_in_stages(tuple(own.split(".")), tuple(name.split(".")[1:])) is allowed


def test_no_module_imports_itself_by_way_of_others() -> None:
    by_name = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in modules()}
    graph = {
        name: sorted(imported(path) & by_name.keys() - {name}) for name, path in by_name.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail[trail.index(name) :], name))
        if name not in done:
            for other in graph[name]:
                visit(other, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "benchmarks").glob("*.py")) + sorted((ROOT / "examples").rglob("*.py")),
    ids=short,
)
def test_a_script_imports_what_is_there(path: Path) -> None:
    """Scripts run by hand only, so that a move is not noticed otherwise."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("stages"):
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")


def test_stages_holds_the_six_and_three_rooms() -> None:
    folders = {path.name for path in (ROOT / "stages").iterdir() if (path / "__init__.py").exists()}
    assert folders - {"zero_shot"} == {*SIX, "tools", "core"}


@pytest.mark.parametrize("folder", sorted({path.parent for path in modules()}), ids=short)
def test_a_folder_has_at_most_a_dozen_modules(folder: Path) -> None:
    names = [path.name for path in folder.glob("*.py") if not path.name.startswith("__")]
    assert len(names) <= MOST_MODULES


@pytest.mark.parametrize(
    "path", sorted((ROOT / "stages").rglob("config.py")), ids=lambda p: short(p.parent)
)
def test_a_config_is_light(path: Path) -> None:
    heavy = {"torch", "transformers", "pyarrow", "numpy", "PIL", "skimage", "accelerate"}
    assert not {name.split(".")[0] for name in imported(path)} & heavy
