"""A browser for tests of the page; without one they are skipped."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # for what tests share: browsing, page_world

import pytest
from browsing import Server, Visitor

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_AS_ROOT = ("--no-sandbox",) if os.geteuid() == 0 else ()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Chromium without a window."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=_AS_ROOT)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Visitor]]:
    """Open tabs; those that get the same `context` share cookies. Faults fail the test."""
    visitors: list[Visitor] = []
    contexts: list[Any] = []

    def open_tab(
        address: str | None = None, *, beside: Visitor | None = None, **look: Any
    ) -> Visitor:
        size = look.pop("viewport", {"width": 1280, "height": 720})
        if beside is None:
            contexts.append(chromium.new_context(viewport=size, **look))
        visitor = Visitor((beside.tab.context if beside else contexts[-1]).new_page())
        visitors.append(visitor)
        if address:
            visitor.open(address)
        return visitor

    yield open_tab
    for context in contexts:
        context.close()
    for visitor in visitors:
        visitor.check()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers that end with the test."""
    servers: list[Server] = []

    def start(*words: object, port: int = 0) -> Server:
        servers.append(Server(*words, log=tmp_path / f"server{len(servers)}.log", port=port))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.kill()
