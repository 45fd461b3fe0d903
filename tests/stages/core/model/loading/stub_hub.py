"""A hub on this machine: the routes that the hub's client asks when it downloads a model."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

_API = re.compile(r"/api/models/(?P<name>[^/]+/[^/]+)(?:/(?P<what>[a-z-]+)(?:/(?P<rest>.+))?)?$")
_FILE = re.compile(r"/(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)$")
CHUNK = 2**16
"""Bytes that the client keeps at a time in tests; its own 10 MB would need large files."""
_RANGE = re.compile(r"bytes=(\d+)-")


@dataclass
class StubModel:
    """A model of the hub.

    Attributes:
        files: content of the files on the main branch.
        converted: of the pull request with number 5, by the hub's converter.
        author: of that pull request.
        card: the head of its page.
        refuse: status and X-Error-Code for its files (or "api": for everything).
        cut: name and bytes: the file breaks off after so many, until `cut` is None again.
    """

    files: dict[str, bytes]
    converted: dict[str, bytes] | None = None
    author: str = "SFconvertbot"
    card: dict[str, Any] = field(default_factory=lambda: {"license": "bsd-3-clause"})
    refuse: tuple[int, str] | None = None
    refuse_api: bool = False
    cut: tuple[str, int] | None = None

    def revision(self, name: str) -> dict[str, bytes] | None:
        """The files of a branch or commit."""
        if name in ("main", commit(self.files)):
            return self.files
        if self.converted and name in ("refs/pr/5", commit(self.converted)):
            return self.converted
        return None


def commit(files: dict[str, bytes]) -> str:
    """A commit's id, from its content."""
    digest = hashlib.sha1()
    for name, content in sorted(files.items()):
        digest.update(name.encode() + b"\0" + content)
    return digest.hexdigest()


@dataclass
class StubHub:
    """The hub's models by name, and what it was asked: method, path and Range."""

    models: dict[str, StubModel] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    endpoint: str = ""

    def ranges(self, file: str) -> list[str]:
        """The Range of each GET of a file."""
        return [r for method, path, r in self.asked if method == "GET" and path.endswith(file)]


@contextmanager
def serving(hub: StubHub) -> Iterator[StubHub]:
    """Serve a hub on loopback until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(hub: StubHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else every answer waits 40 ms

        def log_message(self, *args: object) -> None:
            """Print nothing."""

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.asked.append((self.command, path, self.headers.get("Range", "")))
            if match := _FILE.match(path):
                self._file(match)
            elif match := _API.match(path):
                self._api(match)
            else:
                self._error(404, "RepoNotFound")

        def _api(self, match: re.Match[str]) -> None:
            model = hub.models.get(match["name"])
            if model is None:
                self._error(404, "RepoNotFound")
            elif model.refuse and model.refuse_api:
                self._error(*model.refuse)
            elif match["what"] == "auth-check":
                self._error(*(model.refuse or (200, "")))
            elif match["what"] == "discussions":
                self._json(_discussions(model))
            else:
                files = model.revision(match["rest"] or "main")
                if files is None:
                    self._error(404, "RevisionNotFound")
                elif match["what"] == "tree":
                    self._json([_entry(name, content) for name, content in files.items()])
                else:
                    self._json(_info(match["name"], model, files))

        def _file(self, match: re.Match[str]) -> None:
            model = hub.models.get(match["name"])
            files = model.revision(match["revision"]) if model else None
            if model is None or files is None:
                self._error(404, "RepoNotFound")
            elif model.refuse:
                self._error(*model.refuse)
            elif match["file"] not in files:
                self._error(404, "EntryNotFound")
            else:
                cut = model.cut[1] if model.cut and model.cut[0] == match["file"] else None
                self._content(files[match["file"]], commit(files), cut)

        def _content(self, content: bytes, sha: str, cut: int | None) -> None:
            asked = _RANGE.match(self.headers.get("Range", ""))
            start = int(asked[1]) if asked else 0
            if self.command == "GET" and cut is not None and start >= cut:
                self._error(500, "")  # so that the client gives up, instead of waiting
                return
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(content) - start))
            if asked:
                last = len(content) - 1
                self.send_header("Content-Range", f"bytes {start}-{last}/{len(content)}")
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", sha)
            self.send_header("Accept-Ranges", "bytes")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content[start:cut])
                if cut is not None:
                    self.close_connection = True

        def _json(self, value: object) -> None:
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _error(self, status: int, code: str) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

    return Handler


def _entry(name: str, content: bytes) -> dict[str, Any]:
    oid = hashlib.sha1(content).hexdigest()
    return {"type": "file", "path": name, "size": len(content), "oid": oid}


def _info(name: str, model: StubModel, files: dict[str, bytes]) -> dict[str, Any]:
    siblings = [{"rfilename": file, "size": len(content)} for file, content in files.items()]
    return {
        "id": name,
        "modelId": name,
        "sha": commit(files),
        "siblings": siblings,
        "cardData": model.card,
        "gated": "manual" if model.refuse and model.refuse[1] == "GatedRepo" else False,
        "tags": [],
        "downloads": 0,
    }


def _discussions(model: StubModel) -> dict[str, Any]:
    pulls = [
        {
            "title": "Adding `safetensors` variant of this model",
            "num": 5,
            "author": {"name": model.author},
            "createdAt": "2024-01-01T00:00:00.000Z",
            "status": "open",
            "repo": {"name": "x/y", "type": "model"},
            "isPullRequest": True,
        }
    ]
    found = pulls if model.converted else []  # whoever was asked for: the client must look itself
    return {"count": len(found), "start": 0, "discussions": found}
