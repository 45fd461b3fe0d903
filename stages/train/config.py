"""Settings and inputs of `tgl train`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TypeVar

from schemas.errors import ConfigError
from schemas.wording import amount
from stages.core.engine.digest import artifact_digest, checkpoint_digest, weights_digest
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs
from stages.core.index.frame_files import frame_folders, index_digest
from stages.core.model.config import LossConfig, ModelConfig, SegmenterConfig

SAMPLINGS = ("moment", "random")
SHIFT = "shift"
UNSCALED = "none"
LR_SCALINGS = {UNSCALED: 0.0, "linear": 1.0, "sqrt": 0.5}
"""Powers of the number of clips per step, by --lr-scaling."""
DEFAULT_RATES_CLIPS = 4
"""Clips per step of the peer whose learning rates are the defaults."""
DATA = "Several indexes"
"""Heading of the options about further indexes."""
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
    hidden_neighbours: float = setting(
        0.1,
        "Probability of hiding each neighbour in time from a frame in training.",
        low=0,
        high=1,
        only_with="codes_neighbours",
    )
    routing_noise: float = setting(
        0.0,
        "Probability of moving a moment's border in a clip before frames are routed.",
        low=0,
        high=1,
        only_with="mdp",
    )
    seed: int = setting(0, "Seed of new weights, data order and clips.", panel="Schedule", low=0)

    steps: int = setting(20000, "Optimiser steps of the whole model.", low=1)
    adapter_steps: int = setting(
        0,
        "Steps before those, of the adapter alone: heat map and relevance, at a third of the "
        "cost. Each part has its own warm-up and decay.",
        low=0,
    )
    track_steps: int = setting(
        2000,
        "Steps of the track head, fitted last: which sentence means which object track, and when.",
        low=0,
    )
    batch: int = setting(4, "Clips per batch and process.", low=1)
    sentences_per_clip: int = setting(
        1,
        "Sentences of its video that each encoded clip serves.",
        low=1,
        omit_default=True,
    )
    accumulate: int = setting(1, "Batches per optimiser step.", low=1)
    clip_frames: int = setting(8, "Frames per clip.", panel="Clips", low=1)
    relevant_frames: int = setting(
        4,
        "Middle of the range of n+, the number of a clip's frames inside the moment.",
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
    still: str = setting(
        SHIFT,
        "Clips of one-frame videos: a slowly shifting view, or the repeated frame.",
        choices=(SHIFT, "repeat"),
        omit_default=True,
    )
    relevance_context: int = setting(
        0,
        "Frames of the windows that teach the relevance head too; 0: clips alone.",
        low=0,
        omit_default=True,
    )
    context_every: int = setting(
        8, "Steps from one window to the next.", low=1, only_with="relevance_context"
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
    lr: float = setting(1e-5, "Learning rate of SAM 2's weights.", panel="Optimiser", low=0)
    lr_new: float = setting(1e-4, "Learning rate of the adapter.", low=0)
    lr_scaling: str = setting(
        UNSCALED,
        "Multiply rates by clips per step over --lr-batch, or its square root.",
        choices=tuple(LR_SCALINGS),
        omit_default=True,
    )
    lr_batch: int = setting(
        0,
        "Clips per step that both rates were chosen for; 0 means 4.",
        low=0,
        only_with="scales_rates",
    )
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

    index_weights: tuple[float, ...] = setting(
        (),
        "Relative numbers of clips of INDEX and each --also; default: of their sentences.",
        omit_default=True,
        flag="weights",
        panel=DATA,
    )
    valid_every: int = setting(
        0,
        "Steps between validations; 0: as many as keep them below 5 % of the work.",
        panel=VALIDATION,
        low=0,
    )
    valid_expressions: int = setting(
        100, "Sentences per validation, evenly spaced in the held-out index.", low=1
    )
    valid_frames: int = setting(32, "Most frames per video in a validation, evenly spaced.", low=1)
    cache_features: float = setting(
        0.0,
        "Gigabytes of disk for cached features of the frozen encoder (as float16), of as many "
        "whole videos as fit; 0 recomputes them.",
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
        if any(not 0 < weight < math.inf for weight in self.index_weights):
            raise ConfigError("a weight must be a positive number", where="--weights")
        if self.lr_batch and not self.scales_rates:
            raise ConfigError(
                f"{self.lr_batch} has no effect with --lr-scaling {UNSCALED}",
                where="--lr-batch",
                hint="add --lr-scaling sqrt, which --lr-batch alone stood for before",
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
    def reads_windows(self) -> bool:
        """Whether the relevance head learns from windows too."""
        return self.reads_moments and self.relevance_context > 0 and self.relevance_weight > 0

    @property
    def static_graph(self) -> bool:
        """Whether every step computes the same graph, but for its numbers.

        With two paths it depends on the clips; adapter steps and windows leave parts out, and
        batches that accumulate need a graph without the exchange of gradients.
        """
        alike = not self.mdp and not self.adapter_steps and not self.reads_windows
        return alike and self.accumulate == 1

    @property
    def total_steps(self) -> int:
        """Optimiser steps of both parts."""
        return self.adapter_steps + self.steps

    @property
    def scales_rates(self) -> bool:
        """Whether the learning rates follow the number of clips per step."""
        return self.lr_scaling != UNSCALED

    def rate_factor(self, processes: int) -> float:
        """Factor of both learning rates for this run's clips per step (see --lr-scaling).

        The square root is the rule for Adam, whose steps have the size of the rate whatever the
        gradient's (Malladi et al. 2022, "On the SDEs and Scaling Rules for Adaptive Gradient
        Algorithms"); the linear rule is that of SGD (Goyal et al. 2017, "Accurate, Large Minibatch
        SGD").
        """
        ratio = self.clips_per_step(processes) / (self.lr_batch or DEFAULT_RATES_CLIPS)
        return ratio ** LR_SCALINGS[self.lr_scaling]

    def clips_per_step(self, processes: int) -> int:
        """Clips of one optimiser step, over all processes."""
        return self.batch * self.accumulate * processes

    @property
    def warms_up_only(self) -> bool:
        """Whether a part of the training ends before its learning rate reaches its full value."""
        return any(0 < steps <= self.warmup for steps in (self.adapter_steps, self.steps))

    @property
    def fits_tracks(self) -> bool:
        """Whether a track head is fitted: it learns from moments."""
        return self.track_steps > 0 and self.track_width > 0 and self.reads_moments

    def model_config(self) -> ModelConfig:
        """The adapter's architecture, which the checkpoint keeps."""
        sizes = _part(self, ModelConfig)
        return sizes if self.fits_tracks else replace(sizes, track_width=0)

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
class IndexFolders:
    """An index with its texts.

    Attributes:
        index: folder of build-moments, which refers to its frames.
        text: folder of precompute-text, with every sentence of `index`.
    """

    index: Path
    text: Path


@dataclass(frozen=True)
class TrainInputs(Inputs):
    """Inputs of `tgl train`.

    Attributes:
        index, text: see :class:`IndexFolders`.
        backbone: folder of a SAM 2, SAM 3 or EdgeTAM video model (config.json and its weights);
            None with `init`.
        valid: a held-out index.
        valid_text: its texts; None if `text` has them too.
        also: further indexes to take clips from.
        init: a checkpoint to start from, instead of a backbone with a new adapter.
    """

    index: Path
    text: Path
    backbone: Path | None
    valid: Path | None = None
    valid_text: Path | None = None
    also: tuple[IndexFolders, ...] = ()
    init: Path | None = None

    def __post_init__(self) -> None:
        if (self.backbone is None) == (self.init is None):
            raise ValueError("a training starts from a backbone or from a checkpoint")

    @property
    def training(self) -> tuple[IndexFolders, ...]:
        """All indexes to take clips from."""
        return IndexFolders(self.index, self.text), *self.also

    def digests(self) -> dict[str, str]:
        """Digests of tables and models by content, of frames by size, time and inode."""
        found = {"index": index_digest(self.index), "text": artifact_digest(self.text)}
        if self.backbone is not None:
            found["backbone"] = weights_digest(self.backbone)
        if self.init is not None:
            found["init"] = checkpoint_digest(self.init)
        for number, folders in enumerate(self.also, start=2):
            found[f"index {number}"] = index_digest(folders.index)
            found[f"text {number}"] = artifact_digest(folders.text)
        if self.valid is not None:
            found["valid"] = index_digest(self.valid)
            if self.valid_text is not None:
                found["valid_text"] = artifact_digest(self.valid_text)
        return found

    def paths(self) -> list[Path]:
        """The inputs, and the frames that the indexes point to."""
        indexes = [folders.index for folders in self.training]
        indexes += [] if self.valid is None else [self.valid]
        also = [path for folders in self.also for path in (folders.index, folders.text)]
        frames = [path for index in indexes for path in frame_folders(index)]
        return [*super().paths(), *also, *frames]


def paired_texts(
    indexes: Sequence[Path], texts: Sequence[Path], default: Path
) -> tuple[IndexFolders, ...]:
    """Further indexes with their texts, as the options --also and --also-text name them.

    Args:
        texts: one for each index, or none, if `default` has all sentences.

    Raises:
        ConfigError: some indexes have one and others have none.
    """
    if texts and len(texts) != len(indexes):
        raise ConfigError(
            f"{amount(len(texts), 'texts')} for {amount(len(indexes), 'indexes')}",
            where="--also-text",
            hint="give one for each --also, in the same order, or none if TEXT has all sentences",
        )
    return tuple(map(IndexFolders, indexes, texts or [default] * len(indexes)))


def index_weights(text: str | None) -> tuple[float, ...]:
    """The numbers of an option such as `3,1`; none without the option.

    Raises:
        ConfigError: not numbers with commas between them.
    """
    try:
        return tuple(float(word) for word in text.split(",")) if text is not None else ()
    except ValueError:
        raise ConfigError(
            f"{text!r} is not a list of numbers", where="--weights", hint="write it as 3,1"
        ) from None
