"""Showing the address of a local server."""

from __future__ import annotations

from collections.abc import Callable

import typer


def announce(command: str, *, open_browser: bool) -> Callable[[str], None]:
    """A function that prints an address, and opens it if wanted."""

    def show(address: str) -> None:
        typer.echo(f"{command}: {address} (Ctrl-C ends)")
        if open_browser:
            import webbrowser

            webbrowser.open(address)

    return show
