"""Reading the text files of strangers."""

from __future__ import annotations

from pathlib import Path

from schemas.errors import CorruptInput
from schemas.files import read_regular


def read_text(path: Path) -> str:
    """A whole UTF-8 file, a byte order mark dropped.

    Raises:
        MissingInput: no such file.
        CorruptInput: not UTF-8.
    """
    try:
        return read_regular(path, missing="no such moments file").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorruptInput("is not UTF-8 text", where=path) from error


def numbered_lines(path: Path) -> list[tuple[str, str]]:
    """(place for messages, line) of every line that is not blank.

    Raises:
        MissingInput: no such file.
        CorruptInput: not UTF-8, or there is no such line.
    """
    lines = [
        (f"{path}, line {number}", line.strip("\r"))
        for number, line in enumerate(read_text(path).split("\n"), start=1)
        if line.strip()
    ]
    if not lines:
        raise CorruptInput("is empty", where=path)
    return lines
