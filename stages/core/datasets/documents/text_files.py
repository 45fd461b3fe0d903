"""Reading UTF-8 text files of others, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from schemas.errors import CorruptInput
from schemas.files import read_regular


def read_text(path: Path, *, missing: str = "no such file") -> str:
    """Read a UTF-8 file; a byte order mark is dropped.

    Args:
        missing: the message if there is no such file.

    Raises:
        MissingInput: no such file.
        CorruptInput: not UTF-8.
    """
    try:
        return read_regular(path, missing=missing).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorruptInput("is not UTF-8 text", where=path) from error


def numbered_lines(path: Path, *, missing: str = "no such file") -> list[tuple[str, str]]:
    """List (place for messages, line) of every line that is not blank.

    Raises:
        MissingInput: no such file.
        CorruptInput: not UTF-8, or there is no such line.
    """
    lines = [
        (f"{path}, line {number}", line.strip("\r"))
        for number, line in enumerate(read_text(path, missing=missing).split("\n"), start=1)
        if line.strip()
    ]
    if not lines:
        raise CorruptInput("is empty", where=path)
    return lines


def read_csv_text(path: Path, *, missing: str = "no such file") -> str:
    """Read a CSV file as text, if its last line is complete.

    Raises:
        MissingInput: no such file.
        CorruptInput: empty, not UTF-8, or its last line has no end.
    """
    text = read_text(path, missing=missing)
    if not text:
        raise CorruptInput("is empty", where=path)
    if not text.endswith(("\n", "\r")):
        # A number that is cut off is a number too: only the end of the line tells them apart.
        raise CorruptInput(
            "its last line has no line break, as in a file that is cut off",
            where=path,
            hint="add one if the file is complete",
        )
    return text
