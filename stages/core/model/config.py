"""Settings of the TGL model and of its losses; loads neither torch nor transformers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from schemas.errors import ConfigError
from stages.core.engine.settings import Settings, setting

TRACK_HEADS = 4
"""Attention heads of the track head."""


@dataclass(frozen=True)
class ModelConfig(Settings):
    """Architecture of the adapter: the sizes of its weights and its reach in time."""

    adapter_width: int = setting(
        128, "Channels of the adapter, a multiple of its heads.", panel="Adapter", low=8, high=2048
    )
    adapter_layers: int = setting(2, "Blocks of the adapter.", low=1, high=16)
    adapter_heads: int = setting(4, "Attention heads of the adapter.", low=1, high=64)
    temporal_radius: int = setting(
        4, "Frames to each side in the adapter's temporal attention.", low=1, high=64
    )
    relevance_radius: int = setting(
        16, "Frames to each side in the relevance head.", low=1, high=512
    )
    track_width: int = setting(
        64, "Channels of the track head, a multiple of 4; 0 leaves it out.", low=0, high=1024
    )
    gap_codes: str = setting(
        "all",
        "Who reads the times between frames: what guides masks, or relevance too.",
        choices=("masks", "all"),
    )
    neighbours: str = setting(
        "nearest",
        "In place of a neighbour beyond the clip: a learned code, or the nearest frame.",
        choices=("code", "nearest"),
    )

    @property
    def codes_neighbours(self) -> bool:
        """Return whether a learned code stands for neighbours that a clip does not have."""
        return self.neighbours == "code"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.track_width % TRACK_HEADS:
            raise ConfigError(
                f"{self.track_width} channels cannot be divided among {TRACK_HEADS} heads",
                where="--track-width",
                hint=f"choose a multiple of {TRACK_HEADS}",
            )
        if self.adapter_width % self.adapter_heads:
            raise ConfigError(
                f"{self.adapter_width} channels cannot be divided among {self.adapter_heads} heads",
                where="--adapter-width",
                hint=f"choose a multiple of {self.adapter_heads}, or another --adapter-heads",
            )


BEFORE_SETTINGS = {"track_width": 0, "gap_codes": "all", "neighbours": "nearest"}
"""Settings of checkpoints that were written before these existed."""


@dataclass(frozen=True)
class TrackThresholds:
    """Thresholds of the track head; training calibrates them.

    Attributes:
        no_target: probability below which a sentence has no target.
    """

    no_target: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.no_target <= 1:
            raise ValueError(f"no_target is {self.no_target}, expected 0 to 1")


@dataclass(frozen=True)
class SegmenterConfig(Settings):
    """Settings of the segmenter: memory, mask candidates and the object-score gate.

    A checkpoint keeps the settings of its training. The sizes of its weights do not depend on
    them, so a run of propagate may use others.
    """

    memory_frames: int = setting(
        7,
        "K: remembered frames that each frame attends to, the nearest in time.",
        panel="Memory and masks",
        low=1,
        high=64,
    )
    multimask: bool = setting(
        True, "Decode three mask candidates and keep the best, as SAM 2 does; else decode one."
    )
    per_moment_banks: bool = setting(
        True,
        "At inference, use one memory bank per contiguous moment and merge the masks.",
    )
    irrelevant_memory: str = setting(
        "none",
        "Irrelevant frames that are also remembered: none (as in the paper), confident ones, or "
        "all.",
        choices=("none", "confident", "all"),
    )
    confident_score: float = setting(
        2.0, "Object score (logit) from which an irrelevant frame is confident."
    )
    object_gate: str = setting(
        "eval",
        "When a low object score blanks mask and memory, as in SAM 2; eval: not in training, "
        "where it would stop gradients; truth: there the true visibility blanks the memory alone.",
        choices=("truth", "eval", "always", "never"),
    )

    @property
    def gated_by_truth(self) -> bool:
        """Return whether the truth decides in training what is remembered as absent."""
        return self.object_gate == "truth"

    @property
    def trains_gate(self) -> bool:
        """Return whether the codes of absent objects are met, and so trained."""
        return self.object_gate in ("truth", "always")

    def gates(self, *, training: bool) -> bool:
        """Return whether SAM 2's hard object-score gate is on."""
        if self.object_gate in ("truth", "eval"):
            return not training
        return self.object_gate == "always"


@dataclass(frozen=True)
class LossConfig(Settings):
    """Weights of the loss terms; 0 leaves a term out."""

    panel: ClassVar[str] = "Loss"

    mask_weight: float = setting(1.0, "Weight of the mask's focal or cross-entropy loss.", low=0)
    mask_loss: str = setting(
        "focal",
        "Loss per pixel of the mask: focal, or binary cross-entropy.",
        choices=("focal", "bce"),
    )
    focal_alpha: float = setting(
        0.25, "Weight of foreground pixels in the focal loss (as in RetinaNet).", low=0, high=1
    )
    focal_gamma: float = setting(
        2.0, "Exponent of the focal loss; larger values focus on hard pixels.", low=0
    )
    dice_weight: float = setting(1.0, "Weight of the dice loss.", low=0)
    mask_terms: str = setting(
        "frame",
        "Frames with mask losses: all, visible (as SAM 2), or one dice per clip.",
        choices=("frame", "visible", "clip"),
    )
    loss_side: int = setting(
        0,
        "Side in pixels at which masks are compared with targets; 0: the mask decoder's own.",
        low=0,
        high=4096,
    )
    iou_weight: float = setting(0.25, "Weight of the predicted IoU's loss.", low=0)
    object_weight: float = setting(0.25, "Weight of the object score's cross-entropy.", low=0)
    relevance_weight: float = setting(0.5, "Weight of the relevance head's cross-entropy.", low=0)
    heatmap_weight: float = setting(
        0.5, "Weight of the target heat map's loss, on relevant frames.", low=0
    )

    def weights(self) -> dict[str, float]:
        """The weight of each term of ``losses.clip_losses``."""
        names = ("mask", "dice", "iou", "object", "heatmap", "relevance")
        return {name: getattr(self, f"{name}_weight") for name in names}
