"""Ports, and packages that are not installed."""

from __future__ import annotations

import socket
from importlib.util import find_spec

import pytest

from schemas.errors import ConfigError, MissingInput
from stages.core.browser import server
from stages.core.browser.server import HOST, open_port, require_server


def test_a_port_that_is_taken() -> None:
    with open_port(0) as taken:
        address, number = taken.getsockname()
        assert address == HOST == "127.0.0.1"
        assert taken.proto == socket.IPPROTO_TCP  # else asyncio sets no TCP_NODELAY
        with pytest.raises(ConfigError) as caught:
            open_port(number)
    assert str(caught.value) == (
        f"--port: port {number} is taken; name another one, or 0 for any free one"
    )
    with open_port(number) as again:
        assert again.getsockname() == (HOST, number)


def test_the_usual_port_or_any_free_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_port(0) as probe:
        monkeypatch.setattr(server, "USUAL_PORT", probe.getsockname()[1])
    with open_port(None) as first, open_port(None) as second:
        assert first.getsockname() == (HOST, server.USUAL_PORT)
        assert second.getsockname()[1] not in (0, server.USUAL_PORT)


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        (("uvicorn",), "tgl annotate needs the package uvicorn"),
        (("starlette", "uvicorn"), "tgl annotate needs the packages starlette and uvicorn"),
    ],
)
def test_without_the_packages_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...], words: str
) -> None:
    known = {name: find_spec(name) for name in ("starlette", "uvicorn")}
    monkeypatch.setattr(server, "find_spec", lambda name: None if name in missing else known[name])
    with pytest.raises(MissingInput) as caught:
        require_server("annotate")
    assert str(caught.value) == f"{words}; pip install 'tgl[browser]'"
