"""The definition of J and F, pixel by pixel: slow, plain, and the measure of the fast path."""

from __future__ import annotations

import math

import numpy as np


def boundary(mask: np.ndarray) -> np.ndarray:
    """A pixel is boundary if its east, south or south-east neighbour differs from it.

    On the last row only the east counts, on the last column only the south, the corner never.
    """
    height, width = mask.shape
    edge = np.zeros((height, width), bool)
    edge[:, :-1] |= mask[:, :-1] != mask[:, 1:]
    edge[:-1, :] |= mask[:-1, :] != mask[1:, :]
    inner = mask[:-1, :-1] != mask[1:, 1:]
    edge[:-1, :-1] |= inner
    return edge


def radius(height: int, width: int) -> int:
    """Pixels of tolerance."""
    return int(np.ceil(0.008 * np.linalg.norm((height, width))))


def near(edge: np.ndarray, reach: int) -> np.ndarray:
    """Pixels that have a pixel of `edge` at a Euclidean distance of at most `reach`."""
    height, width = edge.shape
    found = np.zeros((height, width), bool)
    for down in range(-min(reach, height - 1), min(reach, height - 1) + 1):
        across = math.isqrt(reach * reach - down * down)
        for right in range(-min(across, width - 1), min(across, width - 1) + 1):
            source = edge[
                max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)
            ]
            found[
                max(0, down) : height - max(0, -down), max(0, right) : width - max(0, -right)
            ] |= source
    return found


def counts(predicted: np.ndarray, true: np.ndarray) -> tuple[int, ...]:
    """Intersection, both areas, both boundary lengths, matched boundary pixels of either."""
    reach = radius(*true.shape)
    predicted_edge, true_edge = boundary(predicted), boundary(true)
    return (
        int((predicted & true).sum()),
        int(predicted.sum()),
        int(true.sum()),
        int(predicted_edge.sum()),
        int(true_edge.sum()),
        int((predicted_edge & near(true_edge, reach)).sum()),
        int((true_edge & near(predicted_edge, reach)).sum()),
    )


def scores(predicted: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """J and F."""
    both, area, true_area, edge, true_edge, precise, recalled = counts(predicted, true)
    union = area + true_area - both
    j = both / union if union else 1.0
    if edge == 0 and true_edge == 0:
        return j, 1.0
    if edge == 0 or true_edge == 0:
        return j, 0.0
    precision, recall = precise / edge, recalled / true_edge
    return j, 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)
