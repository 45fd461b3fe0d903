"""Words of messages: counts that agree with their nouns, lists cut short, what was meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

# Words of counts and messages; others, such as "unless", keep their s.
_NOUNS = (
    *("archives", "characters", "clips", "entries", "errors", "expressions", "faults", "files"),
    *("folders", "frames", "images", "inputs", "keys", "lines", "masks", "moments", "names"),
    *("objects", "overlays", "pictures", "pixels", "predictions", "rows", "runs", "samples"),
    *("sentences", "sizes", "spans", "steps", "tensors", "texts", "tracks", "videos", "words"),
)
_LISTED = 3
_PLURAL = re.compile(rf"\b({'|'.join(_NOUNS)})\b")


def amount(number: int, noun: str) -> str:
    """`number` and its noun: `1 video failed` of `amount(1, "videos failed")`.

    Args:
        noun: in the plural, first of the words that may follow it.
    """
    return f"{number:,} {_PLURAL.sub(_singular, noun, count=1) if number == 1 else noun}"


def listing(names: Sequence[str], noun: str) -> str:
    """How many there are and the first of them: `20 videos (a, b, c, ...)`."""
    more = ", ..." if len(names) > _LISTED else ""
    return f"{amount(len(names), noun)} ({', '.join(names[:_LISTED])}{more})"


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """`did you mean ...?` where a known word is near to `word`."""
    near = difflib.get_close_matches(word, list(known), n=2)
    return f"did you mean {' or '.join(near)}?" if near else None


def _singular(found: re.Match[str]) -> str:
    word = found[0]
    return f"{word[:-3]}y" if word.endswith("ies") else word[:-1]
