"""Sentences of any length and script fit their lines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from schemas.errors import CorruptInput
from stages.tools.render.text import ELLIPSIS, Face, missing_characters

WIDTH = 200


@pytest.fixture
def face() -> Face:
    return Face(16)


def test_the_built_in_font_scales() -> None:
    assert Face(32).width("the dog") > 1.8 * Face(16).width("the dog")
    assert Face(32).line_height > Face(16).line_height


def test_lines_fit_and_keep_every_word(face: Face) -> None:
    sentence = "the giraffe bending its neck down to the ground"
    lines = face.wrap(sentence, WIDTH, 10)
    assert " ".join(lines) == sentence
    assert len(lines) > 1
    assert all(face.width(line) <= WIDTH for line in lines)


@pytest.mark.parametrize("text", ["word " * 500, "x" * 3000, "a " + "y" * 400, "W" * 50 + " b"])
def test_long_text_is_cut_with_dots(face: Face, text: str) -> None:
    lines = face.wrap(text, WIDTH, 2)
    assert len(lines) == 2
    assert lines[-1].endswith(ELLIPSIS)
    assert all(face.width(line) <= WIDTH for line in lines)


def test_a_single_line_is_shortened_only_when_needed(face: Face) -> None:
    assert face.shorten("short", WIDTH) == "short"
    short = face.shorten("a rather long label for so little room", WIDTH)
    assert short.endswith(ELLIPSIS)
    assert face.width(short) <= WIDTH


def test_an_empty_sentence_is_one_empty_line(face: Face) -> None:
    assert face.wrap("", WIDTH, 3) == [""]
    assert face.wrap(" \n\t ", WIDTH, 3) == [""]


def test_no_width_at_all_still_ends(face: Face) -> None:
    assert face.wrap("abc", 1, 2)[-1].endswith(ELLIPSIS)


@pytest.mark.parametrize(
    "text",
    ["Kühe, naïve \u2013 straße", "pies, który skacze", "chó đang chạy", "σκύλος", "жёлтый"],
)
def test_latin_with_accents_greek_and_cyrillic_are_drawn_as_they_are(text: str, face: Face) -> None:
    assert face.transliterate(text) == text
    assert face.missing(text) == ""


def test_compatible_forms_are_decomposed_and_other_scripts_counted(face: Face) -> None:
    assert face.transliterate("\uff4b\uff4f") == "ko"  # full width
    assert face.transliterate("牛 why?") == "? why?"
    assert face.missing("牛が why?") == "牛が"


def test_a_file_that_is_not_a_font_is_named(tmp_path: Path) -> None:
    path = tmp_path / "font.ttf"
    path.write_bytes(b"no font")
    with pytest.raises(CorruptInput, match=r"font\.ttf: is not a font"):
        Face(12, path)


def test_a_pipe_instead_of_a_font_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "font.ttf")
    with pytest.raises(CorruptInput, match=r"font\.ttf: is a pipe"):
        Face(16, tmp_path / "font.ttf")


def test_scripts_without_glyphs_are_named_with_the_way_out() -> None:
    line = missing_characters(["the dog", "跳ぶ牛", "الكلب الذي يقفز", "الكلب"], None)
    assert line == (
        "the default font lacks 21 characters of the sentences (Chinese characters, Hiragana, "
        "Arabic), drawn as ?; name a font that has them with --font"
    )
    assert missing_characters(["the dog", "σκύλος", "собака", "Žluťoučký kůň"], None) is None
    assert missing_characters(["\U0001f436"], None) == (
        "the default font lacks 1 character of the sentences, drawn as ?; name a font that has "
        "them with --font"
    )
