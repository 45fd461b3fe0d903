"""A local server in a process of its own, and a browser that looks at its page."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from page_world import BITS

ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 60.0
_WAIT_SECONDS = 60.0
_READS_PIXELS = "willReadFrequently"
"""Of a warning that a test provokes by reading the canvas."""


class Server:
    """`tgl annotate` or `tgl view` as a user starts it.

    Args:
        words: of the command line, without the port.
        log: file that receives what it prints.
        port: 0 takes any free one.
    """

    def __init__(self, *words: object, log: Path, port: int = 0):
        command = [sys.executable, "-m", "tglcli", *map(str, words), "--port", str(port)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.log = log
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                command, stdout=stream, stderr=subprocess.STDOUT, env=environment
            )
        self.address = self._address()
        self.port = urlsplit(self.address).port or 0

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> str:
        """End it as Ctrl-C does; all that it printed."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(_WAIT_SECONDS)
        return self.log.read_text()

    def _address(self) -> str:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            found = re.search(r"http://\S+", self.log.read_text())
            if found:
                return found[0]
            time.sleep(0.02)
        raise AssertionError(f"the server did not start: {self.log.read_text()}")


class Visitor:
    """A tab of the browser, which notes every fault that its page should not have.

    Attributes:
        faults: errors of the console and of scripts, and requests to any other host.
        expected: parts of faults that a test provokes.
    """

    def __init__(self, tab: Any):
        self.tab = tab
        self.faults: list[str] = []
        self.expected: tuple[str, ...] = (_READS_PIXELS,)
        tab.on("console", self._on_console)
        tab.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        tab.on("request", self._on_request)

    def open(self, address: str) -> None:
        """Go to an address and wait for the first frame."""
        self.tab.goto(address)
        self.started()

    def started(self) -> None:
        """Wait until a frame is shown."""
        self.until("() => window.tgl?.player.shown !== null && Boolean(window.tgl?.store.state)")

    def until(self, condition: str, argument: Any = None) -> Any:
        """Wait until a function of the page is true; its value.

        (Playwright's own wait evaluates text as script, which the page's policy forbids.)
        """
        return wait_until(lambda: self.tab.evaluate(condition, argument), condition)

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.tab.keyboard.press(key)

    def go_to(self, frame: int) -> None:
        """Show a frame, with keys only."""
        now = self.state("player.wanted")
        tens, ones = divmod(abs(frame - now), 10)
        arrow = "ArrowRight" if frame > now else "ArrowLeft"
        self.press(*[f"Shift+{arrow}"] * tens, *[arrow] * ones)
        self.until("frame => window.tgl.player.shown === frame", frame)

    def state(self, path: str) -> Any:
        """A value below the page's object."""
        return self.tab.evaluate(
            "path => path.split('.').reduce((value, name) => value?.[name], window.tgl)", path
        )

    def stored(self) -> None:
        """Wait until every key has had its effect and the server has everything."""
        self.until("() => !window.tgl.working && window.tgl.store.queue.length === 0")

    def close(self) -> None:
        """Close the tab once everything is stored, before its server ends: it may still load."""
        self.stored()
        self.tab.close()

    def lanes(self) -> list[list[list[int]] | None]:
        """Marked spans of each referent of the open sentence, None if undecided."""
        self.stored()
        referents = self.state("store.state.referents")
        return [one["spans"] if one["decided"] else None for one in referents]

    def text(self, selector: str) -> str:
        """Text of an element."""
        return str(self.tab.inner_text(selector))

    def drawn_number(self) -> int:
        """The number of the frame in the pixels of the canvas."""
        bright = self.tab.evaluate(
            """bits => {
                const canvas = document.getElementById("screen");
                const context = canvas.getContext("2d");
                const y = canvas.height / 16;
                const green = (x) => context.getImageData(x, y, 1, 1).data[1];
                const middle = (i) => ((i + 0.5) * canvas.width) / bits;
                return [...Array(bits).keys()].map((i) => green(middle(i)));
            }""",
            BITS,
        )
        darkest = 40  # bright blocks that are dimmed have 115
        return sum(1 << bit for bit, value in enumerate(bright) if value > darkest)

    def check(self) -> None:
        """Fail on faults that no test provoked."""
        unexpected = [one for one in self.faults if not any(part in one for part in self.expected)]
        assert not unexpected, unexpected

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            place = message.location.get("url", "")
            self.faults.append(f"console: {message.text} {place}")

    def _on_request(self, request: Any) -> None:
        if urlsplit(request.url).hostname != "127.0.0.1":
            self.faults.append(f"request to another host: {request.url}")


def wait_until(condition: Callable[[], Any], what: object) -> Any:
    """Try until the condition holds; its value.

    Raises:
        AssertionError: it does not within a generous time.
    """
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not reached: {what}"
        time.sleep(0.02)
