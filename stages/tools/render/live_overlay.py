"""Overlays of a stream: frames drawn as they come, with timelines of the last ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stages.core.media.palette import Colour, sentence_colour
from stages.tools.render.drawing import CUTOUT, DrawingConfig
from stages.tools.render.overlay import video_side
from stages.tools.render.painting.cutout import cut_out
from stages.tools.render.painting.mask_layers import blend_layers, resize_image, resize_mask
from stages.tools.render.painting.painter import label_painter, scaled_size, sentence_layers
from stages.tools.render.panel import LegendEntry, Panel, PanelContent, Timeline

HISTORY = 120
"""Frames that the timelines reach back; the length of a stream is not known."""


class LiveOverlay:
    """Draws the frames of a stream one by one.

    Args:
        sentences: drawn together, each in its colour.
        height, width: of the frames.
        config: size and style.
        note: text at the end of the legend, such as the video's name.
        font: for scripts that the default font lacks.
    """

    def __init__(
        self,
        sentences: Sequence[str],
        height: int,
        width: int,
        config: DrawingConfig,
        *,
        note: str = "",
        font: Path | None = None,
    ):
        side = video_side(height, width, config)
        self._height, self._width = scaled_size(height, width, side)
        self._config = config
        self._colours = [sentence_colour(number) for number in range(len(sentences))]
        names = [(str(number), sentence) for number, sentence in enumerate(sentences)]
        self._labels = label_painter(config, names, self._height, self._width, font)
        self._relevant: deque[tuple[bool, ...]] = deque(maxlen=HISTORY)
        several = len(sentences) > 1
        captions = tuple(
            LegendEntry(f"{number}: {sentence}" if several else sentence, colour)
            for number, (sentence, colour) in enumerate(zip(sentences, self._colours, strict=True))
        )
        content = PanelContent(
            captions, self._timelines(), (), f"{note} (the last {HISTORY} frames)"
        )
        self._panel = (
            None if config.frame_alone else Panel(content, self._height, self._width, font)
        )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of what :meth:`draw` returns."""
        return (self._height, self._width) if self._panel is None else self._panel.size

    def draw(
        self, frame: int, image: np.ndarray, masks: np.ndarray, relevant: Sequence[bool]
    ) -> np.ndarray:
        """Draw the next frame, uint8 RGB of :attr:`size`; of a cut-out RGBA.

        Args:
            frame: its number.
            image: uint8 (H, W, 3).
            masks: (E, H, W) bool, one per sentence.
            relevant: E, whether the frame lies in the sentence's moment.
        """
        self._relevant.append(tuple(relevant))
        fitted = [resize_mask(mask, self._height, self._width) for mask in masks]
        image = resize_image(image, self._height, self._width)
        if self._config.style == CUTOUT:
            return cut_out(image, np.logical_or.reduce(fitted))
        painted = blend_layers(image, sentence_layers(fitted), self._config.fill)
        if self._labels is not None:
            painted = self._labels.draw(painted, fitted)
        if self._panel is None:
            return painted
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
