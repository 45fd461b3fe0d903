"""The page's files: all are served, and all are in the wheel."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatch
from pathlib import Path

from stages.core.browser import pages
from stages.core.browser.pages import page_files

ROOT = Path(__file__).resolve().parents[4]


def test_every_file_is_served_and_packaged() -> None:
    folder = ROOT / "stages/core/browser/page"
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert page_files().keys() == names
    assert "index.html" in names
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["stages.core.browser"]
    depths = {pattern.count("/"): pattern for pattern in patterns}
    for name in names:
        found = f"{folder.name}/{name}"
        assert fnmatch(found, depths[found.count("/")]), name


def test_modules_are_sent_as_such() -> None:
    kinds = {Path(name).suffix: page.kind for name, page in page_files().items()}
    assert kinds[".js"] == "text/javascript"  # browsers run no module of another type
    assert kinds.keys() <= pages._KINDS.keys()
