"""The noun phrase of a sentence, with tags as the real tagger gives them."""

from __future__ import annotations

import pytest

from stages.core.language.tagging import TaggedWord, tagger_version
from stages.zero_shot.ground.phrases import noun_phrase, noun_tagger

TAGGED = {
    "The white rabbit moving from left to right": ("DT JJ NN VBG IN VBN TO NN", "white rabbit"),
    "two dogs playing with a ball": ("CD NNS VBG IN DT NN", "dogs"),
    "black and white cow turning around": ("JJ CC JJ NN VBG IN", "black and white cow"),
    "a cat and the dog that run": ("DT NN CC DT NN IN NN", "cat"),
    "the running giraffe": ("DT VBG NN", "running giraffe"),
    "and cow": ("CC NN", "cow"),
    "a toy train engine": ("DT NN NN NN", "toy train engine"),
    "the one that is left": ("DT CD IN VBZ VBN", None),
    "": ("", None),
}


def tags(sentence: str) -> list[TaggedWord]:
    words, end = [], 0
    for word, tag in zip(sentence.split(), TAGGED[sentence][0].split(), strict=True):
        start = sentence.index(word, end)
        end = start + len(word)
        words.append(TaggedWord(start, end, tag))
    return words


@pytest.mark.parametrize("sentence", TAGGED)
def test_the_first_noun_with_what_describes_it(sentence: str) -> None:
    assert noun_phrase(sentence, tags) == TAGGED[sentence][1]


def test_the_real_tagger() -> None:
    """With the real package; skipped where it is not installed."""
    pytest.importorskip("textblob")
    assert tagger_version() is not None
    assert noun_phrase("The white rabbit moving to the right", noun_tagger()) == "white rabbit"
