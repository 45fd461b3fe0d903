"""Masks in the page: run lengths and outlines equal those of pycocotools, pixel by pixel."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from browsing import Server, Visitor
from page_world import Clip, Line, write_index

from stages.core.media.rle import encode

RANDOM_MASKS = 150

DECODE = """async ({cases, base}) => {
    const { decodeRuns, intersect, subtract, unite } = await import("/page/player/rle.js");
    const { traceLoops, loopsPath } = await import("/page/player/contours.js");
    const pixels = (runs, size) => {
        const flat = new Uint8Array(size);
        for (let i = 0; i < runs.length; i += 2) flat.fill(1, runs[i], runs[i + 1]);
        return flat;
    };
    const filled = (runs, height, width) => {
        const context = new OffscreenCanvas(width, height).getContext("2d");
        context.fill(loopsPath(traceLoops(runs, height)), "evenodd");
        const { data } = context.getImageData(0, 0, width, height);
        const flat = new Uint8Array(height * width);
        for (let x = 0; x < width; x++)
            for (let y = 0; y < height; y++)
                flat[x * height + y] = data[(y * width + x) * 4 + 3] > 127;
        return flat;
    };
    const text = (flat) => btoa(String.fromCharCode(...flat));
    return cases.map(({counts, others, height, width}) => {
        const size = height * width;
        const [a, b] = [decodeRuns(counts, size), decodeRuns(others, size)];
        const sets = [intersect(a, b), subtract(a, b), subtract(b, a), unite([a, b])];
        return {
            decoded: text(pixels(a, size)),
            filled: text(filled(a, height, width)),
            sets: sets.map((runs) => text(pixels(runs, size))),
        };
    });
}"""

REFUSED = """async (broken) => {
    const { decodeRuns } = await import("/page/player/rle.js");
    return broken.map(([counts, size]) => {
        try {
            return `decoded ${decodeRuns(counts, size)}`;
        } catch (error) {
            return error.message;
        }
    });
}"""


def random_masks() -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of masks of one size: noise of any density, blobs, full and empty ones."""
    rng = np.random.default_rng(0)
    pairs = []
    for number in range(RANDOM_MASKS):
        size = tuple(rng.integers(1, 24, 2))
        first, second = (rng.random(size) < rng.choice([0, 0.1, 0.5, 0.9, 1]) for _ in range(2))
        if number % 3 == 0:  # blobs, as masks of objects are
            first = np.kron(first, np.ones((5, 4), bool))
            second = np.kron(second, np.ones((5, 4), bool))
        pairs.append((first, second))
    return pairs


def flat(text: str) -> np.ndarray:
    """Pixels that the page sent, column by column."""
    return np.frombuffer(base64.b64decode(text), np.uint8).astype(bool)


def test_masks(tmp_path: Path, serve: Callable[..., Server], visit: Callable[..., Visitor]) -> None:
    index = write_index(tmp_path / "index", (Clip("a", 1, ()),), (Line("a", "nothing", ()),))
    page = visit(serve("view", index).address)
    check_equal_to_pycocotools(page)
    check_broken_counts_are_refused(page)


def check_equal_to_pycocotools(page: Visitor) -> None:
    pairs = random_masks()
    counts = [tuple(encode(mask)["counts"].decode() for mask in pair) for pair in pairs]
    cases: list[dict[str, Any]] = [
        {"counts": a, "others": b, "height": first.shape[0], "width": first.shape[1]}
        for (a, b), (first, _) in zip(counts, pairs, strict=True)
    ]
    for (a, b), answer in zip(pairs, page.tab.evaluate(DECODE, {"cases": cases}), strict=True):
        for text in (answer["decoded"], answer["filled"]):
            np.testing.assert_array_equal(flat(text), a.ravel(order="F"))
        expected = (a & b, a & ~b, b & ~a, a | b)
        for text, mask in zip(answer["sets"], expected, strict=True):
            np.testing.assert_array_equal(flat(text), mask.ravel(order="F"))


def check_broken_counts_are_refused(page: Visitor) -> None:
    whole = encode(np.ones((4, 5), bool))["counts"].decode()
    broken = [[whole, 21], [whole[:-1] + "o", 20], [" ", 1], ["oooooooo0", 20], ["0N", 20]]
    answers = page.tab.evaluate(REFUSED, broken)
    assert all(answer.startswith("RLE: ") for answer in answers), answers
