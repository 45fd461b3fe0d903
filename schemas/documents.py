"""Reading JSON documents, or refusing them in one line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.errors import CorruptInput
from schemas.files import read_regular


def parse_json(text: str | bytes, where: object) -> Any:
    """Parse a JSON text.

    Args:
        where: the file, with the line or key if the text is a part of it, for messages.

    Raises:
        CorruptInput: not JSON, or nested too deeply for Python.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CorruptInput(f"is not readable JSON ({error})", where=where) from error


def load_object(path: Path, *, what: str = "file", hint: str | None = None) -> dict[str, Any]:
    """Read the JSON object in a file.

    Args:
        what: the name for the file in the message if it is missing.
        hint: what to do then.

    Raises:
        MissingInput: no such file.
        CorruptInput: not a regular file, not UTF-8, not JSON, too deep, or not an object.
        SystemRefused: the system does not let it be read.
    """
    try:
        text = read_regular(path, missing=f"no such {what}", hint=hint).decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorruptInput(f"is not readable JSON ({error})", where=path) from error
    return dict(mapping(parse_json(text, path), path))


def mapping(value: object, where: object) -> Mapping[str, Any]:
    """Return `value` if it is a JSON object.

    Raises:
        CorruptInput: it is something else.
    """
    if not isinstance(value, dict | Mapping):  # the first is found faster
        found = "nothing" if value is None else type(value).__name__
        raise CorruptInput(f"a JSON object is needed, found {found}", where=where)
    return value
