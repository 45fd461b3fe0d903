"""Checks of values in JSON documents of others."""

from __future__ import annotations

from schemas.errors import CorruptInput
from stages.core.media.frames import MAX_PIXELS


def id_list(value: object, where: str) -> tuple[str, ...]:
    """Return ids as strings; JSON has a list of numbers or strings, a single one, or null.

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
    """Return `value` if it can be encoded as UTF-8; JSON may have half of a surrogate pair.

    Raises:
        CorruptInput: it cannot.
    """
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise CorruptInput(
            f"{value!r} is not valid text: it has half of a surrogate pair", where=where
        ) from error
    return value


def rle_size(value: object, where: object) -> tuple[int, int]:
    """Return the (height, width) of an RLE.

    Raises:
        CorruptInput: not a pair of whole numbers above 0, or more pixels than a mask may have.
    """
    fits = (
        isinstance(value, list)
        and len(value) == len(("height", "width"))
        and all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in value)
        and value[0] * value[1] <= MAX_PIXELS
    )
    if not fits:
        raise CorruptInput("the RLE's size is not [height, width]", where=where)
    assert isinstance(value, list)
    return value[0], value[1]
