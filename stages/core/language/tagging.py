"""The part-of-speech tagger of textblob, whose lexicon is part of the package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from schemas.errors import MissingInput

TAGGER_PACKAGE = "textblob"
INSTALL_TAGGER = "pip install 'tgl[tagger]'"


class TaggedWord(NamedTuple):
    """A word of a sentence.

    Attributes:
        start, end: its range in characters.
        tag: of the Penn treebank, such as NN or VBZ.
    """

    start: int
    end: int
    tag: str


def tagger_version() -> str | None:
    """Name and version of the installed tagger, None if there is none."""
    try:
        return f"{TAGGER_PACKAGE} {version(TAGGER_PACKAGE)}"
    except PackageNotFoundError:
        return None


class Tagger:
    """Tags the words of a sentence.

    Args:
        option: the option that asked for a tagger, for messages.
        hint: what the user can do without one.

    Raises:
        MissingInput: textblob cannot be loaded.
    """

    def __init__(self, *, option: str, hint: str) -> None:
        try:
            from textblob.en import tag
        except ImportError as error:
            raise MissingInput(
                f"the tagger cannot be loaded ({error})", where=option, hint=hint
            ) from error
        self._tag = tag

    def __call__(self, sentence: str) -> list[TaggedWord]:
        """The words in order; those that the tagger rewrites (some marks) are left out."""
        found = []
        end = 0
        for word, tag in self._tag(sentence, tokenize=True):
            start = sentence.find(word, end)
            if start < 0:
                continue
            end = start + len(word)
            found.append(TaggedWord(start, end, tag))
        return found
