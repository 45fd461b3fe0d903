"""Candidates are those of transformers' own processor, model and post-processing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_detectors import DINO_TOKENS, OWL_TOKENS
from transformers import (
    AutoImageProcessor,
    AutoTokenizer,
    GroundingDinoForObjectDetection,
    GroundingDinoProcessor,
    MMGroundingDinoForObjectDetection,
    Owlv2ForObjectDetection,
    Owlv2Processor,
)

from schemas.errors import ConfigError
from stages.zero_shot.ground.boxes import Boxes
from stages.zero_shot.ground.detectors.detector import Detector, Limits, in_batches
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


class ByTransformers:
    """Boxes and scores of one frame and sentence, best first, without any code of tgl."""

    def __init__(self, family: str, folder: Path):
        kind, processor = FAMILIES[family]
        images = AutoImageProcessor.from_pretrained(folder, backend="pil")
        self._model = kind.from_pretrained(folder).eval()
        self._processor = processor(images, AutoTokenizer.from_pretrained(folder))

    def __call__(
        self, frame: np.ndarray, caption: str, size: dict[str, int] | None = None, **more: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        sized = {} if size is None else {"size": size}
        inputs = self._processor(images=frame, text=[caption], return_tensors="pt", **sized)
        with torch.no_grad():
            outputs = self._model(**inputs, **more)
        result = self._processor.post_process_grounded_object_detection(
            outputs, threshold=0.0, target_sizes=[(HEIGHT, WIDTH)]
        )[0]
        order = torch.argsort(result["scores"], descending=True, stable=True)
        return result["boxes"][order].numpy(), result["scores"][order].numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_boxes_and_scores_are_those_of_transformers(family: str, tiny_detector: Callable) -> None:
    folder, frames = tiny_detector(family), frames_of()
    found = found_by(loaded(folder), frames, SENTENCES)
    spread, reference = [], ByTransformers(family, folder)
    for (row, frame), (column, caption) in itertools.product(
        enumerate(frames), enumerate(CAPTIONS[family])
    ):
        corners, scores = reference(frame, caption)
        seen = visible(corners)
        corners, scores = corners[seen], scores[seen]
        boxes = found[row][column]
        assert len(boxes) == len(scores) > 10
        assert np.abs(boxes.scores - scores).max() < 1e-5
        assert np.abs(boxes.corners - corners).max() < 1e-4
        spread.append(np.ptp(scores))
    assert min(spread) > 0.05  # the boxes are told apart
    assert not np.allclose(found[0][0].scores, found[0][1].scores, atol=1e-3)  # so are sentences


def visible(corners: np.ndarray) -> np.ndarray:
    """Whether boxes have an area in the frame."""
    inside = np.clip(corners, 0, (WIDTH, HEIGHT, WIDTH, HEIGHT))
    return (inside[:, 2:] > inside[:, :2]).all(axis=1)


@pytest.mark.parametrize("family", ["grounding-dino", "owlv2"])
def test_another_image_size_is_that_of_transformers(family: str, tiny_detector: Callable) -> None:
    folder, frames, side = tiny_detector(family), frames_of(1), 96
    detector = load_detector(
        str(folder), device=torch.device("cpu"), precision="fp32", image_size=side
    )
    ((found,),) = found_by(detector, frames, SENTENCES[:1])
    more = {"interpolate_pos_encoding": True} if family == "owlv2" else {}
    size = {"shortest_edge": side, "longest_edge": 149}
    if family == "owlv2":
        size = {"height": side, "width": side}
    reference = ByTransformers(family, folder)
    corners, scores = reference(frames[0], CAPTIONS[family][0], size, **more)
    seen = visible(corners)
    assert np.abs(found.scores - scores[seen]).max() < 1e-5
    assert np.abs(found.corners - corners[seen]).max() < 1e-4
    ((own,),) = found_by(loaded(folder), frames, SENTENCES[:1])
    assert len(own) != len(found) or np.abs(own.scores - found.scores).max() > 1e-3


def test_an_image_size_that_patches_do_not_fill(tiny_detector: Callable) -> None:
    folder = str(tiny_detector("owlv2"))
    with pytest.raises(ConfigError, match=r"--image-size: 90 is not a multiple.*8 pixels; name 88"):
        load_detector(folder, device=torch.device("cpu"), precision="fp32", image_size=90)


@pytest.mark.parametrize("family", FAMILIES)
def test_batches_do_not_change_what_is_found(family: str, tiny_detector: Callable) -> None:
    detector, frames = loaded(tiny_detector(family)), frames_of()
    together = found_by(detector, frames, SENTENCES, batch=9, top_k=5)
    alone = found_by(detector, frames, SENTENCES, batch=1, top_k=5)
    for one, other in zip(itertools.chain(*together), itertools.chain(*alone), strict=True):
        assert len(one) == 5
        assert np.abs(one.scores - other.scores).max() < 1e-5
        assert np.abs(one.corners - other.corners).max() < 1e-4


def test_near_copies_of_a_better_box_are_left_out(tiny_detector: Callable) -> None:
    detector, frames = loaded(tiny_detector("owlv2")), frames_of(1)
    ((every,),) = found_by(detector, frames, SENTENCES[:1])
    ((few,),) = found_by(detector, frames, SENTENCES[:1], overlap=0.3)
    kept: list[int] = []
    for row in range(len(every)):
        if all(iou(every.corners[row], every.corners[better]) <= 0.3 for better in kept):
            kept.append(row)
    assert 1 < len(kept) < len(every)
    assert few.corners.tolist() == every.corners[kept].tolist()


def iou(one: np.ndarray, other: np.ndarray) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = sides.clip(0).prod()
    areas = (one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod()
    return float(shared / (areas - shared))


def test_boxes_beyond_the_frame_take_no_place_of_others(tiny_detector: Callable) -> None:
    """OWLv2 pads a wide frame at the bottom, and may find something there."""
    detector = loaded(tiny_detector("owlv2"))
    flat = np.full((12, 40, 3), 80, np.uint8)
    sentences = detector.encode(SENTENCES[:1])
    every, few = (
        detector.detect([detector.prepare(flat)], sentences, (12, 40), Limits(k, 1.0, 4))[0][0]
        for k in (EVERYTHING, 5)
    )
    assert len(few) == 5
    assert few.corners.tolist() == every.corners[:5].tolist()
    assert (every.corners[:, 1] < 12).all()
    assert 0 < few.dropped <= every.dropped == 64 - len(every)


def test_a_sentence_longer_than_the_encoder_takes_is_cut(tiny_detector: Callable) -> None:
    frames = frames_of(1)
    for family, most in (("grounding-dino", DINO_TOKENS), ("owlv2", OWL_TOKENS)):
        detector = loaded(tiny_detector(family))
        long = " ".join(["dog"] * 40)
        beyond = " ".join(["dog"] * 30) + " cow"
        encoded = detector.encode([long, "a dog"])
        assert encoded.cut == (True, False)
        assert detector.most_tokens == most
        ((one,), (other,)) = (found_by(detector, frames, [text])[0] for text in (long, beyond))
        assert one.scores.tolist() == other.scores.tolist()


def test_a_batch_that_exceeds_the_memory_is_halved() -> None:
    tried = []

    def work(part: Sequence[int]) -> list[int]:
        tried.append(len(part))
        if len(part) > 2:
            raise MemoryError
        return [2 * item for item in part]

    assert in_batches(work, range(7), 6) == [2 * item for item in range(7)]
    assert tried == [6, 3, 1, 1, 1, 1, 1, 1, 1]
    with pytest.raises(MemoryError):
        in_batches(lambda _: (_ for _ in ()).throw(MemoryError), [1], 1)
    with pytest.raises(ValueError, match="a bug"):
        in_batches(lambda _: (_ for _ in ()).throw(ValueError("a bug")), [1, 2], 2)


def test_half_precision_runs(tiny_detector: Callable) -> None:
    for family in FAMILIES:
        folder = str(tiny_detector(family))
        rough = load_detector(folder, device=torch.device("cpu"), precision="bf16")
        ((found,),) = found_by(rough, frames_of(1), SENTENCES[:1], top_k=5)
        assert len(found) == 5
        assert np.isfinite(found.scores).all()
