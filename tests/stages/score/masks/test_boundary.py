"""Boundaries and the counts of J and F, against the definition and the public scorers' way."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import score_definition as definition
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco
from random_masks import DENSITIES, SIDES, random_mask
from skimage.morphology import disk

from stages.score.masks.boundary import TrueMask, outline
from stages.score.masks.packed_masks import PackedMask, boundary_radius, pack, unpack
from stages.score.masks.rle import pack_rle
from stages.score.results.frame_rows import frame_scores

SHARED_DATA = Path(
    os.environ.get("TGL_SHARED_DATA", Path(__file__).resolve().parents[4] / "../shared/data")
)
MASKLETS = SHARED_DATA / "masks" / "sav_000001_manual.json"


def fast_counts(predicted: np.ndarray, true: np.ndarray) -> tuple[int, ...]:
    """Counts by the path under test."""
    return tuple(TrueMask(pack(true)).compare(pack(predicted)))


def fast_scores(counts: tuple[int, ...]) -> tuple[float, float]:
    """J and F by the path under test."""
    j, f = frame_scores(np.array([counts]))
    return float(j[0]), float(f[0])


def reached(mask: np.ndarray, radius: int) -> np.ndarray:
    """Pixels within reach of a mask's boundary by the path under test."""
    return unpack(PackedMask(outline(pack(mask), radius).reach, mask.shape[1]))


def official_counts(predicted: np.ndarray, true: np.ndarray) -> tuple[int, ...]:
    """Counts as the public scorers take them: OpenCV's dilation with scikit-image's disk."""
    element = disk(definition.radius(*true.shape)).astype(np.uint8)
    edges = [definition.boundary(mask).astype(np.uint8) for mask in (predicted, true)]
    wide = [cv2.dilate(edge, element) for edge in edges]
    numbers = (
        (predicted & true).sum(),
        predicted.sum(),
        true.sum(),
        edges[0].sum(),
        edges[1].sum(),
        (edges[0] & wide[1]).sum(),
        (edges[1] & wide[0]).sum(),
    )
    return tuple(int(number) for number in numbers)


@settings(max_examples=150, deadline=None)
@given(
    height=SIDES,
    width=SIDES,
    densities=st.tuples(DENSITIES, DENSITIES),
    grain=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
)
@example(height=1, width=1, densities=(1.0, 1.0), grain=1, seed=0)
@example(height=1, width=4000, densities=(0.05, 0.05), grain=3, seed=0)
@example(height=2500, width=1, densities=(0.05, 0.05), grain=3, seed=0)
@example(height=3, width=9000, densities=(0.01, 0.01), grain=9, seed=0)
def test_counts_equal_the_definition(height, width, densities, grain, seed):
    rng = np.random.default_rng(seed)
    predicted, true = (random_mask(rng, height, width, d, grain) for d in densities)
    counts = fast_counts(predicted, true)
    assert counts == definition.counts(predicted, true)
    assert fast_scores(counts) == definition.scores(predicted, true)


@pytest.mark.parametrize("size", [(480, 854), (1080, 1920), (1440, 2560), (2560, 1440)])
@pytest.mark.parametrize("density", [0.003, 0.5, 0.97])
def test_counts_of_large_frames_equal_the_public_scorers(size, density):
    rng = np.random.default_rng(11)
    predicted, true = (random_mask(rng, *size, density, 37) for _ in range(2))
    assert fast_counts(predicted, true) == official_counts(predicted, true)


def test_the_definition_agrees_with_the_public_scorers():
    rng = np.random.default_rng(2)
    for size in [(1, 1), (7, 300), (120, 90), (200, 330)]:
        predicted, true = (random_mask(rng, *size, 0.3, 11) for _ in range(2))
        assert definition.counts(predicted, true) == official_counts(predicted, true)


@pytest.mark.parametrize("radius", range(1, 41))
def test_dilation_is_by_the_exact_disk(radius):
    rng = np.random.default_rng(radius)
    mask = rng.random((150, 170)) < 0.001
    mask[0, 0] = mask[-1, -1] = True
    edge = definition.boundary(mask).astype(np.uint8)
    wanted = cv2.dilate(edge, disk(radius).astype(np.uint8)).astype(bool)
    np.testing.assert_array_equal(reached(mask, radius), wanted)


@pytest.mark.parametrize("radius", [63, 64, 65, 127, 128, 129])
def test_a_disk_wider_than_words_is_exact(radius):
    rng = np.random.default_rng(radius)
    mask = np.zeros((90, 900), bool)
    mask[rng.integers(0, 90, 3), rng.integers(0, 900, 3)] = True
    wanted = definition.near(definition.boundary(mask), radius)
    np.testing.assert_array_equal(reached(mask, radius), wanted)


def test_radius_is_the_rounded_up_share_of_the_diagonal():
    for height, width in [(1, 1), (480, 854), (600, 800), (300, 400), (1080, 1920), (75, 100)]:
        assert boundary_radius(height, width) == definition.radius(height, width)
        exact = 0.008 * math.hypot(height, width)
        assert 0 <= boundary_radius(height, width) - exact < 1 + 1e-9


def test_empty_cases():
    empty, full = np.zeros((20, 30), bool), np.ones((20, 30), bool)
    spot = empty.copy()
    spot[5:9, 5:9] = True

    def pair(predicted: np.ndarray, true: np.ndarray) -> tuple[float, float]:
        return fast_scores(fast_counts(predicted, true))

    assert pair(empty, empty) == (1.0, 1.0)
    assert pair(empty, spot) == (0.0, 0.0)
    assert pair(spot, empty) == (0.0, 0.0)
    assert pair(full, full) == (1.0, 1.0)
    assert pair(full, empty) == (0.0, 1.0)  # a full frame has no boundary
    assert pair(full, spot) == (16 / 600, 0.0)


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(H, W\) \(20, 30\), got \(21, 30\)"):
        TrueMask(pack(np.zeros((20, 30), bool))).compare(pack(np.zeros((21, 30), bool)))


@pytest.mark.skipif(not MASKLETS.is_file(), reason="needs the real masklets of TGL_SHARED_DATA")
def test_counts_on_real_masklets():
    frames = json.loads(MASKLETS.read_text())["masklet"]
    compared = 0
    for index in range(0, len(frames) - 3, 12):
        for now, later in zip(frames[index], frames[index + 3], strict=True):
            true, predicted = (coco.decode(rle).astype(bool) for rle in (now, later))
            packed = [pack_rle(rle["counts"], rle["size"], where=index) for rle in (now, later)]
            counts = tuple(TrueMask(packed[0]).compare(packed[1]))
            assert counts == official_counts(predicted, true)
            compared += 1
    assert compared >= 40
