"""The sentences that --only names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from schemas.errors import MissingInput
from schemas.wording import suggestion


def choose(
    only: Sequence[str],
    keys: Sequence[tuple[str, str]],
    groups: Mapping[str, Collection[int]] | None = None,
) -> list[int]:
    """Numbers of the sentences that any word names, in order; all of them without a word.

    Args:
        only: VIDEO, VIDEO/EXPRESSION, or the name of a group.
        keys: video and expression of each sentence.
        groups: further words with the numbers that they stand for.

    Raises:
        MissingInput: a word names nothing.
    """
    if not only:
        return list(range(len(keys)))
    named: dict[str, list[int]] = {}
    for number, (video, expression) in enumerate(keys):
        named.setdefault(video, []).append(number)
        named[f"{video}/{expression}"] = [number]
    known = {**(groups or {}), **named}
    unknown = [word for word in only if word not in known]
    if unknown:
        raise MissingInput(
            f"no video or sentence is called {unknown[0]!r}",
            where="--only",
            hint=suggestion(unknown[0], known) or "name VIDEO or VIDEO/EXPRESSION",
        )
    return sorted({number for word in only for number in known[word]})
