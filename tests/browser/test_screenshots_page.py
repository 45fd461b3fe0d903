"""Screenshots for docs/annotate.md, from toy clips.

`TGL_SCREENSHOTS=docs python -m pytest -m slow tests/browser/test_screenshots_page.py` writes them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from browsing import Server, Visitor
from command_line import run_tgl
from PIL import Image

MOST_BYTES = 150_000
TARGET = "TGL_SCREENSHOTS"
COLOURS = 256
FRAME = 10
Serve = Callable[..., Server]
Visit = Callable[..., Visitor]

CHOOSE = """async (need) => {
    const { store } = window.tgl;
    for (const { n } of store.sentences) {
        const { referents, lanes } = await (await fetch(`/api/sentence/${n}`)).json();
        const proposed = store.session.sources.map(({ id }) => lanes[id] ?? []);
        const full = proposed.every((lane) => referents.every((_, r) => lane[r]?.length));
        if (referents.length === need && full) return n;
    }
    return null;
}"""
"""The first sentence with so many referents and spans of all of them in every source."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few toy clips, through all stages with the packed toy checkpoint."""
    folder = tmp_path_factory.mktemp("screenshots")
    for words in (
        "toy data --size 256 --train-clips 0 --valid-clips 0 --dev-clips 4",
        "extract-frames data/dev/videos frames",
        "build-moments data/dev index --frames frames",
        "precompute-text index text --encoder hash",
        "select-moments index proposals --per referent --model toy --text text",
        "propagate index text toy masks --moments predicted --no-target-threshold 0.5",
        "score masks index --out scores",
    ):
        done = run_tgl(*words.split(), "--quiet", cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


def keep(page: Visitor, name: str, folder: Path) -> None:
    """Take a screenshot with few colours, which docs can hold."""
    page.tab.wait_for_timeout(300)
    path = folder / f"annotate-{name}.png"
    page.tab.screenshot(path=path)
    with Image.open(path) as image:
        few = image.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE)
    few.save(path, optimize=True)
    assert path.stat().st_size < MOST_BYTES, path


def open_sentence(page: Visitor, number: int) -> None:
    """Open a sentence, with its masks."""
    page.tab.evaluate("n => window.tgl.go(n)", number)
    page.until("n => window.tgl.store.state.n === n", number)
    page.go_to(FRAME)
    page.until("frame => window.tgl.overlay.trouble(frame) === null", FRAME)


@pytest.mark.slow
def test_screenshots(world: Path, tmp_path: Path, serve: Serve, visit: Visit) -> None:
    folder = Path(os.environ.get(TARGET, tmp_path)).resolve()
    index, out = world / "index", tmp_path / "annotations"
    anna = serve("annotate", index, out, "--annotator", "anna", "--proposals", world / "proposals")
    page = visit(anna.address, color_scheme="light")
    number = page.tab.evaluate(CHOOSE, 2)
    assert number is not None
    open_sentence(page, number)
    page.press("a")
    page.stored()
    keep(page, "page", folder)
    page.press("?")
    keep(page, "keys", folder)
    page.press("Escape", "2", "a", "Tab", "Alt+ArrowRight", "Enter")
    page.close()
    anna.stop()
    ben = serve("annotate", index, out, "--annotator", "ben", "--blind")
    page = visit(ben.address)
    open_sentence(page, number)
    page.press("[", "End", "]", "2", "w", "Enter")
    page.close()
    ben.stop()
    both = ("--adjudicate", out / "anna", out / "ben")
    cora = serve("annotate", index, tmp_path / "decided", "--annotator", "cora", *both)
    page = visit(cora.address, color_scheme="light")
    open_sentence(page, number)
    keep(page, "adjudicate", folder)
    runs = ("--preds", world / "masks", "--scores", world / "scores")
    page = visit(serve("view", index, *runs).address, color_scheme="dark")
    open_sentence(page, number)
    keep(page, "view", folder)
