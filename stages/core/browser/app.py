"""The addresses of the server: JSON of a :class:`Content`, frames, and the page's own files."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schemas.errors import MissingInput, TglError
from stages.core.browser.content import Content, Json, Refused, not_found
from stages.core.browser.guard import MOST_BODY_BYTES, App, BodyTooLarge, Guard
from stages.core.browser.pages import Page, page_files

_BAD_REQUEST, _TOO_LARGE, _FAILED, _NOT_FOUND = 400, 413, 500, 404
_FRAME_CACHE = "private, max-age=86400, immutable"
_LONGEST_NUMBER = 9
_KEY_BYTES = 4
_T = TypeVar("_T")


def build_app(content: Content, token: str, ticket: str, cookie: str) -> App:
    """Make the server's application; see :class:`Guard` for token, ticket and cookie."""
    key = secrets.token_hex(_KEY_BYTES)  # browsers keep frames: another index has another key
    routes = [
        *_page_routes(page_files()),
        _get("/api/session", lambda request: {"key": key, **content.session()}),
        _get("/api/sentences", lambda request: content.sentences()),
        _get("/api/video/{video}", lambda request: content.video(_number(request, "video"))),
        Route("/api/video/{video}/frame/{frame}", _frame_endpoint(content)),
        _get("/api/video/{video}/mask/{referent}", lambda request: _masks(content, request)),
        _get("/api/sentence/{n}", lambda request: content.sentence(_number(request, "n"))),
        _get(
            "/api/sentence/{n}/prediction/{p}/masks",
            lambda request: content.prediction_masks(
                _number(request, "n"), _number(request, "p"), *_frames(request)
            ),
        ),
        Route("/api/sentence/{n}/actions", _action_endpoint(content), methods=["POST"]),
    ]
    handlers = {
        Refused: _on_refused,
        BodyTooLarge: _on_too_large,
        TglError: _on_failure,
        _NOT_FOUND: _on_not_found,
    }
    return Guard(Starlette(routes=routes, exception_handlers=handlers), token, ticket, cookie)


def _get(path: str, answer: Callable[[Request], Json]) -> Route:
    """A route of JSON, computed in a thread: it may read files."""

    async def endpoint(request: Request) -> Response:
        return _json(await run_in_threadpool(answer, request))

    return Route(path, endpoint)


def _page_routes(files: Mapping[str, Page]) -> list[Route]:
    async def first(request: Request) -> Response:
        return _file(files["index.html"])

    async def endpoint(request: Request) -> Response:
        found = files.get(request.path_params["name"])
        if found is None:
            raise not_found("page")
        return _file(found)

    return [Route("/", first), Route("/page/{name:path}", endpoint)]


def _file(page: Page) -> Response:
    return Response(page.content, media_type=page.kind, headers={"Cache-Control": "no-cache"})


def _frame_endpoint(content: Content) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        place = _number(request, "video"), _number(request, "frame")
        data, kind = await run_in_threadpool(content.frame, *place)
        return Response(data, media_type=kind, headers={"Cache-Control": _FRAME_CACHE})

    return endpoint


def _action_endpoint(content: Content) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        number = _number(request, "n")
        action = _object(await request.body())
        return _json(await run_in_threadpool(content.act, number, action))

    return endpoint


def _masks(content: Content, request: Request) -> Json:
    return content.masks(
        _number(request, "video"),
        _query(request, "sentence"),
        _number(request, "referent"),
        *_frames(request),
    )


def _frames(request: Request) -> tuple[int, int]:
    return _query(request, "start"), _query(request, "end")


def _number(request: Request, name: str) -> int:
    return _parsed(request.path_params[name], name)


def _query(request: Request, name: str) -> int:
    return _parsed(request.query_params.get(name, ""), name)


def _parsed(text: str, name: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER):
        raise Refused(_NOT_FOUND, f"{name} is not a number")
    return int(text)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refused(_BAD_REQUEST, "the request is not a JSON object")
    return found


def _json(value: Json, status: int = 200) -> Response:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(
        text.encode("utf-8", "replace"),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


async def _on_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return _json(error.body, error.status)


async def _on_too_large(request: Request, error: Exception) -> Response:
    response = _json({"error": f"a request has at most {MOST_BODY_BYTES:,} bytes"}, _TOO_LARGE)
    response.headers["Connection"] = "close"
    return response


async def _on_failure(request: Request, error: Exception) -> Response:
    status = _NOT_FOUND if isinstance(error, MissingInput) else _FAILED
    return _json({"error": str(error)}, status)


async def _on_not_found(request: Request, error: Exception) -> Response:
    return _json({"error": "no such address"}, _NOT_FOUND)
