"""Fonts and the breaking of sentences into lines."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

from schemas.errors import CorruptInput
from schemas.files import require_regular

ELLIPSIS = "..."
_NO_CHARACTER = "\uffff"
_REPLACEMENT = "?"
# What NFKD leaves as it is (dashes, quotation marks, ligatures), in the spelling of a typewriter.
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
# A caption is short; of a sentence without end no more than this is looked at.
_LONGEST_TEXT = 2000


class Face:
    """A font at one size.

    Args:
        path: of a TrueType or OpenType file; None takes the Latin font built into Pillow.

    Attributes:
        line_height: pixels from one line to the next.
        cap_top, cap_height: where capital letters begin below the line's top, and their height.

    Raises:
        CorruptInput: the file is not a font.
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
        """Pixels that a text takes in one line."""
        return round(self.font.getlength(text))

    def spell(self, text: str) -> str:
        """`text` in characters that the font has: accents are dropped, the rest becomes `?`."""
        return "".join(map(self._spell, " ".join(text[:_LONGEST_TEXT].split())))

    def missing(self, text: str) -> int:
        """How many characters :meth:`spell` cannot show."""
        return sum(self._spell(char) == _REPLACEMENT != char for char in " ".join(text.split()))

    def wrap(self, text: str, width: int, most: int) -> list[str]:
        """`text`, spelled, in at most `most` lines of `width` pixels; a cut ends in dots."""
        words = self._short_words(self.spell(text), width)
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

    def clip(self, text: str, width: int) -> str:
        """`text`, spelled, in one line of `width` pixels; a cut ends in dots."""
        spelled = self.spell(text)
        return spelled if self.width(spelled) <= width else self._cut(spelled, width)

    def _cut(self, line: str, width: int) -> str:
        room = max(0, width - self.width(ELLIPSIS) - 1)
        return line[: self._fitting(line, room)].rstrip() + ELLIPSIS

    def _short_words(self, text: str, width: int) -> Iterator[str]:
        """Words; one that is wider than a line is broken where the line ends."""
        for word in text.split(" "):
            rest = word
            while len(rest) > 1 and self.width(rest) > width:
                fits = max(1, self._fitting(rest, width))
                yield rest[:fits]
                rest = rest[fits:]
            yield rest

    def _fitting(self, text: str, width: int) -> int:
        """How many characters of `text` fit into `width` pixels."""
        lengths = range(1, len(text) + 1)
        return bisect_right(lengths, width, key=lambda length: self.width(text[:length]))

    def _spell(self, char: str) -> str:
        if self._has(char):
            return char
        plain = unicodedata.normalize("NFKD", char.translate(_PLAIN))
        kept = "".join(part for part in plain if not unicodedata.combining(part))
        if all(self._has(part) for part in kept):
            return kept
        return _REPLACEMENT

    def _has(self, char: str) -> bool:
        return char == " " or _glyph(self.font, char) != _glyph(self.font, _NO_CHARACTER)


@lru_cache(maxsize=4096)
def _glyph(font: ImageFont.FreeTypeFont, char: str) -> tuple[tuple[int, int], bytes]:
    """What a font draws for a character; for one it lacks, its empty box."""
    drawn = font.getmask(char)
    return drawn.size, bytes(drawn)


@lru_cache(maxsize=16)
def _load(path: Path | None, size: int) -> ImageFont.FreeTypeFont:
    if path is None:
        font = ImageFont.load_default(size)
        if not isinstance(font, ImageFont.FreeTypeFont):
            raise CorruptInput("this Pillow was built without FreeType", hint="pip install pillow")
        return font
    require_regular(path, missing="no such font")
    try:
        return ImageFont.truetype(str(path), size)
    except OSError as error:
        raise CorruptInput(f"is not a font ({error})", where=path) from error
