"""Motion words are found by stem, and only where a token lies in one."""

from __future__ import annotations

import pytest

from stages.core.model.text_encoders.hashing import HashEncoder
from stages.core.model.text_encoders.motion_words import motion_mask, stem


@pytest.mark.parametrize(
    ("words", "one"),
    [
        (("run", "runs", "ran", "running"), "run"),
        (("jump", "jumps", "jumped", "jumping"), "jump"),
        (("chase", "chases", "chased", "chasing"), "chas"),
        (("fly", "flies", "flying", "flew"), "fly"),
        (("swim", "swam", "swimming"), "swim"),
    ],
)
def test_forms_of_a_verb_share_a_stem(words: tuple[str, ...], one: str) -> None:
    assert {stem(word) for word in words} == {one}


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("The giraffe Bending its neck", ["bending"]),
        ("bird flies away then dives", ["flies", "dives"]),
        ("the red one", []),
        ("the goose and the geese", []),
        ("cats chasing each other", ["chasing"]),
    ],
)
def test_motion_words_of_a_sentence(sentence: str, expected: list[str]) -> None:
    encoded = HashEncoder(8, 64, "mean").encode([sentence])[0]
    marks = motion_mask(sentence, encoded)
    assert [t for t, m in zip(encoded.tokens, marks, strict=True) if m] == expected
