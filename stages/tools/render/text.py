"""Fonts, and sentences wrapped into lines."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

from schemas.errors import CorruptInput, MissingInput
from schemas.files import require_regular
from schemas.wording import amount

ELLIPSIS = "..."
_FONT_PACKAGE, _FONT_FILE = "font_source_sans_pro", "SourceSansPro-Regular.ttf"
_NO_CHARACTER = "\uffff"
_REPLACEMENT = "?"
# Characters that NFKD does not decompose, in ASCII: dashes, quotation marks, ligatures.
_PLAIN = str.maketrans(
    {
        "\u2010": "-",
        "\u2011": "-",
        "\u2013": "-",
        "\u2014": "-",
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "ß": "ss",
        "æ": "ae",
        "Æ": "AE",
        "œ": "oe",
        "ø": "o",
        "Ø": "O",
        "ł": "l",
        "Ł": "L",
    }
)
_ANY_SIZE = 12
_SCRIPTS = {"CJK": "Chinese characters"}
_NAMED_SCRIPTS = frozenset(
    (
        *("HIRAGANA", "KATAKANA", "HANGUL", "ARABIC", "HEBREW", "SYRIAC", "THAANA", "DEVANAGARI"),
        *("BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM"),
        *("SINHALA", "THAI", "LAO", "TIBETAN", "MYANMAR", "KHMER", "GEORGIAN", "ARMENIAN"),
        *("ETHIOPIC", "MONGOLIAN"),
    )
)
# Captions are short: characters of a longer sentence are ignored.
_LONGEST_TEXT = 2000


class Face:
    """A font at one size.

    Args:
        path: a TrueType or OpenType file; None takes Source Sans, which has Latin with all accents,
            Greek and Cyrillic.

    Attributes:
        line_height: pixels from one line to the next.
        cap_top, cap_height: distance of capital letters from the line's top, and their height.

    Raises:
        CorruptInput: not a font.
    """

    def __init__(self, size: int, path: Path | None = None):
        self.size = size
        self.font = _load(path, size)
        ascent, descent = self.font.getmetrics()
        self.ascent = ascent
        self.line_height = ascent + descent + max(1, size // 6)
        _, top, _, bottom = self.font.getbbox("H")
        self.cap_top, self.cap_height = round(top), round(bottom - top)

    def width(self, text: str) -> int:
        """Width of `text` in one line, in pixels."""
        return round(self.font.getlength(text))

    def transliterate(self, text: str) -> str:
        """Replace characters that the font lacks: accents are dropped, others become `?`."""
        return "".join(map(self._transliterated, " ".join(text[:_LONGEST_TEXT].split())))

    def missing(self, text: str) -> str:
        """Characters that :meth:`transliterate` replaces by `?`, in order."""
        return "".join(
            char
            for char in " ".join(text.split())
            if self._transliterated(char) == _REPLACEMENT != char
        )

    def wrap(self, text: str, width: int, most: int) -> list[str]:
        """Wrap `text` into at most `most` lines of `width` pixels; a cut ends in dots."""
        words = self._short_words(self.transliterate(text), width)
        lines: list[str] = []
        for word in words:
            joined = f"{lines[-1]} {word}" if lines else word
            if lines and self.width(joined) <= width:
                lines[-1] = joined
            elif len(lines) < most:
                lines.append(word)
            else:
                lines[-1] = self._cut(lines[-1], width)
                break
        return lines or [""]

    def shorten(self, text: str, width: int) -> str:
        """Cut `text` to one line of `width` pixels; a cut ends in dots."""
        line = self.transliterate(text)
        return line if self.width(line) <= width else self._cut(line, width)

    def _cut(self, line: str, width: int) -> str:
        room = max(0, width - self.width(ELLIPSIS) - 1)
        return line[: self._fitting(line, room)].rstrip() + ELLIPSIS

    def _short_words(self, text: str, width: int) -> Iterator[str]:
        """Split into words, and words that are wider than a line into parts."""
        for word in text.split(" "):
            rest = word
            while len(rest) > 1 and self.width(rest) > width:
                fits = max(1, self._fitting(rest, width))
                yield rest[:fits]
                rest = rest[fits:]
            yield rest

    def _fitting(self, text: str, width: int) -> int:
        """Number of characters of `text` that fit into `width` pixels."""
        lengths = range(1, len(text) + 1)
        return bisect_right(lengths, width, key=lambda length: self.width(text[:length]))

    def _transliterated(self, char: str) -> str:
        if self._has(char):
            return char
        plain = unicodedata.normalize("NFKD", char.translate(_PLAIN))
        kept = "".join(part for part in plain if not unicodedata.combining(part))
        if all(self._has(part) for part in kept):
            return kept
        return _REPLACEMENT

    def _has(self, char: str) -> bool:
        return char == " " or _glyph(self.font, char) != _glyph(self.font, _NO_CHARACTER)


def missing_characters(sentences: Iterable[str], font: Path | None) -> str | None:
    """A line about characters that cannot be drawn; None if the font has them all.

    Args:
        font: see :class:`Face`.
    """
    face = Face(_ANY_SIZE, font)
    missing = "".join(map(face.missing, sentences))
    if not missing:
        return None
    scripts = dict.fromkeys(_script(char) for char in missing)
    named = ", ".join(filter(None, scripts))
    return (
        f"{font or 'the default font'} lacks {amount(len(missing), 'characters of the sentences')}"
        f"{f' ({named})' if named else ''}, drawn as ?; name a font that has them with --font"
    )


def _script(char: str) -> str | None:
    """The script of a character, as the first word of its Unicode name; None if that is none."""
    word = unicodedata.name(char, "").partition(" ")[0]
    return _SCRIPTS.get(word, word.capitalize() if word in _NAMED_SCRIPTS else None)


@lru_cache(maxsize=4096)
def _glyph(font: ImageFont.FreeTypeFont, char: str) -> tuple[tuple[int, int], bytes]:
    """Bitmap of a character: its size and bytes; an empty box where the font lacks it."""
    drawn = font.getmask(char)
    return drawn.size, bytes(drawn)


def _default_font() -> Path:
    """The font in the package font-source-sans-pro, which is not executed.

    Raises:
        MissingInput: it is not installed.
    """
    package = find_spec(_FONT_PACKAGE)
    if package is None or package.origin is None:
        raise MissingInput(
            "the default font is missing",
            hint="pip install font-source-sans-pro, or name a font with --font",
        )
    return Path(package.origin).with_name("files") / _FONT_FILE


@lru_cache(maxsize=16)
def _load(path: Path | None, size: int) -> ImageFont.FreeTypeFont:
    path = path or _default_font()
    require_regular(path, missing="no such font")
    try:
        return ImageFont.truetype(str(path), size)
    except OSError as error:
        raise CorruptInput(f"is not a font ({error})", where=path) from error
