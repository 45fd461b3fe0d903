"""`tgl annotate` in a browser: marked by keyboard, stored at once, never lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from browsing import Server, Visitor, wait_until
from page_world import Clip, Line, write_index

CLIPS = (Clip("a", 40, ((0, 40), (5, 30))), Clip("b", 24, ((0, 24),), fps=None))
LINES = (
    Line("a", "the two that run", (0, 1), ((0, 4, 12), (1, 8, 20))),
    Line("a", "<b>the one</b> that leaves & returns <script>alert(1)</script>", (1,), ((1, 6, 9),)),
    Line("b", "a cat that sleeps", ()),
)
Serve = Callable[..., Server]
Visit = Callable[..., Visitor]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_index(tmp_path_factory.mktemp("page") / "index", CLIPS, LINES)


def moments(folder: Path) -> list[tuple[str, str, str | None, int, int]]:
    """Rows of a moments file, sorted."""
    rows = pq.read_table(folder / "moments.parquet").to_pylist()
    columns = ("video_id", "expression_id", "anno_id", "start_frame", "end_frame")
    return sorted((tuple(row[c] for c in columns) for row in rows), key=str)


def test_keyboard_only_and_nothing_is_lost(
    index: Path, tmp_path: Path, serve: Serve, visit: Visit
) -> None:
    out = tmp_path / "out"
    words = ("annotate", index, out, "--annotator", "eve")
    server = serve(*words)
    page = visit(server.address)
    # The first sentence: edges, nudges, marking while stepping, undo and redo.
    page.go_to(4)
    page.press("[")
    page.go_to(11)
    page.press("]")
    assert page.lanes() == [[[4, 12]], None]
    assert page.drawn_number() == 11
    page.press("Tab", "Alt+ArrowLeft", "Shift+Tab", "Alt+Shift+ArrowLeft")
    assert page.lanes() == [[[3, 4]], None]  # a span keeps a frame
    page.press("Control+z", "Control+z")
    assert page.lanes() == [[[4, 12]], None]
    page.press("Control+Shift+Z")
    assert page.lanes() == [[[3, 12]], None]
    page.press("Control+z", "2")
    page.go_to(8)
    page.tab.keyboard.down("m")
    page.go_to(19)
    page.tab.keyboard.up("m")
    assert page.lanes() == [[[4, 12]], [[8, 20]]]
    # The second: keys wait until it is open; markup in a sentence is text.
    page.press("Enter", "w")
    assert page.lanes() == [[[5, 30]]]
    assert page.state("store.state.n") == 1
    assert page.text("#text") == LINES[1].text
    page.go_to(10)
    page.tab.keyboard.down("Shift")
    page.tab.keyboard.down("M")
    page.tab.keyboard.up("Shift")
    page.go_to(14)
    page.tab.keyboard.up("m")
    assert page.lanes() == [[[5, 10], [15, 30]]]
    page.go_to(20)
    page.press("Delete")
    assert page.lanes() == [[[5, 10]]]
    # Reloaded: the same sentence, its spans, and undo go on.
    page.tab.reload()
    page.started()
    assert page.state("store.state.n") == 1
    assert page.lanes() == [[[5, 10]]]
    page.press("Control+z")
    assert page.lanes() == [[[5, 10], [15, 30]]]
    # The server is killed while actions go on; they wait in the page.
    server.kill()
    page.expected += ("ERR_CONNECTION_REFUSED", "403")
    page.press("f", "0")
    page.until("() => document.getElementById('saving').classList.contains('bad')")
    assert "2 actions not saved" in page.text("#saving")
    dialogs: list[str] = []
    page.tab.on("dialog", lambda dialog: (dialogs.append(dialog.type), dialog.dismiss()))
    page.tab.close(run_before_unload=True)  # the browser asks, and the user stays
    wait_until(lambda: page.tab.evaluate("1") and dialogs, "a question before the tab closes")
    assert dialogs == ["beforeunload"]
    again = serve(*words, port=server.port)
    second = visit(again.address, beside=page)
    page.tab.bring_to_front()
    page.stored()
    assert page.text("#saving") == "all saved"
    assert page.state("store.state.flag") is True
    assert page.lanes() == [[]]
    page.press("f", "Enter")
    # The third has no referents; in the other tab the first is still as it was marked.
    page.until("() => window.tgl.store.state.n === 2")
    assert page.text("#about").startswith("b · sentence 0 · 24 frames, rate unknown")
    page.press("End", "]", "Home", "[", "Enter")  # a mark waits for the frame that it is meant for
    assert page.lanes() == [[[0, 24]]]
    second.tab.evaluate("() => window.tgl.go(0)")
    second.until("() => window.tgl.store.state.n === 0")
    assert second.lanes() == [[[4, 12]], [[8, 20]]]
    page.close()
    second.close()
    again.stop()
    assert moments(out / "eve") == [
        ("a", "0", "0_0", 4, 12),
        ("a", "0", "0_1", 8, 20),
        ("a", "1", "0_1", 0, 0),  # never
        ("b", "0", None, 0, 24),
    ]
