"""Counts that agree with their nouns: 1 video failed, 2 videos failed."""

from __future__ import annotations

import re

# Words of counts and messages; others, such as "unless", keep their s.
_NOUNS = (
    *("archives", "clips", "entries", "expressions", "faults", "files", "folders", "frames"),
    *("images", "inputs", "keys", "lines", "masks", "moments", "names", "objects", "pictures"),
    *("pixels", "predictions", "rows", "runs", "samples", "sentences", "sizes", "spans", "steps"),
    *("tensors", "texts", "tracks", "videos", "words"),
)
_PLURAL = re.compile(rf"\b({'|'.join(_NOUNS)})\b")


def amount(number: int, noun: str) -> str:
    """`number` and its noun: `1 video failed` of `amount(1, "videos failed")`.

    Args:
        noun: in the plural, first of the words that may follow it.
    """
    return f"{number:,} {_PLURAL.sub(_singular, noun, count=1) if number == 1 else noun}"


def _singular(found: re.Match[str]) -> str:
    word = found[0]
    return f"{word[:-3]}y" if word.endswith("ies") else word[:-1]
