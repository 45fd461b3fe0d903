"""The words of a sentence that are searched for: all of them, or its first noun phrase."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stages.core.language.tagging import INSTALL_TAGGER, TaggedWord, Tagger

_NOUNS = ("NN", "NNS", "NNP", "NNPS")
_MODIFIERS = ("JJ", "JJR", "JJS", "VBN", "VBG", "POS", *_NOUNS)
_CONJUNCTION = "CC"

Tag = Callable[[str], Sequence[TaggedWord]]


def noun_tagger() -> Tagger:
    """The tagger of `--phrase noun`.

    Raises:
        MissingInput: it cannot be loaded.
    """
    return Tagger(option="--phrase noun", hint=f"{INSTALL_TAGGER}, or --phrase sentence")


def noun_phrase(sentence: str, tag: Tag) -> str | None:
    """The first noun of a sentence with the words before it that describe it; None without one.

    Articles, numbers and possessives are left out: "the two black and white dogs that run" is
    searched as "black and white dogs".
    """
    words = list(tag(sentence))
    first = next((n for n, word in enumerate(words) if word.tag in _NOUNS), None)
    if first is None:
        return None
    last = first
    while last + 1 < len(words) and words[last + 1].tag in _NOUNS:
        last += 1
    while first and _describes(words, first - 1):
        first -= 1
    if words[first].tag == _CONJUNCTION:
        first += 1
    return sentence[words[first].start : words[last].end]


def _describes(words: Sequence[TaggedWord], place: int) -> bool:
    """Whether a word belongs to the noun phrase that begins after it."""
    if words[place].tag == _CONJUNCTION:
        return place > 0 and words[place - 1].tag in _MODIFIERS
    return words[place].tag in _MODIFIERS
