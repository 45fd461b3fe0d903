"""Choosing the objects of a trivial prediction."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from stages.core.datasets.objects import KnownObject
from stages.core.index.index import Expression
from stages.tools.references.config import ALL_OBJECTS, ONE_AT_RANDOM, ReferencesConfig

PLURAL = re.compile(r"(?:e?s)?")


def choose(
    expression: Expression, objects: Sequence[KnownObject], config: ReferencesConfig
) -> list[str]:
    """Choose the anno ids of the objects whose union is predicted for an expression; maybe none.

    Args:
        objects: all objects of the expression's video.
    """
    if config.kind == ALL_OBJECTS:
        return [item.anno_id for item in objects]
    if config.kind == ONE_AT_RANDOM:
        return [_draw(expression, objects, config.seed).anno_id] if objects else []
    return [item.anno_id for item in look_alikes(expression, objects)]


def look_alikes(expression: Expression, objects: Sequence[KnownObject]) -> list[KnownObject]:
    """Return the objects whose category is that of a referent.

    A sentence without referents may still name a category: then the objects are taken whose
    category's words are all in the sentence (`two red circles ...` takes every `red circle`), as if
    only its nouns were understood.
    """
    if expression.anno_ids:
        categories = {item.category for item in objects if item.anno_id in expression.anno_ids}
        return [item for item in objects if item.category in categories]
    words = re.findall(r"\w+", expression.text.lower())
    return [item for item in objects if item.category and _named(item.category, words)]


def _named(category: str, words: Sequence[str]) -> bool:
    """Return whether all words of a category, in singular or plural, are among the words."""
    return all(
        any(word.startswith(part) and PLURAL.fullmatch(word, len(part)) for word in words)
        for part in category.lower().split()
    )


def _draw(expression: Expression, objects: Sequence[KnownObject], seed: int) -> KnownObject:
    """Draw one object by seed, video and expression alone, whatever else is in the index."""
    key = "\0".join([str(seed), expression.video_id, expression.expression_id])
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return sorted(objects, key=lambda item: item.anno_id)[number % len(objects)]
