"""The page with several people and tabs, and by mouse and touch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from browsing import Server, Visitor
from page_world import Clip, Line, write_index

CLIPS = (Clip("a", 40, ((0, 40), (5, 30))),)
LINES = (
    Line("a", "the two that run", (0, 1), ((0, 4, 12), (1, 8, 20))),
    Line("a", "the one that leaves", (1,), ((1, 6, 9),)),
)
Serve = Callable[..., Server]
Visit = Callable[..., Visitor]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_index(tmp_path_factory.mktemp("people") / "index", CLIPS, LINES)


def moments(folder: Path) -> list[tuple[str, str, int, int]]:
    """Expression, referent, start and end of a moments file, sorted."""
    columns = ("expression_id", "anno_id", "start_frame", "end_frame")
    rows = pq.read_table(folder / "moments.parquet").to_pylist()
    return sorted(tuple(row[column] for column in columns) for row in rows)


def open_sentence(page: Visitor, number: int) -> None:
    """Click on a sentence of the list."""
    page.tab.click(f"#sentence-{number}")
    page.until("n => window.tgl.store.state.n === n", number)


def test_second_annotator_and_adjudication(
    index: Path, tmp_path: Path, serve: Serve, visit: Visit
) -> None:
    out = tmp_path / "out"
    # Anna starts from proposals; they count once they are accepted, and Enter asks for a decision.
    anna = serve("annotate", index, out, "--annotator", "anna", "--proposals", index)
    page = visit(anna.address)
    assert page.lanes() == [None, None]
    page.press("Enter")
    assert page.text("#notice").startswith("Referent 1 is not decided")
    page.press("Shift+A", "2", "Tab", "Alt+ArrowRight", "Enter")
    page.until("() => window.tgl.store.state.n === 1")
    page.press("a", "Enter")
    page.stored()
    # Ben works at the same time, sees Anna's spans, and says that the second is never true.
    ben = serve("annotate", index, out, "--annotator", "ben")
    other = visit(ben.address)
    assert [source["name"] for source in other.state("store.session.sources")] == ["anna"]
    other.press("w", "ArrowDown", "a", "Enter")
    other.until("() => window.tgl.store.state.n === 1")
    other.press("0", "Enter")
    other.close()
    page.close()
    anna.stop()
    ben.stop()
    both = [("0", "0_0", 4, 12), ("0", "0_1", 9, 20), ("1", "0_1", 6, 9)]
    assert moments(out / "anna") == both
    never = ("1", "0_1", 0, 0)
    assert moments(out / "ben") == [("0", "0_0", 0, 40), ("0", "0_1", 9, 20), never]
    # Cora decides: the sentence of the lowest agreement first; both lanes are shown.
    words = ("--annotator", "cora", "--adjudicate", out / "anna", out / "ben")
    server = serve("annotate", index, tmp_path / "decided", *words)
    judge = visit(server.address)
    assert judge.state("store.state.n") == 1
    kinds = [(row["kind"], row["label"]) for row in judge.state("timeline.rows")]
    assert kinds == [("lane", "object 0_1"), ("source", "A anna"), ("source", "B ben")]
    judge.press("b", "Enter")
    judge.until("() => window.tgl.store.state.n === 0")
    judge.press("a", "2", "b")
    judge.go_to(9)
    judge.tab.keyboard.press("Alt+ArrowLeft")
    assert judge.lanes() == [[[4, 12]], [[8, 20]]]
    judge.press("Enter")
    judge.close()
    server.stop()
    both = [("0", "0_0", 4, 12), ("0", "0_1", 8, 20)]
    assert moments(tmp_path / "decided" / "cora") == [*both, never]


def test_two_tabs(index: Path, tmp_path: Path, serve: Serve, visit: Visit) -> None:
    server = serve("annotate", index, tmp_path / "out", "--annotator", "eve")
    first = visit(server.address)
    second = visit(server.address, beside=first)
    first.press("w")
    first.stored()
    second.expected += ("409",)
    second.press("0")
    second.until("() => document.getElementById('notice').textContent.includes('another tab')")
    assert second.lanes() == [[[0, 40]], None]
    assert "1 action of this tab was not saved" in second.text("#notice")
    second.press("0")
    assert second.lanes() == [[], None]
    # An action that was stored but whose answer was lost is sent again, and is no conflict.
    second.tab.route("**/actions", lambda route: (route.fetch(), route.abort()), times=1)
    second.expected += ("ERR_FAILED",)
    second.press("2", "w")
    assert second.lanes() == [[], [[5, 30]]]
    assert second.text("#notice") == ""
    assert second.state("store.state.revision") == 3


def test_mouse_and_touch(index: Path, tmp_path: Path, serve: Serve, visit: Visit) -> None:
    server = serve("annotate", index, tmp_path / "out", "--annotator", "eve")
    page = visit(server.address, has_touch=True)
    box = page.tab.locator("#lanes").bounding_box()
    width = box["width"] / CLIPS[0].frames

    def lane(n: int) -> float:
        row = [row for row in page.state("timeline.rows") if row["kind"] == "lane"][n]
        return float(box["y"] + row["top"] + row["height"] / 2)

    def drag(n: int, start: float, end: float) -> None:
        page.tab.mouse.move(box["x"] + start * width, lane(n))
        page.tab.mouse.down()
        page.tab.mouse.move(box["x"] + (start + end) / 2 * width, lane(n))
        page.tab.mouse.move(box["x"] + end * width, lane(n))
        page.tab.mouse.up()

    drag(0, 4.5, 11.5)  # over an empty lane: a new span
    assert page.lanes() == [[[4, 12]], None]
    drag(0, 12.0, 20.2)  # its end
    assert page.lanes() == [[[4, 20]], None]
    assert page.state("player.shown") == 19
    drag(0, 10.5, 13.5)  # all of it
    assert page.lanes() == [[[7, 23]], None]
    page.tab.mouse.click(box["x"] + 30.5 * width, lane(1))
    assert page.state("player.shown") == 30
    assert page.state("editor.referent") == 1
    touch = page.tab.context.new_cdp_session(page.tab)
    for kind, frame in (("touchStart", 8.5), ("touchMove", 12.0), ("touchMove", 15.5)):
        point = {"x": box["x"] + frame * width, "y": lane(1)}
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert page.lanes() == [[[7, 23]], [[8, 16]]]
    axis = page.tab.locator("#axis").bounding_box()
    page.tab.mouse.click(axis["x"] + 2.5 * width, axis["y"] + 5)
    page.until("() => window.tgl.player.shown === 2")
    page.tab.click("#done")
    page.until("() => window.tgl.store.state.n === 1")
    page.tab.click("[data-command=whole]")
    page.tab.click("#note")
    page.tab.keyboard.type("leaves behind the wall")
    page.tab.click("#note-dialog [value=save]")
    page.tab.click("#flag")
    page.stored()
    assert page.state("store.state.note") == "leaves behind the wall"
    page.tab.click("[data-filter=flagged]")
    assert page.text("#count") == "1 of 2 sentences"
    page.tab.fill("#search", "two RUN")
    assert page.tab.is_visible("#empty")
    page.tab.click("[data-filter=all]")
    assert page.tab.locator(".row").count() == 1
