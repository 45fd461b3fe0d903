"""Parts of messages: counts that agree with their nouns, shortened lists, suggestions."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

# Plurals to make singular; other words, such as "unless", keep their s.
_NOUNS = (
    *(
        "annotators",
        "archives",
        "characters",
        "clips",
        "entries",
        "errors",
        "expressions",
        "faults",
        "files",
    ),
    *("folders", "frames", "images", "indexes", "inputs", "keys", "lines", "masks", "moments"),
    *("names", "objects", "overlays", "pictures", "pixels", "predictions", "rows", "runs"),
    *("samples", "sentences", "sizes", "spans", "steps", "tensors", "texts", "tracks", "videos"),
    *("columns", "devices", "gaps", "values", "weights", "words", "workers", "GPUs", "GIFs"),
)
_LISTED = 3
_PLURAL = re.compile(rf"\b({'|'.join(_NOUNS)})\b")


def amount(number: int, noun: str) -> str:
    """A number with its noun: `amount(1, "videos failed")` is `1 video failed`.

    Args:
        noun: in the plural, perhaps followed by other words.
    """
    return f"{number:,} {_PLURAL.sub(_singular, noun, count=1) if number == 1 else noun}"


def listing(names: Sequence[str], noun: str) -> str:
    """A count with the first names: `20 videos (a, b, c, ...)`."""
    more = ", ..." if len(names) > _LISTED else ""
    return f"{amount(len(names), noun)} ({', '.join(names[:_LISTED])}{more})"


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """`did you mean ...?` if a known word is similar to `word`, else None."""
    near = difflib.get_close_matches(word, list(known), n=2)
    return f"did you mean {' or '.join(near)}?" if near else None


def _singular(found: re.Match[str]) -> str:
    word = found[0]
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-2] if word.endswith("xes") else word[:-1]
