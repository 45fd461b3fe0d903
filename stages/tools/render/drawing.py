"""Settings of drawing that render and segment share."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from schemas.errors import ConfigError
from stages.core.engine.settings import Settings, defaults_of, option_name, setting, settings_of

OVERLAY, OUTLINE, CUTOUT = "overlay", "outline", "cutout"
NO_LABELS, NUMBERS, SENTENCES = "none", "number", "sentence"
BEST_QUALITY = 0
WORST_QUALITY = 51
SMALLEST_SIDE = 64
LARGEST_SIDE = 4320
_LARGEST_GIF_SIDE = 7680
_NO_EFFECT = {
    OUTLINE: ("opacity",),
    CUTOUT: ("opacity", "labels"),
}
"""Settings that a style makes no use of."""


@dataclass(frozen=True)
class DrawingConfig(Settings):
    """Style, size and extent of what is drawn."""

    style: str = setting(
        OVERLAY,
        "overlay: masks drawn over the frames; outline: their outlines alone; cutout: what the "
        "masks show, the rest transparent.",
        panel="Overlay",
        choices=(OVERLAY, OUTLINE, CUTOUT),
    )
    opacity: float = setting(0.5, "Opacity of masks, from 0 (outline only) to 1.", low=0, high=1)
    labels: str = setting(
        NO_LABELS,
        "Label on each object: the number of its sentence, or the sentence.",
        choices=(NO_LABELS, NUMBERS, SENTENCES),
    )
    bare: bool = setting(
        False, "Draw the frame alone, in its own size: no sentences, bars or legend around it."
    )
    short_side: int = setting(
        0,
        "Shorter side of a frame in pixels; 0 enlarges small videos and shrinks very large ones.",
        low=0,
        high=LARGEST_SIDE,
    )
    quality: int = setting(
        18,
        "Constant rate factor (CRF) of the video: 0 is lossless, 18 nearly so, 51 the "
        "smallest file.",
        low=BEST_QUALITY,
        high=WORST_QUALITY,
    )
    keep_audio: bool = setting(
        False, "Keep the sound of the source video, in a video of its frames at their own speed."
    )
    gif_width: int = setting(
        640,
        "Largest width of a frame in a GIF, in pixels; 0 sets no limit.",
        low=0,
        high=_LARGEST_GIF_SIDE,
    )
    gif_fps: float = setting(
        15.0,
        "Most frames per second of a GIF, which leaves out frames in between and keeps the speed; "
        "0 keeps all.",
        low=0,
        high=100,
    )
    gif_megabytes: float = setting(
        10.0,
        "Largest GIF in MB (10^6 bytes): it is drawn smaller until it fits; 0 sets no limit.",
        low=0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.short_side < SMALLEST_SIDE:
            raise ConfigError(
                f"{self.short_side} is less than {SMALLEST_SIDE}, too small to read",
                where="--short-side",
            )
        for name in _NO_EFFECT.get(self.style, ()):
            if getattr(self, name) != defaults_of(DrawingConfig)[name]:
                option = option_name(name, settings_of(DrawingConfig)[name])
                raise ConfigError(f"has no effect with --style {self.style}", where=option)

    @property
    def fill(self) -> float:
        """Opacity of the masks' fill."""
        return 0.0 if self.style == OUTLINE else self.opacity

    @property
    def frame_alone(self) -> bool:
        """Whether nothing is drawn around the frame."""
        return self.bare or self.style == CUTOUT

    @property
    def has_text(self) -> bool:
        """Whether sentences are written on the frame or around it."""
        return not self.frame_alone or self.labels == SENTENCES

    def drawing(self) -> dict[str, Any]:
        """The settings of this class by name, also those of a config that extends it."""
        return {field.name: getattr(self, field.name) for field in fields(DrawingConfig)}
