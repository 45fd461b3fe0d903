"""Counts that agree, lists that end, suggestions that are near."""

from __future__ import annotations

import pytest

from schemas.wording import amount, listing, suggestion


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (1, "videos", "1 video"),
        (2, "videos", "2 videos"),
        (1, "videos failed", "1 video failed"),
        (1, "failed videos", "1 failed video"),
        (1, "rows of masks", "1 row of masks"),
        (1, "index entries", "1 index entry"),
        (0, "frames", "0 frames"),
        (12345, "masks", "12,345 masks"),
        (1, "with one referent", "1 with one referent"),
    ],
)
def test_a_count_agrees_with_its_noun(number: int, noun: str, text: str) -> None:
    assert amount(number, noun) == text


def test_a_list_says_how_many_there_are_and_a_few() -> None:
    assert listing(["a"], "videos") == "1 video (a)"
    assert listing(list("abcde"), "videos") == "5 videos (a, b, c, ...)"


def test_only_what_is_near_is_suggested() -> None:
    assert suggestion("anotated", ["annotated", "all"]) == "did you mean annotated?"
    assert suggestion("zzz", ["annotated", "all"]) is None
