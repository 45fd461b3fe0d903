"""Verbs by the part-of-speech tagger of textblob."""

from __future__ import annotations

from stages.core.language.tagging import INSTALL_TAGGER, Tagger

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
        hint = f"{INSTALL_TAGGER}, or --motion-words list"
        self._tag = Tagger(option="--motion-words", hint=hint)

    def __call__(self, sentence: str) -> list[tuple[int, int]]:
        """Ranges of verbs as (start, end) in characters, without verbs of being and having."""
        return [
            (start, end)
            for start, end, kind in self._tag(sentence)
            if kind.startswith(_VERB) and sentence[start:end].lower() not in _STATES
        ]
