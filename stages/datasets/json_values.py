"""JSON documents from strangers, read into checked values."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.errors import CorruptInput, MissingInput


def load_object(path: Path, *, what: str = "file") -> Mapping[str, Any]:
    """The JSON object in a file.

    Raises:
        MissingInput: no such file.
        CorruptInput: not UTF-8, not JSON, too deep, or not an object.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingInput(f"no such {what}", where=path) from error
    except (OSError, ValueError, RecursionError) as error:
        raise CorruptInput(f"is not readable JSON ({error})", where=path) from error
    return mapping(document, path)


def mapping(value: object, where: object) -> Mapping[str, Any]:
    """`value` if it is a JSON object.

    Raises:
        CorruptInput: it is something else.
    """
    if not isinstance(value, Mapping):
        found = "nothing" if value is None else type(value).__name__
        raise CorruptInput(f"a JSON object is needed, found {found}", where=where)
    return value


def id_list(value: object, where: str) -> tuple[str, ...]:
    """Ids as strings: a list of numbers or strings, a single one, or nothing.

    Raises:
        CorruptInput: an id is neither a number nor a string.
    """
    if value is None:
        return ()
    items = value if isinstance(value, list) else [value]
    if any(isinstance(item, bool) or not isinstance(item, int | str) for item in items):
        raise CorruptInput("has an id that is neither a number nor a string", where=where)
    return tuple(whole_text(str(item), where) for item in items)


def whole_text(value: str, where: object) -> str:
    """`value`, if it can be written as UTF-8; JSON may hold half of a surrogate pair.

    Raises:
        CorruptInput: it cannot.
    """
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise CorruptInput(
            f"{value!r} is no text: half of a surrogate pair", where=where
        ) from error
    return value


def finite_numbers(value: object, where: object) -> list[float]:
    """A list of finite numbers.

    Raises:
        CorruptInput: it is something else.
    """
    if not isinstance(value, list) or not all(_is_finite(item) for item in value):
        raise CorruptInput("a list of numbers is needed", where=where)
    return [float(item) for item in value]


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf
