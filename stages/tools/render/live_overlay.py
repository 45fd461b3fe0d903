"""Overlays of a stream: frames drawn as they come, with timelines of the last ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stages.core.media.palette import Colour, sentence_colour
from stages.tools.render.config import RenderConfig
from stages.tools.render.mask_layers import MaskLayer, blend_layers, resize_image, resize_mask
from stages.tools.render.overlay import video_side
from stages.tools.render.panel import LegendEntry, Panel, PanelContent, Timeline

HISTORY = 120
"""Frames that the timelines reach back; the length of a stream is not known."""


class LiveOverlay:
    """Draws the frames of a stream one by one.

    Args:
        sentences: drawn together, each in its colour.
        height, width: of the frames.
        config: size and opacity.
        note: text at the end of the legend, such as the video's name.
        font: for scripts that the default font lacks.
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
        self._colours = [sentence_colour(number) for number in range(len(sentences))]
        self._relevant: deque[tuple[bool, ...]] = deque(maxlen=HISTORY)
        several = len(sentences) > 1
        captions = tuple(
            LegendEntry(f"{number}: {sentence}" if several else sentence, colour)
            for number, (sentence, colour) in enumerate(zip(sentences, self._colours, strict=True))
        )
        content = PanelContent(
            captions, self._timelines(), (), f"{note} (the last {HISTORY} frames)"
        )
        self._panel = Panel(content, self._height, self._width, font)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of what :meth:`draw` returns."""
        return self._panel.size

    def draw(
        self, frame: int, image: np.ndarray, masks: np.ndarray, relevant: Sequence[bool]
    ) -> np.ndarray:
        """Draw the next frame, uint8 RGB of :attr:`size`.

        Args:
            frame: its number.
            image: uint8 (H, W, 3).
            masks: (E, H, W) bool, one per sentence.
            relevant: E, whether the frame lies in the sentence's moment.
        """
        self._relevant.append(tuple(relevant))
        layers = [
            MaskLayer(resize_mask(mask, self._height, self._width), colour)
            for mask, colour in zip(masks, self._colours, strict=True)
        ]
        image = resize_image(image, self._height, self._width)
        painted = blend_layers(image, layers, self._opacity)
        return self._panel.compose(painted, (HISTORY - 1,), f"frame {frame}", self._timelines())

    def _timelines(self) -> tuple[Timeline, ...]:
        """A timeline per sentence, with the newest frame at its right end."""
        empty: tuple[Colour | None, ...] = (None,) * (HISTORY - len(self._relevant))
        return tuple(
            Timeline(
                f"moment {number}",
                empty + tuple(colour if relevant[number] else None for relevant in self._relevant),
                colour,
            )
            for number, colour in enumerate(self._colours)
        )
