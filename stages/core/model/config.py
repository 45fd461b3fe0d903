"""Settings of the TGL model and of its losses; loads neither torch nor transformers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from schemas.errors import ConfigError
from stages.core.engine.settings import Settings, setting


@dataclass(frozen=True)
class ModelConfig(Settings):
    """Architecture of the adapter: the sizes of its weights and how far it looks in time."""

    panel: ClassVar[str] = "Model"

    adapter_width: int = setting(
        128, "Channels inside the adapter, a multiple of its heads.", low=8, high=2048
    )
    adapter_layers: int = setting(2, "Blocks of the adapter.", low=1, high=16)
    adapter_heads: int = setting(4, "Attention heads of the adapter.", low=1, high=64)
    temporal_radius: int = setting(
        4, "Frames on each side that the adapter's temporal attention sees.", low=1, high=64
    )
    relevance_radius: int = setting(
        16, "Frames on each side that the relevance head sees.", low=1, high=512
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.adapter_width % self.adapter_heads:
            raise ConfigError(
                f"{self.adapter_width} channels cannot be divided among {self.adapter_heads} heads",
                where="--adapter-width",
                hint=f"choose a multiple of {self.adapter_heads}, or another --adapter-heads",
            )


@dataclass(frozen=True)
class SegmenterConfig(Settings):
    """How frames are segmented and remembered.

    A checkpoint keeps those that it was trained with. The sizes of its weights do not depend on
    them: a run of propagate may use others.
    """

    panel: ClassVar[str] = "Model"

    memory_frames: int = setting(
        7, "K: remembered frames that a frame reads, the nearest in time.", low=1, high=64
    )
    multimask: bool = setting(
        True, "Decode three mask candidates and take the best, as SAM 2 tracks; else one."
    )
    per_moment_banks: bool = setting(
        True,
        "At inference give each contiguous moment a memory bank of its own and take the union.",
    )
    irrelevant_memory: str = setting(
        "none",
        "Irrelevant frames that are remembered too: none (the paper), or confident ones.",
        choices=("none", "confident"),
    )
    confident_score: float = setting(
        2.0, "Object score (a logit) from which an irrelevant frame counts as confident."
    )
    object_gate: str = setting(
        "eval",
        "When a low object score blanks mask and memory, as SAM 2 does: eval (not in training, "
        "where it would kill gradients), always, never.",
        choices=("eval", "always", "never"),
    )

    def gates(self, *, training: bool) -> bool:
        """Return whether SAM 2's hard object-score gate is on."""
        return self.object_gate == "always" or (self.object_gate == "eval" and not training)


@dataclass(frozen=True)
class LossConfig(Settings):
    """Weights of the loss terms; 0 leaves a term out."""

    panel: ClassVar[str] = "Losses"

    mask_weight: float = setting(1.0, "Weight of the mask's focal or cross-entropy loss.", low=0)
    mask_loss: str = setting(
        "focal", "Pixel loss of the mask: focal, or bce.", choices=("focal", "bce")
    )
    focal_alpha: float = setting(
        0.25, "Focal loss: share of the foreground (RetinaNet's value).", low=0, high=1
    )
    focal_gamma: float = setting(2.0, "Focal loss: focus on hard pixels.", low=0)
    dice_weight: float = setting(1.0, "Weight of the dice loss.", low=0)
    iou_weight: float = setting(0.25, "Weight of the predicted IoU's error.", low=0)
    object_weight: float = setting(0.25, "Weight of the object score's cross-entropy.", low=0)
    relevance_weight: float = setting(0.5, "Weight of the relevance head's cross-entropy.", low=0)
    heatmap_weight: float = setting(
        0.5, "Weight of the coarse target map's loss, on guided frames.", low=0
    )
