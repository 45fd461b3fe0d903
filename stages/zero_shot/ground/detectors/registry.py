"""Detectors by the type of their model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from transformers import AutoTokenizer

from stages.core.model.device import settled_precision
from stages.core.model.loading.pretrained import (
    load_pretrained,
    load_pretrained_model,
    model_errors,
)
from stages.core.model.loading.processors import load_config, load_image_processor
from stages.zero_shot.ground.config import MODEL_OPTION
from stages.zero_shot.ground.detectors.detector import Detector, Loaded
from stages.zero_shot.ground.detectors.grounding_dino import GroundingDinoDetector
from stages.zero_shot.ground.detectors.owlv2 import Owlv2Detector
from stages.zero_shot.ground.detectors.sam3 import Sam3Detector


@dataclass(frozen=True)
class Family:
    """A family of detectors.

    Attributes:
        model, processor: names of transformers' classes; SAM 3's need torchvision.
        detector: runs them.
        backend: of the image processor; "pil" needs no torchvision.
    """

    model: str
    processor: str
    detector: Callable[[Loaded], Detector]
    backend: str = "pil"


_SAM3 = Family("Sam3Model", "Sam3Processor", Sam3Detector, backend="torchvision")
FAMILIES = {
    "grounding-dino": Family(
        "GroundingDinoForObjectDetection", "GroundingDinoProcessor", GroundingDinoDetector
    ),
    "mm-grounding-dino": Family(
        "MMGroundingDinoForObjectDetection", "GroundingDinoProcessor", GroundingDinoDetector
    ),
    "owlv2": Family("Owlv2ForObjectDetection", "Owlv2Processor", Owlv2Detector),
    "sam3": _SAM3,
    "sam3_video": _SAM3,  # as published: detector and tracker in one folder
}


def load_detector(
    name: str, *, device: torch.device, precision: str, image_size: int | None = None
) -> Detector:
    """Load the detector of a local folder or a hub id.

    Args:
        image_size: see :class:`Loaded`.

    Raises:
        ConfigError: a model of another family, or a size that it cannot take.
        MissingInput: no such folder, or a hub id that is neither cached nor reachable.
        CorruptInput: transformers cannot load it.
        SchemaMismatch: weights are missing, or their sizes do not fit.
    """
    config = load_config(name, FAMILIES, option=MODEL_OPTION)
    family = FAMILIES[config.model_type]
    model = load_pretrained_model(_class(family.model), name, option=MODEL_OPTION)
    images = load_image_processor(name, option=MODEL_OPTION, backend=family.backend)
    tokenizer = load_pretrained(AutoTokenizer, name, option=MODEL_OPTION)
    with model_errors(name, "its parts do not make a detector"):
        processor = _class(family.processor)(images, tokenizer)
        model = model.to(device).eval()
        settled = settled_precision(precision, device)
        loaded = Loaded(name, model, processor, device, settled, image_size)
        return family.detector(loaded)


def _class(name: str) -> Any:
    return getattr(transformers, name)
