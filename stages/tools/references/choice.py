"""Which objects a trivial answer consists of."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from stages.core.index.index import Expression
from stages.tools.references.config import ALL_OBJECTS, ONE_AT_RANDOM, ReferencesConfig
from stages.tools.references.objects import KnownObject

PLURAL = re.compile(r"(?:e?s)?")


def choose(
    expression: Expression, objects: Sequence[KnownObject], config: ReferencesConfig
) -> list[str]:
    """Annotation ids of the objects whose union answers an expression; maybe none.

    Args:
        objects: all objects of the expression's video.
    """
    if config.kind == ALL_OBJECTS:
        return [thing.anno_id for thing in objects]
    if config.kind == ONE_AT_RANDOM:
        return [_draw(expression, objects, config.seed).anno_id] if objects else []
    return [thing.anno_id for thing in look_alikes(expression, objects)]


def look_alikes(expression: Expression, objects: Sequence[KnownObject]) -> list[KnownObject]:
    """The objects whose category is that of a referent.

    A sentence without referents still names a look: then those objects are taken whose category's
    words all stand in the sentence (`two red circles ...` takes every `red circle`). It is what a
    viewer would answer who understands the nouns and ignores the verbs.
    """
    if expression.anno_ids:
        looks = {thing.category for thing in objects if thing.anno_id in expression.anno_ids}
        return [thing for thing in objects if thing.category in looks]
    words = re.findall(r"\w+", expression.text.lower())
    return [thing for thing in objects if thing.category and _named(thing.category, words)]


def _named(category: str, words: Sequence[str]) -> bool:
    """Whether all words of a category, in singular or plural, are among the words."""
    return all(
        any(word.startswith(part) and PLURAL.fullmatch(word, len(part)) for word in words)
        for part in category.lower().split()
    )


def _draw(expression: Expression, objects: Sequence[KnownObject], seed: int) -> KnownObject:
    """One object by seed, video and expression alone, whatever else is in the index."""
    key = "\0".join([str(seed), expression.video_id, expression.expression_id])
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return sorted(objects, key=lambda thing: thing.anno_id)[number % len(objects)]
