"""The page's own files, which are part of the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent / "page"
_KINDS = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Page:
    """A file of the page and its media type."""

    content: bytes
    kind: str


def page_files() -> dict[str, Page]:
    """Read all files of the page by their paths below its folder; a request can name no others."""
    return {
        path.relative_to(_FOLDER).as_posix(): Page(path.read_bytes(), _KINDS[path.suffix])
        for path in sorted(_FOLDER.rglob("*"))
        if path.suffix in _KINDS
    }
