"""Overlays of a stream: frames drawn as they come, above bars of the last of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stages.tools.render.config import RenderConfig
from stages.tools.render.drawing import video_side
from stages.tools.render.paint import Layer, fit_mask, fit_picture, paint
from stages.tools.render.palette import Colour, sentence_colour
from stages.tools.render.panel import Content, Key, Lane, Panel

LIVE_SPAN = 120
"""Frames that the bars reach back: how long a stream will be is not known."""


class LiveOverlay:
    """Draws the frames of a stream one after another.

    Args:
        sentences: drawn together, a colour each.
        height, width: of the frames.
        config: size and opacity.
        note: a word at the end of the legend's line, such as the video's name.
        font: for scripts that the built-in Latin font lacks.
    """

    def __init__(
        self,
        sentences: Sequence[str],
        height: int,
        width: int,
        config: RenderConfig,
        *,
        note: str = "",
        font: Path | None = None,
    ):
        scale = video_side(height, width, config) / min(height, width)
        self._height, self._width = max(1, round(height * scale)), max(1, round(width * scale))
        self._opacity = config.opacity
        self._colours = [sentence_colour(row) for row in range(len(sentences))]
        self._past: deque[tuple[bool, ...]] = deque(maxlen=LIVE_SPAN)
        keys = tuple(map(Key, sentences, self._colours))
        content = Content(keys, self._lanes(), (), f"{note} (the last {LIVE_SPAN} frames)")
        self._panel = Panel(content, self._height, self._width, font)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of what :meth:`draw` returns."""
        return self._panel.size

    def draw(
        self, frame: int, picture: np.ndarray, masks: np.ndarray, guided: Sequence[bool]
    ) -> np.ndarray:
        """The next frame's picture, uint8 RGB of :attr:`size`.

        Args:
            frame: its number.
            picture: uint8 (H, W, 3).
            masks: (E, H, W) bool, one a sentence.
            guided: E, whether the frame lies in the sentence's moment.
        """
        self._past.append(tuple(guided))
        layers = [
            Layer(fit_mask(mask, self._height, self._width), colour)
            for mask, colour in zip(masks, self._colours, strict=True)
        ]
        fitted = fit_picture(picture, self._height, self._width)
        painted = paint(fitted, layers, self._opacity)
        return self._panel.compose(painted, (LIVE_SPAN - 1,), f"frame {frame}", self._lanes())

    def _lanes(self) -> tuple[Lane, ...]:
        """A bar a sentence; the newest frame stands at its right end."""
        empty: tuple[Colour | None, ...] = (None,) * (LIVE_SPAN - len(self._past))
        return tuple(
            Lane(
                f"moment {row}",
                empty + tuple(colour if guided[row] else None for guided in self._past),
                colour,
            )
            for row, colour in enumerate(self._colours)
        )
