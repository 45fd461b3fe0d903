"""Plots of scores: J and F along the video, and of the frames of one expression."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stages.core.pages.plots import lines

_POSITIONS = 20
_SPARK_WIDTH, _SPARK_HEIGHT, _MOMENT = 320, 34, 5


def over_time(positions: np.ndarray, j: np.ndarray, f: np.ndarray) -> str:
    """Plot mean J and F over the position in the video.

    Args:
        positions: of each frame in its video, between 0 and 1, float (N,).
        j, f: of each frame, float (N,).
    """
    bins = np.minimum((positions * _POSITIONS).astype(int), _POSITIONS - 1)
    sizes = np.bincount(bins, minlength=_POSITIONS)
    known = np.flatnonzero(sizes)
    series = [
        (
            name,
            (known + 0.5) / _POSITIONS,
            np.bincount(bins, values, minlength=_POSITIONS)[known] / sizes[known],
        )
        for name, values in (("J", j), ("F", f))
    ]
    return lines(series, "position in the video, percent")


def sparkline(j: np.ndarray, relevant: Sequence[bool | None], chosen: int) -> str:
    """Plot J of each frame of an expression, with a strip above relevant frames.

    Args:
        chosen: position of the frame that is marked.
    """
    step, room = _SPARK_WIDTH / max(len(j), 1), _SPARK_HEIGHT - _MOMENT - 1
    shades = "".join(
        f'<rect class="moment" x="{index * step:.2f}" width="{step:.2f}" height="{_MOMENT}"/>'
        for index, inside in enumerate(relevant)
        if inside
    )
    bars = "".join(
        f'<rect class="{"bar now" if index == chosen else "bar"}" x="{index * step:.2f}" '
        f'y="{_SPARK_HEIGHT - max(room * value, 1):.1f}" width="{max(step - 0.5, 0.5):.2f}" '
        f'height="{max(room * value, 1):.1f}"/>'
        for index, value in enumerate(j.tolist())
    )
    return (
        f'<svg class="spark" viewBox="0 0 {_SPARK_WIDTH} {_SPARK_HEIGHT}" '
        f'preserveAspectRatio="none">{shades}{bars}</svg>'
    )
