"""Making strings from data safe to show: one line, no escape sequences, of bounded length.

Names, ids and sentences come from strangers. In a terminal an ESC moves the cursor, a carriage
return hides the text before it, and a right-to-left override reverses a suffix.
"""

from __future__ import annotations

import unicodedata

SHORT = 200
"""Characters shown of a name, an id or a path inside a sentence."""
LONG = 800
"""Characters of a line: room for a few names in a message."""

_ELLIPSIS = "..."
# Letters of Persian and joined emoji need the zero-width joiners; they change no direction.
_JOINERS = "\u200c\u200d"
_SPACE = "Zs"


def printable(text: object, limit: int = SHORT) -> str:
    r"""Escape `text` so that it can be printed anywhere, in one line.

    Control characters, line breaks, tabs, direction overrides and lone surrogates become Python's
    escapes (`\x1b`, `\n`, `\u202e`); letters of every script stay as they are.

    Args:
        limit: most characters; in longer text, `...` replaces the middle.
    """
    shown = str(text)
    if not shown.isprintable():
        shown = "".join(map(_visible, shown))
    if len(shown) <= limit:
        return shown
    kept = limit - len(_ELLIPSIS)
    return f"{shown[: kept - kept // 2]}{_ELLIPSIS}{shown[len(shown) - kept // 2 :]}"


def printable_line(text: object, limit: int = LONG) -> str:
    """Escape a message as one line, with single blanks and long words shortened.

    The rest of the message stays readable however long a name in it is.
    """
    return printable(" ".join(printable(word) for word in str(text).split()), limit)


def _visible(char: str) -> str:
    if char.isprintable() or char in _JOINERS or unicodedata.category(char) == _SPACE:
        return char
    return char.encode("unicode_escape").decode("ascii")
