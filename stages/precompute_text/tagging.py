"""The part-of-speech tagger of textblob, whose lexicon is part of the package."""

from __future__ import annotations

from schemas.errors import MissingInput

_VERB = "VB"  # Penn treebank: VB, VBD, VBG, VBN, VBP, VBZ
# Verbs of being and having, which the tagger marks like any other.
_STATES = frozenset(
    {"am", "are", "be", "been", "being", "is", "was", "were"}
    | {"do", "does", "did", "doing", "done", "have", "has", "had", "having"}
    | {"look", "looks", "looking", "wear", "wears", "wearing", "s", "re", "ve", "m", "d"}
)


class VerbTagger:
    """Finds the verbs of a sentence.

    Raises:
        MissingInput: textblob cannot be loaded.
    """

    def __init__(self) -> None:
        try:
            from textblob.en import tag
        except ImportError as error:
            raise MissingInput(
                f"the tagger cannot be loaded ({error})",
                where="--motion-words",
                hint="pip install 'tgl[tagger]', or --motion-words list",
            ) from error
        self._tag = tag

    def __call__(self, sentence: str) -> list[tuple[int, int]]:
        """Ranges of verbs as (start, end) in characters, without verbs of being and having."""
        found = []
        end = 0
        for word, kind in self._tag(sentence, tokenize=True):
            start = sentence.find(word, end)
            if start < 0:  # the tagger rewrites some punctuation marks
                continue
            end = start + len(word)
            if kind.startswith(_VERB) and word.lower() not in _STATES:
                found.append((start, end))
        return found
