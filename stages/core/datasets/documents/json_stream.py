"""Streaming a huge JSON object, one member at a time, in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
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
    with _opened(path, chunk) as reader:
        yield from reader.members()


def stream_items(
    path: Path,
    names: Collection[str],
    *,
    chunk: int = _CHUNK,
    missing: str = "no such file",
    hint: str | None = None,
) -> Iterator[tuple[str, Any]]:
    """Stream the items of some lists in the JSON object in `path`, as (name of the list, item).

    Memory is bounded by one item and one chunk. What follows the last of the lists is not read.

    Args:
        names: keys of the lists.
        missing: the message if there is no such file.
        hint: what to do then.

    Raises:
        MissingInput: no such file.
        CorruptInput: not a JSON object, cut off, or one of the lists is missing.
    """
    with _opened(path, chunk, missing, hint) as reader:
        yield from reader.items(names)


@contextmanager
def _opened(
    path: Path, chunk: int, missing: str = "no such file", hint: str | None = None
) -> Iterator[_Reader]:
    try:
        binary = open_regular(path, missing=missing, hint=hint)
        with TextIOWrapper(binary, encoding="utf-8") as file:
            yield _Reader(file, path, chunk)
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

    def items(self, names: Collection[str]) -> Iterator[tuple[str, Any]]:
        left = set(names)
        self._expect("{")
        more = self._peek() != "}"
        while more and left:
            key = self._key()
            if self._peek() != "[":
                self._value()
            else:
                for item in self._elements():
                    if key in names:
                        yield key, item
                left.discard(key)
            more = self._expect(",}") == ","
        if left:
            raise CorruptInput(f"has no list {', '.join(sorted(left))}", where=self._path)

    def _elements(self) -> Iterator[Any]:
        self._expect("[")
        if self._peek() == "]":
            self._at += 1
            return
        yield self._value()
        while self._expect(",]") == ",":
            self._peek()
            yield self._value()

    def _member(self) -> tuple[str, Any]:
        key = self._key()
        self._peek()
        return key, self._value()

    def _key(self) -> str:
        """Parse a key and its colon."""
        if self._peek() != '"':
            raise self._error("has something else where a key is expected")
        key: str = self._value()
        self._expect(":")
        return key

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
