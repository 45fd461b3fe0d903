"""Candidates of SAM 3 are those of transformers' own processor, model and post-processing.

Runs in ``tests/test_torchvision.py``.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision_operators
from tiny_detectors import SAM3_TOKENS
from transformers import AutoTokenizer, Sam3ImageProcessor, Sam3Model, Sam3Processor

from stages.core.media.rle import decode
from stages.zero_shot.ground.detectors.detector import Detector, Limits
from stages.zero_shot.ground.detectors.registry import load_detector
from stages.zero_shot.ground.detectors.sam3 import Sam3Detector

torchvision_operators.require()
SENTENCES = ["The left one", "a white dog", "two that run"]
HEIGHT, WIDTH = 48, 70


@pytest.fixture
def detector(tiny_detector: Callable[[str], Path]) -> Detector:
    folder = str(tiny_detector("sam3"))
    return load_detector(folder, device=torch.device("cpu"), precision="fp32")


def frames_of(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(count)]


def test_boxes_scores_and_masks_are_those_of_transformers(
    detector: Detector, tiny_detector: Callable[[str], Path]
) -> None:
    folder, frames = tiny_detector("sam3"), frames_of(2)
    found = detector.detect(
        [detector.prepare(frame) for frame in frames],
        detector.encode(SENTENCES),
        (HEIGHT, WIDTH),
        Limits(100, 1.0, 4),
    )
    model = Sam3Model.from_pretrained(folder).eval()
    images = Sam3ImageProcessor.from_pretrained(folder)
    processor = Sam3Processor(images, AutoTokenizer.from_pretrained(folder))
    visible = 0
    for (row, frame), (column, sentence) in itertools.product(
        enumerate(frames), enumerate(SENTENCES)
    ):
        inputs = processor(images=frame, text=sentence, return_tensors="pt")
        original = inputs.pop("original_sizes")
        with torch.no_grad():
            outputs = model(**inputs)
        result = processor.post_process_instance_segmentation(
            outputs, threshold=0.0, target_sizes=original.tolist()
        )[0]
        order = torch.argsort(result["scores"], descending=True)
        boxes = found[row][column]
        assert len(boxes) + boxes.dropped == len(order) > 5
        assert np.abs(boxes.scores - result["scores"][order].numpy()).max() < 1e-5
        assert np.abs(boxes.corners - result["boxes"][order].numpy()).max() < 1e-4
        assert np.ptp(boxes.scores) > 1e-3
        for counts, mask in zip(boxes.counts, result["masks"][order].numpy(), strict=True):
            assert counts is not None
            own = decode({"size": [HEIGHT, WIDTH], "counts": counts}, where="test")
            assert own.tolist() == mask.tolist()
            visible += bool(mask.any())
    assert visible


def test_nothing_is_said_of_a_frame_that_cannot_be_written(detector: Detector) -> None:
    """torch says it once per process, to a warning that no other test of this module causes."""
    (frame,) = frames_of(1)
    frame.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepared = detector.prepare(frame)
    assert torch.equal(prepared["pixel_values"], detector.prepare(frame.copy())["pixel_values"])


def test_a_frame_and_a_sentence_are_encoded_once(detector: Detector) -> None:
    assert isinstance(detector, Sam3Detector)
    calls = {"vision_encoder": 0, "text_encoder": 0}
    for name in calls:

        def counted(*_: object, name: str = name) -> None:
            calls[name] += 1

        getattr(detector._model, name).register_forward_hook(counted)
    sentences = detector.encode(SENTENCES)
    frames = [detector.prepare(frame) for frame in frames_of(2)]
    for frame in frames:
        detector.detect([frame], sentences, (HEIGHT, WIDTH), Limits(3, 1.0, 2))
    assert calls == {"vision_encoder": 2, "text_encoder": 1}


def test_a_long_sentence_is_cut(detector: Detector) -> None:
    assert detector.most_tokens == SAM3_TOKENS
    assert detector.encode(["dog " * 40, "a dog"]).cut == (True, False)
