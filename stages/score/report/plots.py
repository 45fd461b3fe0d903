"""Plots as inline SVG, drawn from numbers alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stages.core.pages.markup import html_text

_WIDTH, _HEIGHT = 420, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 12, 12, 34
_BINS = 20
_PERCENT = 100
_TICKS = (0, 0.25, 0.5, 0.75, 1)
_ROW = 26
_LABEL = 150
_POSITIONS = 20
_SPARK_WIDTH, _SPARK_HEIGHT, _MOMENT = 320, 34, 5


def histogram(values: Sequence[float]) -> str:
    """Plot the number of expressions over J&F; values are between 0 and 1."""
    counts, _ = np.histogram(values, bins=_BINS, range=(0, 1))
    top = max(int(counts.max(initial=0)), 1)
    width = (_WIDTH - _LEFT - _RIGHT) / _BINS
    bars = []
    for index, count in enumerate(counts.tolist()):
        height = (_HEIGHT - _TOP - _BOTTOM) * count / top
        low, high = (_PERCENT * edge / _BINS for edge in (index, index + 1))
        bars.append(
            f'<rect class="bar" x="{_LEFT + index * width + 1:.1f}" y="{_base() - height:.1f}" '
            f'width="{width - 2:.1f}" height="{height:.1f}">'
            f"<title>{low:.0f}-{high:.0f}: {count}</title></rect>"
        )
    labels = _text(_LEFT - 6, _TOP + 4, f"{top:,}", "end") + _text(_LEFT - 6, _base(), "0", "end")
    return _svg("".join(bars) + labels + _x_axis("J&F of an expression"))


def over_time(positions: np.ndarray, j: np.ndarray, f: np.ndarray) -> str:
    """Plot mean J and F over the position in the video.

    Args:
        positions: of each frame in its video, between 0 and 1, float (N,).
        j, f: of each frame, float (N,).
    """
    bins = np.minimum((positions * _POSITIONS).astype(int), _POSITIONS - 1)
    sizes = np.bincount(bins, minlength=_POSITIONS)
    lines = []
    for name, values in (("J", j), ("F", f)):
        sums = np.bincount(bins, values, minlength=_POSITIONS)
        points = [
            (_x((index + 0.5) / _POSITIONS), _y(sums[index] / size))
            for index, size in enumerate(sizes.tolist())
            if size
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        last = points[-1] if points else (_LEFT, _base())
        lines.append(f'<polyline class="line {name}" points="{path}"/>')
        lines.append(
            _text(last[0] - (20 if name == "J" else 4), last[1] - 6, name, "end", f"mark {name}")
        )
    ticks = "".join(
        _text(_LEFT - 6, _y(tick) + 4, f"{_PERCENT * tick:.0f}", "end")
        + f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{_y(tick):.1f}" '
        f'y2="{_y(tick):.1f}"/>'
        for tick in _TICKS
    )
    return _svg(ticks + "".join(lines) + _x_axis("position in the video, percent"))


def group_bars(groups: Sequence[dict[str, Any]]) -> str:
    """Plot J&F of each group of expressions as a bar."""
    height = _ROW * len(groups) + 8
    room = _WIDTH - _LABEL - 60
    parts = []
    for index, group in enumerate(groups):
        y = index * _ROW + 6
        value = group["JF"]
        parts.append(_text(_LABEL - 8, y + 14, group["group"], "end"))
        if value is None:
            continue
        parts.append(
            f'<rect class="bar" x="{_LABEL}" y="{y}" width="{room * value:.1f}" height="18">'
            f"<title>{group['expressions']} expressions</title></rect>"
        )
        parts.append(_text(_LABEL + room * value + 6, y + 14, f"{_PERCENT * value:.1f}"))
    return _svg("".join(parts), height)


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


def _svg(content: str, height: float = _HEIGHT) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img">{content}</svg>'


def _text(x: float, y: float, text: str, anchor: str = "start", kind: str = "tick") -> str:
    position = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {position}>{html_text(text)}</text>'


def _x_axis(name: str) -> str:
    line = f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{_base()}" y2="{_base()}"/>'
    ticks = "".join(
        _text(_x(tick), _base() + 14, f"{_PERCENT * tick:.0f}", "middle") for tick in _TICKS
    )
    return line + ticks + _text(_x(0.5), _HEIGHT - 4, name, "middle", "name")


def _base() -> float:
    return _HEIGHT - _BOTTOM


def _x(share: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * share


def _y(share: float) -> float:
    return _base() - (_base() - _TOP) * share
