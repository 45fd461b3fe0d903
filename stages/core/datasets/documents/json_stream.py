"""Streaming a huge JSON object, one member at a time, in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from schemas.errors import CorruptInput
from schemas.files import open_regular

_CHUNK = 4 * 1024 * 1024
_BLANKS = " \t\r\n"
# A member larger than this is not a mask track: the file is damaged.
_LARGEST_MEMBER = 1024 * 1024 * 1024


def stream_members(path: Path, *, chunk: int = _CHUNK) -> Iterator[tuple[str, Any]]:
    """Stream the members of the JSON object in `path` as (key, value).

    Memory is bounded by one member and one chunk, whatever the size of the file.

    Raises:
        CorruptInput: not a JSON object, or cut off; the message gives the position in characters.
    """
    try:
        with TextIOWrapper(open_regular(path), encoding="utf-8") as file:
            yield from _Reader(file, path, chunk).members()
    except UnicodeDecodeError as error:
        raise CorruptInput("is not UTF-8 text", where=path) from error


class _Reader:
    """A window on the text, of which `_text[_at:]` has not been parsed yet."""

    def __init__(self, file: TextIO, path: Path, chunk: int):
        self._file = file
        self._path = path
        self._chunk = chunk
        self._text = ""
        self._at = 0
        self._dropped = 0
        self._ended = False
        self._decoder = json.JSONDecoder()

    def members(self) -> Iterator[tuple[str, Any]]:
        self._expect("{")
        if self._peek() == "}":
            self._at += 1
        else:
            yield self._member()
            while self._expect(",}") == ",":
                yield self._member()
        if self._peek():
            raise self._error("has text after its end")

    def _member(self) -> tuple[str, Any]:
        if self._peek() != '"':
            raise self._error("has something else where a key is expected")
        key = self._value()
        self._expect(":")
        self._peek()
        return key, self._value()

    def _value(self) -> Any:
        """Parse one JSON value at the current position; reads on until it is complete."""
        step = self._chunk
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except (
                ValueError,
                RecursionError,
            ) as error:  # ValueError also for a number that is too long
                if self._ended or len(self._text) - self._at > _LARGEST_MEMBER:
                    raise self._error("is incomplete or not JSON") from error
            else:
                # A number at the end of the window may continue after it.
                if end < len(self._text) or self._ended:
                    self._at = end
                    return value
            self._fill(step)
            step *= 2  # a long member is parsed again a few times, not once per chunk

    def _peek(self) -> str:
        """Return the next character that is not blank, "" at the end of the file."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _BLANKS:
                    return self._text[self._at]
                self._at += 1
            if self._ended:
                return ""
            self._fill(self._chunk)

    def _expect(self, choices: str) -> str:
        char = self._peek()
        if not char or char not in choices:
            wanted = " or ".join(choices)
            raise self._error(f"lacks {wanted}" if char else "is cut off")
        self._at += 1
        return char

    def _fill(self, size: int) -> None:
        more = self._file.read(size)
        self._ended = not more
        self._dropped += self._at
        self._text = self._text[self._at :] + more
        self._at = 0

    def _error(self, what: str) -> CorruptInput:
        position = self._dropped + self._at
        return CorruptInput(
            f"{what} at character {position}", where=self._path, hint="copy or download it again"
        )
