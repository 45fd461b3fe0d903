"""The guard before the server: host, origin, token and size of every request.

A page of any site can make a browser send requests to 127.0.0.1. Without the token it gets
nothing; the check of the host stops names that a stranger's DNS points to this machine, and the
check of the origin stops forms and scripts of other sites that ride on the cookie.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BODY_BYTES = 1 << 20
_HOSTS = ("127.0.0.1", "localhost")
_READING = ("GET", "HEAD")
_JSON = "application/json"
_TOO_LARGE, _FORBIDDEN, _SEE_OTHER, _NOT_JSON = 413, 403, 303, 415
_MOST_FIELDS = 8

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of every answer."""

_COME_BACK = b'<!doctype html><title>tgl</title><script src="/page/return.js"></script>'
"""Sends a browser that followed another site's link to `/` once more, now from this site: with
that request it sends the cookie, which SameSite=Strict kept back before. Unlike a redirect, a
script keeps the fragment of the address, which names a sentence."""


class BodyTooLarge(Exception):
    """A request's body has more bytes than any request needs."""


def new_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(32)


class Guard:
    """ASGI middleware that lets through only the page's own requests.

    Args:
        token: as a query of `/`, which sets the cookie, or as `Authorization: Bearer`.
        ticket: a token for one entry only, for an address that other users of the machine may see.
        cookie: its name; browsers send cookies to every port of a host.
    """

    def __init__(self, app: App, token: str, ticket: str, cookie: str):
        self._app = app
        self._token = token
        self._ticket = ticket
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value for name, value in reversed(scope["headers"])}
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _answer(send, *refusal)
            return
        await self._app(scope, _limited(receive), _with_headers(send))

    def _refusal(
        self, scope: Scope, headers: dict[str, bytes]
    ) -> tuple[int, bytes, dict[str, str]] | None:
        """Status, body and headers of the answer to a request that goes no further."""
        host = _text(headers, "host")
        if host.rsplit(":", 1)[0] not in _HOSTS:
            return _refused(_FORBIDDEN, "wrong host: open the address that tgl printed")
        origin = _text(headers, "origin")
        writing = scope["method"] not in _READING
        if (origin or writing) and origin != f"http://{host}":
            return _refused(_FORBIDDEN, "wrong origin: open the address that tgl printed")
        if scope["path"] == "/" and scope["query_string"] and not writing:
            return self._enter(scope)
        if not self._knows_token(headers):
            if scope["path"] == "/" and _text(headers, "sec-fetch-site") == "cross-site":
                return 200, _COME_BACK, {"Content-Type": "text/html; charset=utf-8"}
            return _refused(_FORBIDDEN, "no token: open the address that tgl printed")
        if writing:
            return _check_body(headers)
        return None

    def _enter(self, scope: Scope) -> tuple[int, bytes, dict[str, str]]:
        """Turn the token of an address into a cookie, and remove it from the address."""
        try:
            query = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=_MOST_FIELDS)
        except ValueError:
            query = {}
        given = query.get("token", [""])[0]
        if self._ticket and _equal(given, self._ticket):
            self._ticket = ""
        elif not _equal(given, self._token):
            return _refused(_FORBIDDEN, "wrong token: open the address that tgl printed last")
        cookie = f"{self._cookie}={self._token}; HttpOnly; SameSite=Strict; Path=/"
        return _SEE_OTHER, b"", {"Location": "/", "Set-Cookie": cookie}

    def _knows_token(self, headers: dict[str, bytes]) -> bool:
        given = _text(headers, "authorization").removeprefix("Bearer ")
        if not given:
            given = _cookie(_text(headers, "cookie"), self._cookie)
        return _equal(given, self._token)


def _equal(given: str, secret: str) -> bool:
    """Compare in a time that tells nothing about the secret."""
    return secrets.compare_digest(given.encode(), secret.encode())


def _check_body(headers: dict[str, bytes]) -> tuple[int, bytes, dict[str, str]] | None:
    length = _text(headers, "content-length")
    if length.isdecimal() and int(length) > MOST_BODY_BYTES:
        return _refused(_TOO_LARGE, "the request is too large")
    if _text(headers, "content-type").split(";")[0].strip() != _JSON:
        return _refused(_NOT_JSON, f"a request needs {_JSON}")
    return None


def _limited(receive: Receive) -> Receive:
    """Count the bytes of a body that does not say its length."""
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > MOST_BODY_BYTES:
            raise BodyTooLarge
        return message

    return counted


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *_encoded(HEADERS)]
        await send(message)

    return sent


async def _answer(send: Send, status: int, body: bytes, headers: dict[str, str]) -> None:
    lines = {"Content-Length": str(len(body)), "Cache-Control": "no-store", **HEADERS, **headers}
    if status == _TOO_LARGE:
        lines["Connection"] = "close"  # the rest of the body is not read
    await send({"type": "http.response.start", "status": status, "headers": _encoded(lines)})
    await send({"type": "http.response.body", "body": body})


def _refused(status: int, message: str) -> tuple[int, bytes, dict[str, str]]:
    return status, b'{"error": "%s"}' % message.encode(), {"Content-Type": _JSON}


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


def _text(headers: dict[str, bytes], name: str) -> str:
    return headers.get(name, b"").decode("latin-1")


def _cookie(text: str, name: str) -> str:
    try:
        found = SimpleCookie(text).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value
