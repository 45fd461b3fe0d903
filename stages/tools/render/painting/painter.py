"""Frames of a video with the masks of some expressions over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from schemas.errors import CorruptInput
from stages.core.index.masks import MaskStore
from stages.core.index.prediction_folder import read_prediction
from stages.core.media.frames import read_frame
from stages.core.media.palette import SPAN, sentence_colour
from stages.core.media.rle import decode
from stages.tools.render.drawing import CUTOUT, NO_LABELS, NUMBERS, DrawingConfig
from stages.tools.render.painting.cutout import cut_out
from stages.tools.render.painting.labels import Box, Label, LabelPainter
from stages.tools.render.painting.mask_layers import (
    MaskLayer,
    blend_layers,
    comparison_layers,
    resize_image,
    resize_mask,
)
from stages.tools.render.source import PredictedExpression, RenderVideo


class FramePainter:
    """Paints frames of a video, scaled to a shorter side of `side` pixels.

    Args:
        truth: the masks table to compare the only expression with; None draws the predictions of
            all expressions, each in its colour.
        font: for labels.
        on_frame: called for every frame painted.

    Attributes:
        height, width: of the painted frames.
    """

    def __init__(
        self,
        video: RenderVideo,
        expressions: Sequence[PredictedExpression],
        truth: Path | None,
        config: DrawingConfig,
        side: int,
        *,
        font: Path | None = None,
        on_frame: Callable[[], None] = lambda: None,
    ):
        self._video, self._expressions, self._config = video, expressions, config
        self._on_frame = on_frame
        self.height, self.width = scaled_size(video.height, video.width, side)
        self._truth = None if truth is None else MaskStore(truth)
        names = [(one.expression_id, one.sentence) for one in expressions]
        self._labels = label_painter(
            config, names, self.height, self.width, font, compared=truth is not None
        )

    def paint(self, frame: int, taken: Sequence[Box] = ()) -> np.ndarray:
        """One frame, uint8 RGB (height, width, 3); of a cut-out RGBA.

        Args:
            taken: where something else will be drawn, which labels avoid.
        """
        image = resize_image(self._image(frame), self.height, self.width)
        masks = [
            self._fit(read_mask(self._video, expression, frame)) for expression in self._expressions
        ]
        self._on_frame()
        if self._config.style == CUTOUT:
            return cut_out(image, np.logical_or.reduce(masks))
        if self._truth is not None:
            truth = self._fit(self._true_mask(self._truth, self._expressions[0], frame))
            layers = comparison_layers(masks[0], truth)
        else:
            layers = sentence_layers(masks)
        painted = blend_layers(image, layers, self._config.fill, dim=self._truth is not None)
        return self._labels.draw(painted, masks, taken) if self._labels else painted

    def _image(self, frame: int) -> np.ndarray:
        """The frame as it is."""
        video = self._video
        image = read_frame(video.frames[frame])
        if image.shape[:2] != (video.height, video.width):
            raise CorruptInput(
                f"the frame is {image.shape[1]}x{image.shape[0]} pixels, the video "
                f"{video.width}x{video.height}",
                where=video.frames[frame],
            )
        return image

    def _fit(self, mask: np.ndarray) -> np.ndarray:
        return resize_mask(mask, self.height, self.width)

    def _true_mask(
        self, store: MaskStore, expression: PredictedExpression, frame: int
    ) -> np.ndarray:
        video = self._video
        union = np.zeros((video.height, video.width), dtype=bool)
        for anno_id in expression.anno_ids:
            rle = store.rle(anno_id, frame)
            if rle is None:
                continue
            where = f"{video.truth}, anno id {anno_id}, frame {frame}"
            if tuple(rle["size"]) != union.shape:
                raise CorruptInput(
                    f"the true mask is {rle['size'][1]}x{rle['size'][0]} pixels, the video "
                    f"{video.width}x{video.height}",
                    where=where,
                )
            union |= decode(rle, where=where) > 0
        return union


def sentence_layers(masks: Sequence[np.ndarray]) -> list[MaskLayer]:
    """A layer per sentence, each in its colour."""
    return [MaskLayer(mask, sentence_colour(number)) for number, mask in enumerate(masks)]


def scaled_size(height: int, width: int, side: int) -> tuple[int, int]:
    """(height, width) of a frame whose shorter side is scaled to `side` pixels."""
    scale = side / min(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def label_painter(
    config: DrawingConfig,
    names: Sequence[tuple[str, str]],
    height: int,
    width: int,
    font: Path | None,
    *,
    compared: bool = False,
) -> LabelPainter | None:
    """Make the painter of labels; None where none are wanted.

    Args:
        names: number and sentence of each mask.
        compared: with ground truth, whose colours are not those of sentences.
    """
    if config.labels == NO_LABELS:
        return None
    labels = [
        Label(
            name[0] if config.labels == NUMBERS else name[1],
            SPAN if compared else sentence_colour(number),
        )
        for number, name in enumerate(names)
    ]
    return LabelPainter(labels, height, width, font)


def read_mask(video: RenderVideo, expression: PredictedExpression, frame: int) -> np.ndarray:
    """Read a prediction as bool (H, W); any non-zero value is foreground.

    Raises:
        MissingInput: no file for this frame.
        CorruptInput: not an image, or of another size than the video.
    """
    return read_prediction(video.mask_path(expression, frame), video.height, video.width)
