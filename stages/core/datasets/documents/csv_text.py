"""Reading CSV files of others as text, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from schemas.errors import CorruptInput
from schemas.files import read_regular


def read_csv_text(path: Path, *, missing: str = "no such file") -> str:
    """A UTF-8 file of lines, a byte order mark dropped.

    Args:
        missing: the message where there is no such file.

    Raises:
        MissingInput: no such file.
        CorruptInput: not UTF-8, or its last line has no end.
    """
    try:
        text = read_regular(path, missing=missing).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorruptInput("is not UTF-8 text", where=path) from error
    if not text:
        raise CorruptInput("is empty", where=path)
    if not text.endswith(("\n", "\r")):
        # A number that is cut off is a number too: only the end of the line tells them apart.
        raise CorruptInput(
            "its last line has no end, as in a file that is cut off",
            where=path,
            hint="add a line break if it is whole",
        )
    return text
