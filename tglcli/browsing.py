"""Showing the address of a local server."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from stages.core.browser.server import Address


def announce(command: str, *, open_browser: bool) -> Callable[[Address], None]:
    """A function that prints an address, and opens it if wanted."""

    def show(address: Address) -> None:
        typer.echo(f"{command}: {address.url} (Ctrl-C ends)")
        if open_browser:  # in a thread: a browser of the terminal keeps the call waiting
            Thread(target=_open, args=(address.once,), daemon=True).start()

    return show


def _open(address: str) -> None:
    import webbrowser

    if not webbrowser.open(address):
        typer.echo("warning: no browser was found; open the address yourself", err=True)
