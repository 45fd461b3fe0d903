"""The tagger, and messages where there is none."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError

import pytest

from schemas.errors import MissingInput
from stages.core.language import tagging
from stages.core.language.tagging import Tagger, tagger_version


def test_no_tagger(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(tagging, "version", absent)
    monkeypatch.setitem(sys.modules, "textblob.en", None)
    assert tagger_version() is None
    with pytest.raises(MissingInput, match=r"--phrase: the tagger cannot be loaded.*; do without"):
        Tagger(option="--phrase", hint="do without")


def test_words_keep_their_places() -> None:
    """With the real package; skipped where it is not installed."""
    pytest.importorskip("textblob")
    sentence = "it's the dog that ran, not the cat"
    words = Tagger(option="", hint="")(sentence)
    assert [(sentence[start:end], tag) for start, end, tag in words if tag == "NN"] == [
        ("dog", "NN"),
        ("cat", "NN"),
    ]
