"""Serving a :class:`Content` to the browser of this machine's user, until Ctrl-C."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from schemas.errors import ConfigError, MissingInput
from stages.core.browser.content import Content
from stages.core.browser.guard import new_token

HOST = "127.0.0.1"
USUAL_PORT = 8765
_NEEDED = ("starlette", "uvicorn")
_CLOSING_SECONDS = 2
"""How long requests may go on after Ctrl-C."""


def require_server(command: str) -> None:
    """Check that the packages of the server are installed.

    Args:
        command: that needs them.

    Raises:
        MissingInput: they are not.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        noun = "package" if len(missing) == 1 else "packages"
        raise MissingInput(
            f"tgl {command} needs the {noun} {' and '.join(missing)}",
            hint="pip install 'tgl[browser]'",
        )


def open_port(port: int | None) -> socket.socket:
    """Take a port of this machine's own interface.

    Args:
        port: 0 takes any free one; None the usual one, so that a page finds its server again
            after a restart, or any free one if that is taken.

    Raises:
        ConfigError: it is taken, or the system does not give it.
    """
    if port is None:
        try:
            return _bound(USUAL_PORT)
        except OSError:
            port = 0
    try:
        return _bound(port)
    except OSError as error:
        reason = "is taken" if error.errno == errno.EADDRINUSE else "is refused by the system"
        raise ConfigError(
            f"port {port} {reason}", where="--port", hint="name another one, or 0 for any free one"
        ) from error


def _bound(port: int) -> socket.socket:
    # With the protocol named, asyncio sets TCP_NODELAY: otherwise each small answer takes 40 ms.
    taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart needs no wait
        taken.bind((HOST, port))
        taken.listen()
    except OSError:
        taken.close()
        raise
    return taken


@dataclass(frozen=True)
class Address:
    """The address of a server.

    Attributes:
        url: with the token, to be printed.
        once: with a token that is good for a single entry: every user of the machine can see the
            arguments of the browser's process.
    """

    url: str
    once: str


def serve(content: Content, port: socket.socket, ready: Callable[[Address], None]) -> None:
    """Answer requests until Ctrl-C; SIGTERM ends it too, and is raised after that.

    Args:
        port: of :func:`open_port`.
        ready: receives the address as soon as it is answered.
    """
    import uvicorn

    from stages.core.browser.app import build_app

    number = port.getsockname()[1]
    token, ticket = new_token(), new_token()
    config = uvicorn.Config(
        build_app(content, token, ticket, cookie=f"tgl_{number}"),
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_CLOSING_SECONDS,
    )
    home = f"http://{HOST}:{number}/?token="

    class Server(uvicorn.Server):
        """Tells its address when it answers."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready(Address(home + token, home + ticket))

    server = Server(config)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[port])
