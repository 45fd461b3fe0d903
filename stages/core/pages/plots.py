"""Plots as inline SVG, drawn from numbers alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from stages.core.pages.markup import html_text

_WIDTH, _HEIGHT = 420, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 14, 34
_TICKS = (0, 0.25, 0.5, 0.75, 1)
_ROW = 26
_LABEL = 150
_PERCENT = 100
_MOST_VALUES = 30
_LEAST_RANGE = 1e-9
"""Of a histogram, as a share of its values."""


def histogram(counts: Sequence[int], edges: Sequence[float], axis: str, *, more: str = "") -> str:
    """Plot counts over ranges of a number.

    Args:
        counts: (B,).
        edges: (B + 1,), the ends of the ranges.
        axis: name of the number.
        more: written after the end of the last range.
    """
    low, high = edges[0], edges[-1]
    marks = [(tick, _short(low + (high - low) * tick)) for tick in _TICKS]
    marks[-1] = 1, marks[-1][1] + more
    names = [f"{_short(a)} to {_short(b)}" for a, b in pairwise(edges)]
    return _columns(counts, names, marks, axis)


def share_histogram(values: Sequence[float], axis: str, bins: int = 20) -> str:
    """Plot the number of samples between 0 and 1, in percent."""
    counts, edges = np.histogram(values, bins=bins, range=(0, 1))
    return histogram(counts.tolist(), (_PERCENT * edges).round(1).tolist(), axis)


def number_histogram(values: Sequence[float], axis: str, bins: int = 24) -> str:
    """Plot samples of any size: each whole number if there are few of them, else in ranges.

    The longest hundredth is drawn in the last range, so that a single one does not press the
    others together.
    """
    found = np.asarray(values, float)
    whole = bool((found == found.round()).all())
    low, high = found.min(), np.quantile(found, 0.99)
    if whole and high - low < _MOST_VALUES:
        low, high = low - 0.5, np.floor(high) + 0.5
        numbers = np.arange(low + 0.5, high)
        counts, _ = np.histogram(
            np.minimum(found, high - 0.5), bins=len(numbers), range=(low, high)
        )
        places = (np.arange(len(numbers)) + 0.5) / len(numbers)
        names = [*map(_short, numbers)]
        names[-1] += _more(found, high)
        step = max(1, len(numbers) // 10)
        marks = list(zip(places.tolist(), names, strict=True))[::-1][::step]
        return _columns(counts.tolist(), names, marks, axis)
    least = _LEAST_RANGE * max(abs(low), 1)
    if high - low < least:  # too narrow for edges that differ
        high = low + max(1, least)
    counts, edges = np.histogram(np.minimum(found, high), bins=bins, range=(low, high))
    return histogram(counts.tolist(), edges.tolist(), axis, more=_more(found, high))


def _more(values: np.ndarray, high: float) -> str:
    """The mark of a last range that has larger values too."""
    return "+" if values.max() > high else ""


def _columns(
    counts: Sequence[int], names: Sequence[str], marks: Sequence[tuple[float, str]], axis: str
) -> str:
    """Plot counts as columns; `marks` are shares of the width with their labels."""
    top = max(*counts, 1)
    width = (_WIDTH - _LEFT - _RIGHT) / len(counts)
    gap = min(1, width / 6)
    bars = []
    for index, (count, name) in enumerate(zip(counts, names, strict=True)):
        height = (_HEIGHT - _TOP - _BOTTOM) * count / top
        bars.append(
            f'<rect class="bar" x="{_LEFT + index * width + gap:.1f}" y="{_base() - height:.1f}" '
            f'width="{width - 2 * gap:.1f}" height="{height:.1f}">'
            f"<title>{html_text(name)}: {count:,}</title></rect>"
        )
    labels = _text(_LEFT - 6, _TOP + 4, f"{top:,}", "end") + _text(_LEFT - 6, _base(), "0", "end")
    return _svg("".join(bars) + labels + _x_axis(axis, marks))


def lines(
    series: Sequence[tuple[str, np.ndarray, np.ndarray]], axis: str, *, top: float = 1.0
) -> str:
    """Plot up to two series of shares over the position in the video.

    Args:
        series: name, positions (P,) between 0 and 1, and values (P,) between 0 and `top`.
        axis: name of the position.
    """
    drawn = []
    lowest = min((values[-1] for _, _, values in series if len(values)), default=0)
    for (name, positions, values), kind in zip(series, ("first", "second"), strict=False):
        points = [
            (_x(place), _y(value / top)) for place, value in zip(positions, values, strict=True)
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        last = points[-1] if points else (_LEFT, _base())
        drawn.append(f'<polyline class="line {kind}" points="{path}"/>')
        if name:
            below = len(series) > 1 and len(values) and values[-1] == lowest
            drawn.append(
                _text(last[0], last[1] + (16 if below else -6), name, "end", f"mark {kind}")
            )
    ticks = "".join(
        _text(_LEFT - 6, _y(tick) + 4, _short(_PERCENT * top * tick), "end")
        + f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{_y(tick):.1f}" '
        f'y2="{_y(tick):.1f}"/>'
        for tick in _TICKS
    )
    marks = [(tick, f"{_PERCENT * tick:.0f}") for tick in _TICKS]
    return _svg(ticks + "".join(drawn) + _x_axis(axis, marks))


def group_bars(
    groups: Sequence[tuple[str, float | None, str]],
    shown: Callable[[float], str] = lambda value: f"{_PERCENT * value:.1f}",
) -> str:
    """Plot a value of each group as a bar.

    Args:
        groups: name, value (None draws no bar), and a note that appears above the bar.
        shown: formats a value; the longest bar is the largest value, at least 1.
    """
    height = _ROW * len(groups) + 8
    room = _WIDTH - _LABEL - 60
    largest = max([1.0, *(value for _, value, _ in groups if value is not None)])
    parts = []
    for index, (name, value, note) in enumerate(groups):
        y = index * _ROW + 6
        parts.append(_text(_LABEL - 8, y + 14, name, "end"))
        if value is None:
            continue
        width = room * value / largest
        parts.append(
            f'<rect class="bar" x="{_LABEL}" y="{y}" width="{width:.1f}" height="18">'
            f"<title>{html_text(note)}</title></rect>"
        )
        parts.append(_text(_LABEL + width + 6, y + 14, shown(value)))
    return _svg("".join(parts), height)


def _short(number: float) -> str:
    """Format a number for an axis."""
    if number == int(number):
        return f"{int(number):,}"
    return f"{number:.1f}" if abs(number) >= 1 else f"{number:.2g}"


def _svg(content: str, height: float = _HEIGHT) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img">{content}</svg>'


def _text(x: float, y: float, text: str, anchor: str = "start", kind: str = "tick") -> str:
    position = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {position}>{html_text(text)}</text>'


def _x_axis(name: str, marks: Sequence[tuple[float, str]]) -> str:
    line = f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{_base()}" y2="{_base()}"/>'
    ticks = "".join(_text(_x(place), _base() + 14, label, "middle") for place, label in marks)
    return line + ticks + _text(_x(0.5), _HEIGHT - 4, name, "middle", "name")


def _base() -> float:
    return _HEIGHT - _BOTTOM


def _x(share: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * share


def _y(share: float) -> float:
    return _base() - (_base() - _TOP) * share
