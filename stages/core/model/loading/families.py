"""Families of models by role, as config.json alone names them.

A model of another family is refused before torch is loaded, weights are fetched or a video is
decoded.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from schemas.documents import load_object
from schemas.errors import ConfigError
from stages.core.model.loading.names import MODEL_CONFIG

DETECTORS = ("grounding-dino", "mm-grounding-dino", "owlv2", "sam3", "sam3_video")
"""The last one is SAM 3 as published, detector and tracker in one folder."""
TRACKERS = ("sam2_video", "edgetam_video", "sam3_tracker_video", "sam3_video")
TWO_TOWERS = ("clip", "siglip", "siglip2")
BLIP2 = "blip-2"
IMAGE_TEXT = (*TWO_TOWERS, BLIP2)
"""Models that score images against sentences."""
CHECKPOINT_FORMAT = "tgl-checkpoint"
CHECKPOINT = "tgl checkpoint"
"""The kind of a folder that `tgl train` wrote."""


def model_kind(folder: Path) -> str:
    """The ``model_type`` of a model's folder, or CHECKPOINT; "" where config.json names none.

    Raises:
        MissingInput, CorruptInput: config.json is missing or no JSON object.
    """
    document = load_object(folder / MODEL_CONFIG)
    if document.get("format") == CHECKPOINT_FORMAT:
        return CHECKPOINT
    kind = document.get("model_type")
    return kind if isinstance(kind, str) else ""


def wrong_family(name: object, kind: str, families: Collection[str], option: str) -> ConfigError:
    """The error for a model of another family.

    Args:
        name: its folder or hub id.
        kind: as :func:`model_kind` gives it.
        families: that would do.
        option: the option that named the model.
    """
    found = {"": "names no model_type", CHECKPOINT: f"is a {CHECKPOINT}"}
    return ConfigError(
        f"{found.get(kind, f'is a {kind} model')}, one of {', '.join(families)} is needed",
        where=name,
        hint=f"name another model with {option}",
    )


def require_detector(folder: Path, option: str) -> None:
    """Check that a model's folder is of a family of detectors.

    Args:
        option: the option that named it, for messages.

    Raises:
        ConfigError: it is not.
    """
    _require(folder, DETECTORS, option)


def require_tracker(folder: Path, option: str) -> None:
    """Check that a model's folder is of a family of trackers; as :func:`require_detector`."""
    _require(folder, TRACKERS, option)


def require_image_text(folder: Path, option: str) -> None:
    """Check that a model's folder is of a family that scores images against sentences.

    As :func:`require_detector`.
    """
    _require(folder, IMAGE_TEXT, option)


def _require(folder: Path, families: Collection[str], option: str) -> None:
    kind = model_kind(folder)
    if kind not in families:
        raise wrong_family(folder, kind, families, option)
