"""Settings of `tgl segment`: those of propagate, and those without a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from schemas.errors import ConfigError
from stages.core.engine.settings import defaults_of, option_name, setting, settings_of
from stages.core.model.loading.catalog import (
    CPU_TRACKER,
    DEFAULT_DETECTOR,
    DEFAULT_JUDGE,
    DEFAULT_TRACKER,
)
from stages.core.model.loading.names import local_folder
from stages.propagate.config import PropagateConfig
from stages.tools.render.drawing import DrawingConfig
from stages.zero_shot.track.config import TrackConfig

WITHOUT_CHECKPOINT = "Without a checkpoint"


@dataclass(frozen=True)
class SegmentConfig(PropagateConfig, DrawingConfig):
    """Models to use without a checkpoint, the settings of propagate for one, and of drawing."""

    model: str = setting(
        DEFAULT_DETECTOR,
        "Detector that finds candidates for each sentence: a local folder or hub id of Grounding "
        "DINO, MM Grounding DINO, OWLv2 or SAM 3.",
        panel=WITHOUT_CHECKPOINT,
    )
    tracker: str | None = setting(
        None,
        "Model that tracks the objects: a local folder or hub id of SAM 2, EdgeTAM or SAM 3. By "
        f"default {DEFAULT_TRACKER}, without a GPU {CPU_TRACKER}.",
    )
    judge: str = setting(
        DEFAULT_JUDGE,
        "Model that accepts or rejects each track: a local folder or hub id of CLIP, SigLIP, "
        "BLIP-2, an image-text-to-text model or a tgl checkpoint; or none, the best candidate of "
        "each sentence.",
    )
    image_size: int = setting(
        0,
        "Side in pixels that the tracker scales frames to; 512 takes a quarter of the arithmetic "
        "of 1024. Below 800 also the shorter side for Grounding DINO. 0 is each model's own.",
        low=0,
        high=4096,
    )
    max_tracks: int = setting(
        TrackConfig.max_tracks,
        "Most objects that are tracked; each takes as long as encoding the frames, or longer.",
        low=1,
    )
    every: int = setting(
        1, "Track every N-th frame; the masks between are interpolated.", low=1, high=1000
    )

    def local_models(self) -> tuple[Path, ...]:
        """The named models that are local folders."""
        named = (self.model, self.tracker, self.judge)
        folders = (local_folder(name) for name in named if name is not None)
        return tuple(folder for folder in folders if folder is not None)

    def trained(self) -> PropagateConfig:
        """The settings of propagate."""
        names = {field.name for field in fields(PropagateConfig)}
        return PropagateConfig(**{name: getattr(self, name) for name in names})

    def refuse(self, names: Iterable[str], reason: str) -> None:
        """Raise ConfigError where one of some settings was changed, which would have no effect.

        Args:
            reason: what it needs.
        """
        defaults, known = defaults_of(type(self)), settings_of(type(self))
        for name in names:
            if getattr(self, name) != defaults[name]:
                raise ConfigError(reason, where=option_name(name, known[name]))


OF_A_CHECKPOINT = tuple(
    name
    for name in settings_of(PropagateConfig)
    if name not in ("feature_memory", "chunk_frames", "max_tracks")  # of any tracker
)
"""Settings that only a checkpoint has."""
OF_A_TRACKER = tuple(
    settings_of(SegmentConfig).keys()
    - settings_of(PropagateConfig).keys()
    - settings_of(DrawingConfig).keys()
)
"""Settings that a checkpoint does not have."""
NEEDS_CHECKPOINT = "needs a trained model, named with --checkpoint"
