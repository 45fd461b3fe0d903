"""The address of a local server: printed, and opened without its token."""

from __future__ import annotations

import threading
import webbrowser

import pytest

from stages.core.browser.server import Address
from tglcli.browsing import announce

ADDRESS = Address("http://127.0.0.1:1/?token=secret", "http://127.0.0.1:1/?token=once")


@pytest.mark.parametrize("found", [True, False])
def test_the_address_is_printed_and_a_ticket_opened(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], found: bool
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: (opened.append(address), found)[1])
    before = set(threading.enumerate())
    announce("view", open_browser=True)(ADDRESS)
    for thread in set(threading.enumerate()) - before:
        thread.join()
    printed = capsys.readouterr()
    assert printed.out == "view: http://127.0.0.1:1/?token=secret (Ctrl-C ends)\n"
    assert opened == [ADDRESS.once]
    warning = "warning: no browser was found; open the address yourself\n"
    assert printed.err == ("" if found else warning)


def test_nothing_is_opened_unasked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda address: pytest.fail("opened"))
    announce("annotate", open_browser=False)(ADDRESS)
    assert capsys.readouterr().out.startswith("annotate: http://127.0.0.1:1/?token=secret ")
