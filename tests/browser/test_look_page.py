"""The look of the page: sizes, contrast, keys and help, frames that cannot be shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from browsing import ROOT, Server, Visitor
from page_world import Clip, Line, write_index

PAGE = ROOT / "stages" / "core" / "browser" / "page"
LEAST_CONTRAST = 4.5
ROW_HEIGHT = 40
TEXT_ON_BACK = (
    *((text, back) for text in ("text", "muted", "bad") for back in ("panel", "back", "hover")),
    *(("text", back) for back in ("open", "lane", "visible")),
    *(("muted", "open"), ("own", "panel"), ("proposal", "panel"), ("main-text", "main-back")),
)
Serve = Callable[..., Server]
Visit = Callable[..., Visitor]

OVERFLOW = """() => {
    const { scrollWidth, scrollHeight } = document.documentElement;
    const scrolls = scrollWidth > innerWidth || scrollHeight > innerHeight;
    const outside = [...document.querySelectorAll("button, select, input, canvas, h2, #notice")]
        .filter((element) => element.offsetParent)
        .filter((element) => {
            const box = element.getBoundingClientRect();
            const room = document.getElementById("lanes-room");
            if (room.contains(element)) return box.right > innerWidth + 1;
            return box.left < 0 || box.right > innerWidth + 1 || box.bottom > innerHeight + 1;
        });
    const names = outside.map((element) => element.id || element.textContent);
    return scrolls ? ["page", ...names] : names;
}"""
"""Names of what does not fit the window."""


def colours(dark: bool) -> dict[str, tuple[float, ...]]:
    """Colours of the style sheet by name, red, green and blue from 0 to 1."""
    light, rest = (PAGE / "style.css").read_text().split("@media (prefers-color-scheme: dark)", 1)
    text = light + (rest.split("}\n}", 1)[0] if dark else "")
    found = {}
    for name, value in re.findall(r"--([\w-]+): #([0-9a-f]{3,6});", text):
        digits = value if len(value) == 6 else "".join(2 * digit for digit in value)
        found[name] = tuple(int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return found


def luminance(colour: tuple[float, ...]) -> float:
    """Relative luminance of WCAG 2."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("dark", [False, True])
def test_contrast(dark: bool) -> None:
    known = colours(dark)
    for text, back in TEXT_ON_BACK:
        high, low = sorted((luminance(known[text]), luminance(known[back])), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= LEAST_CONTRAST, (text, back)


def test_sizes_keys_and_faults(tmp_path: Path, serve: Serve, visit: Visit) -> None:
    sentence = "the one that " + "turns and leaves and comes back and " * 12 + "rests"
    clip = Clip("a_rather_long_name_of_a_video", 60, ((0, 60),) * 3, fps=30000 / 1001)
    lines = (Line(clip.name, sentence, (0, 1, 2) * 4), Line(clip.name, "short", (0,)))
    index = write_index(tmp_path / "index", (clip,), lines)
    (index / "frames" / clip.name / "00003.jpg").write_bytes(b"not an image")
    (index / "frames" / clip.name / "00004.jpg").unlink()
    words = ("--annotator", "eve", "--proposals", "visibility")
    page = visit(serve("annotate", index, tmp_path / "out", *words).address)
    for width, height in ((1280, 720), (2560, 1440)):
        page.tab.set_viewport_size({"width": width, "height": height})
        page.tab.wait_for_timeout(100)
        assert page.tab.evaluate(OVERFLOW) == []
        shown = page.tab.locator("#screen").bounding_box()
        assert shown["height"] >= height / 6
    # The help names every key, and every command does something.
    page.press("?")
    assert page.tab.is_visible("#help")
    words_of_help = page.text("#help")
    commands = page.state("keyboard.commands")
    assert all(command["words"] in words_of_help for command in commands)
    chords = [key for command in commands for key in command["keys"]]
    assert len(chords) == len(set(chords))
    missing = "names => names.filter((name) => !(name in window.tgl.actions))"
    assert page.tab.evaluate(missing, [command["name"] for command in commands]) == []
    page.press("Escape")
    assert not page.tab.is_visible("#help")
    # A frame that cannot be read says so, and the others are shown.
    page.expected += ("404",)
    page.press("ArrowRight", "ArrowRight", "ArrowRight")
    page.until("() => window.tgl.player.shown === 3 && window.tgl.player.frames.error(3)")
    page.press("ArrowRight")
    page.until("() => window.tgl.player.shown === 4 && window.tgl.player.frames.error(4)")
    page.press("ArrowRight")
    page.until("() => window.tgl.player.shown === 5")
    assert page.drawn_number() == 5
    # Search by keyboard: Enter opens the match, Esc gives the keys back to the video.
    page.press("/")
    page.tab.keyboard.type("short")
    page.press("Enter")
    page.until("() => window.tgl.store.state.n === 1")
    page.press("Escape", "ArrowRight")
    page.until("() => window.tgl.player.shown === 1")
    # A sentence that is done has one more button, in the same row.
    page.tab.set_viewport_size({"width": 1280, "height": 720})
    height = page.tab.locator("#edits").bounding_box()["height"]
    assert height < ROW_HEIGHT
    page.press("0", "Enter")
    page.until("() => window.tgl.store.state.status === 'done'")
    assert page.tab.is_visible("#undone")
    assert page.tab.locator("#edits").bounding_box()["height"] == height
