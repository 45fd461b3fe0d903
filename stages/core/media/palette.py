"""Colours that are told apart with any kind of colour vision.

They are those of M. Okabe and K. Ito, "Color Universal Design" (2008). Missed regions are also
hatched, so that the three kinds of region can be told apart without colour.
"""

from __future__ import annotations

Colour = tuple[int, int, int]

SKY_BLUE: Colour = (86, 180, 233)
ORANGE: Colour = (230, 159, 0)
BLUISH_GREEN: Colour = (0, 158, 115)
YELLOW: Colour = (240, 228, 66)
BLUE: Colour = (0, 114, 178)
VERMILION: Colour = (213, 94, 0)
REDDISH_PURPLE: Colour = (204, 121, 167)

AGREEMENT = BLUE
MISSED = YELLOW
EXTRA = VERMILION
OUTLINE: Colour = (255, 255, 255)

SENTENCES = (ORANGE, SKY_BLUE, REDDISH_PURPLE, YELLOW, BLUISH_GREEN, VERMILION, BLUE)

BACKGROUND: Colour = (22, 22, 26)
TEXT: Colour = (242, 242, 242)
MUTED: Colour = (168, 168, 176)
TRACK: Colour = (58, 58, 66)
SPAN: Colour = (214, 214, 220)
MARKER: Colour = (255, 255, 255)

FIXED = (*SENTENCES, BACKGROUND, TEXT, MUTED, TRACK, SPAN, OUTLINE)
"""Colours that stay exact in a GIF of 256 colours."""


def sentence_colour(position: int) -> Colour:
    """Colour of the n-th sentence of an overlay; they repeat after seven."""
    return SENTENCES[position % len(SENTENCES)]
