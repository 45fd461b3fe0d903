"""Settings and inputs of `tgl train`."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TypeVar

from schemas.errors import ConfigError
from stages.core.engine.digest import artifact_digest, weights_digest
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs
from stages.core.index.frame_files import frame_folders, index_digest
from stages.core.model.config import LossConfig, ModelConfig, SegmenterConfig

SAMPLINGS = ("moment", "random")
VALIDATION = "Validation"
"""Heading of the options about the held-out index."""

_Part = TypeVar("_Part", bound=Settings)


@dataclass(frozen=True)
class TrainConfig(SegmenterConfig, ModelConfig, LossConfig):
    """Settings of the training, the model and the losses.

    The defaults are TGL on real data: every switch of the paper on, and the learning rates of its
    closest public peer (docs/training.md).
    """

    sampling: str = setting(
        "moment",
        "Take clips around the moment of their sentence, or from the whole video (paper, "
        "section 3).",
        panel="Method",
        choices=SAMPLINGS,
    )
    mdp: bool = setting(
        True,
        "Dual-path propagation: only relevant frames are guided by language and remembered.",
    )
    oss: bool = setting(
        True,
        "Object-level selective supervision: only referents whose moment overlaps the clip "
        "are targets.",
    )
    seed: int = setting(0, "Seed of new weights, data order and clips.", panel="Schedule", low=0)

    steps: int = setting(20000, "Optimiser steps of the whole model.", low=1)
    adapter_steps: int = setting(
        0,
        "Steps before those, of the adapter alone: heat map and relevance, at a third of the "
        "cost. Each part has its own warm-up and decay.",
        low=0,
    )
    batch: int = setting(4, "Clips per batch and process, one sentence each.", low=1)
    accumulate: int = setting(1, "Batches per optimiser step.", low=1)
    clip_frames: int = setting(8, "Frames per clip.", panel="Clips", low=1)
    relevant_frames: int = setting(
        4,
        "Middle of the range that the number of a clip's frames inside the moment (n+) is drawn "
        "from; the others (n-) lie outside.",
        low=1,
    )
    max_stride: int = setting(
        4, "Largest step between frames of a clip, drawn from 1 to this.", low=1
    )
    spread: float = setting(
        0.5,
        "Fraction of clips with irregular steps, twice as wide, instead of one stride; with "
        "random sampling, with frames from anywhere.",
        low=0,
        high=1,
    )
    flip: float = setting(
        0.5,
        "Probability of mirroring a clip. A sentence with left or right needs its mirrored "
        "sentence in TEXT, else the clip is not mirrored.",
        low=0,
        high=1,
    )
    colour: float = setting(
        0.0,
        "Strength of brightness, contrast and saturation jitter; none where the sentence "
        "names a colour.",
        low=0,
        high=1,
    )
    lr: float = setting(1e-5, "Learning rate of pretrained weights.", panel="Optimiser", low=0)
    lr_new: float = setting(1e-4, "Learning rate of new weights.", low=0)
    weight_decay: float = setting(0.0, "Weight decay of AdamW, for matrices only.", low=0)
    warmup: int = setting(100, "Steps of linear warm-up; cosine decay to zero follows.", low=0)
    clip_norm: float = setting(1.0, "Largest gradient norm; 0 does not clip.", low=0)
    ema: float = setting(
        0.0,
        "Decay of the averaged weights that are saved; 0 saves the last weights.",
        low=0,
        high=1,
    )
    freeze: tuple[str, ...] = setting(
        (),
        "Prefix of parameters to freeze beside the image encoder's, such as "
        "backbone.sam.mask_decoder; may be repeated.",
    )

    valid_every: int = setting(
        0, "Steps between validations; 0 validates only at the end.", panel=VALIDATION, low=0
    )
    valid_expressions: int = setting(
        100, "Sentences per validation, evenly spaced in the held-out index.", low=1
    )
    valid_frames: int = setting(32, "Most frames per video in a validation, evenly spaced.", low=1)
    cache_features: float = setting(
        0.0,
        "Gigabytes of disk for cached features of the frozen encoder (as float16); 0 "
        "recomputes them.",
        panel="Cache and logging",
        low=0,
    )
    tensorboard: bool = setting(False, "Write TensorBoard event files to OUT/tensorboard/.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.relevant_frames > self.clip_frames:
            raise ConfigError(
                f"{self.relevant_frames} relevant frames do not fit a clip of {self.clip_frames}",
                where="--relevant-frames",
            )
        if self.cache_features and self.colour:
            raise ConfigError(
                "cached features cannot have changing colours",
                where="--cache-features",
                hint="set --colour 0 or --cache-features 0",
            )

    @property
    def reads_moments(self) -> bool:
        """Whether any part of the training uses moment labels.

        The undivided baseline (random clips, one path, all referents) must not, so the relevance
        loss depends on this and not on its weight alone.
        """
        return self.sampling == "moment" or self.mdp or self.oss

    @property
    def total_steps(self) -> int:
        """Optimiser steps of both parts."""
        return self.adapter_steps + self.steps

    @property
    def warms_up_only(self) -> bool:
        """Whether a part of the training ends before its learning rate reaches its full value."""
        return any(0 < steps <= self.warmup for steps in (self.adapter_steps, self.steps))

    def model_config(self) -> ModelConfig:
        """The adapter's architecture, which the checkpoint keeps."""
        return _part(self, ModelConfig)

    def segmenter_config(self) -> SegmenterConfig:
        """The settings of the segmenter, which the checkpoint keeps."""
        return _part(self, SegmenterConfig)

    def loss_config(self) -> LossConfig:
        """The loss weights that apply: no relevance loss for an arm that reads no moments."""
        weights = _part(self, LossConfig)
        return weights if self.reads_moments else replace(weights, relevance_weight=0.0)


def _part(config: TrainConfig, kind: type[_Part]) -> _Part:
    """The fields that `config` inherits from one of its parents."""
    return kind(**{field.name: getattr(config, field.name) for field in fields(kind)})  # type: ignore[arg-type]


@dataclass(frozen=True)
class TrainInputs(Inputs):
    """Inputs of `tgl train`.

    Attributes:
        index: folder of build-moments, which refers to its frames.
        text: folder of precompute-text, with every sentence of `index`.
        backbone: folder of a SAM 2, SAM 3 or EdgeTAM video model (config.json and its weights).
        valid: a held-out index.
        valid_text: its texts; None if `text` has them too.
    """

    index: Path
    text: Path
    backbone: Path
    valid: Path | None = None
    valid_text: Path | None = None

    def digests(self) -> dict[str, str]:
        """Digests of tables and backbone by content, of frames by size, time and inode."""
        found = {
            "index": index_digest(self.index),
            "text": artifact_digest(self.text),
            "backbone": weights_digest(self.backbone),
        }
        if self.valid is not None:
            found["valid"] = index_digest(self.valid)
            if self.valid_text is not None:
                found["valid_text"] = artifact_digest(self.valid_text)
        return found

    def paths(self) -> list[Path]:
        """The inputs, and the frames that the indexes point to."""
        indexes = [self.index] if self.valid is None else [self.index, self.valid]
        return [*super().paths(), *(path for index in indexes for path in frame_folders(index))]
