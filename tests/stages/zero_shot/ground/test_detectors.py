"""Candidates are those of transformers' own processor, model and post-processing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoImageProcessor,
    AutoTokenizer,
    GroundingDinoForObjectDetection,
    GroundingDinoProcessor,
    MMGroundingDinoForObjectDetection,
    Owlv2ForObjectDetection,
    Owlv2Processor,
)

from stages.zero_shot.ground.boxes import Boxes
from stages.zero_shot.ground.detectors.detector import Detector, Limits
from stages.zero_shot.ground.detectors.registry import load_detector

FAMILIES = {
    "grounding-dino": (GroundingDinoForObjectDetection, GroundingDinoProcessor),
    "mm-grounding-dino": (MMGroundingDinoForObjectDetection, GroundingDinoProcessor),
    "owlv2": (Owlv2ForObjectDetection, Owlv2Processor),
}
SENTENCES = ["The left one jumps", "two that run away from a cow", "a white dog. Moving right ."]
_LOWER = ["the left one jumps.", "two that run away from a cow.", "a white dog. moving right."]
CAPTIONS = {"grounding-dino": _LOWER, "mm-grounding-dino": _LOWER, "owlv2": SENTENCES}
HEIGHT, WIDTH = 48, 70
EVERYTHING = 10_000


def frames_of(count: int = 3) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(count)]


def loaded(folder: Path) -> Detector:
    return load_detector(str(folder), device=torch.device("cpu"), precision="fp32")


def found_by(
    detector: Detector, frames: Sequence[np.ndarray], sentences: Sequence[str], **limits: Any
) -> list[list[Boxes]]:
    given = Limits(**{"top_k": EVERYTHING, "overlap": 1.0, "batch": 4} | limits)
    prepared = [detector.prepare(frame) for frame in frames]
    return detector.detect(prepared, detector.encode(sentences), (HEIGHT, WIDTH), given)


def found_by_transformers(
    family: str, folder: Path, frame: np.ndarray, caption: str
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and scores of one frame and sentence, best first."""
    kind, processor_kind = FAMILIES[family]
    model = kind.from_pretrained(folder).eval()
    images = AutoImageProcessor.from_pretrained(folder, backend="pil")
    processor = processor_kind(images, AutoTokenizer.from_pretrained(folder))
    inputs = processor(images=frame, text=[caption], return_tensors="pt")
    with torch.no_grad():
        outputs = model(**inputs)
    result = processor.post_process_grounded_object_detection(
        outputs, threshold=0.0, target_sizes=[(HEIGHT, WIDTH)]
    )[0]
    order = torch.argsort(result["scores"], descending=True, stable=True)
    return result["boxes"][order].numpy(), result["scores"][order].numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_boxes_and_scores_are_those_of_transformers(family: str, tiny_detector: Callable) -> None:
    folder, frames = tiny_detector(family), frames_of()
    found = found_by(loaded(folder), frames, SENTENCES)
    spread = []
    for (row, frame), (column, caption) in itertools.product(
        enumerate(frames), enumerate(CAPTIONS[family])
    ):
        corners, scores = found_by_transformers(family, folder, frame, caption)
        inside = np.clip(corners, 0, (WIDTH, HEIGHT, WIDTH, HEIGHT))
        seen = (inside[:, 2:] > inside[:, :2]).all(axis=1)
        corners, scores = corners[seen], scores[seen]
        boxes = found[row][column]
        assert len(boxes) == len(scores) > 10
        assert np.abs(boxes.scores - scores).max() < 1e-5
        assert np.abs(boxes.corners - corners).max() < 1e-4
        spread.append(np.ptp(scores))
    assert min(spread) > 0.05  # the boxes are told apart
    assert not np.allclose(found[0][0].scores, found[0][1].scores, atol=1e-3)  # so are sentences


@pytest.mark.parametrize("family", FAMILIES)
def test_batches_do_not_change_what_is_found(family: str, tiny_detector: Callable) -> None:
    detector, frames = loaded(tiny_detector(family)), frames_of()
    together = found_by(detector, frames, SENTENCES, batch=9, top_k=5)
    alone = found_by(detector, frames, SENTENCES, batch=1, top_k=5)
    for one, other in zip(itertools.chain(*together), itertools.chain(*alone), strict=True):
        assert len(one) == 5
        assert np.abs(one.scores - other.scores).max() < 1e-5
        assert np.abs(one.corners - other.corners).max() < 1e-4
