"""The ablation's plot: J&F of every arm and route."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ablation_results import Run

ROW, LINE, LEFT, RIGHT, WIDTH, TOP = 24, 13, 330, 40, 860, 46
COLOURS = {"annotated": "#0072b2", "predicted": "#e69f00", "all": "#000000"}
"""Okabe and Ito's colours, which colour-blind people can tell apart."""


def plot(arms: dict[tuple[str, str], list[Run]], references: Sequence[Run]) -> str:
    """Plot J&F of every (arm, route): a dot per seed, a bar at the mean, references dashed.

    Args:
        arms: runs of each seed by (arm, route), in the order of the rows.
        references: predictions that read no sentence.

    Returns:
        An SVG document.
    """
    height = TOP + ROW * len(arms) + ROW + LINE * (len(references) + 1)
    values = [run.mean()[2] for runs in (*arms.values(), references) for run in runs]
    low = np.floor(min(values, default=0) * 10) / 10
    high = max(np.ceil(max(values, default=1) * 10) / 10, low + 0.1)

    def x(value: float) -> float:
        return float(LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT))

    bottom = TOP + ROW * len(arms)
    ticks = np.arange(round(low * 10), round(high * 10) + 1) / 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-weight="bold">J&amp;F, a dot per seed</text>',
        *(_tick(float(tick), x(tick), bottom) for tick in ticks),
    ]
    for number, run in enumerate(references):
        foot = bottom + ROW + LINE * (number + 1)
        parts.append(_reference_line(run.arm, x(run.mean()[2]), foot))
    for number, (name, runs) in enumerate(arms.items()):
        parts += _row(name, [run.mean()[2] for run in runs], TOP + ROW * number + ROW / 2, x)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _row(
    name: tuple[str, str], points: Sequence[float], y: float, x: Callable[[float], float]
) -> list[str]:
    """One arm: its name, a bar at the mean, and a dot per seed."""
    colour, mean = COLOURS[name[1]], x(float(np.mean(points)))
    return [
        f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{", ".join(name)}</text>',
        f'<line x1="{mean:.1f}" x2="{mean:.1f}" y1="{y - 8}" y2="{y + 8}" '
        f'stroke="{colour}" stroke-width="3"/>',
        *(
            f'<circle cx="{x(p):.1f}" cy="{y}" r="4" fill="{colour}" fill-opacity="0.6"/>'
            for p in points
        ),
    ]


def _tick(value: float, x: float, bottom: float) -> str:
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 12}" y2="{bottom}" stroke="#dddddd"/>'
        f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{value:.1f}</text>'
    )


def _reference_line(label: str, x: float, foot: float) -> str:
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 12}" y2="{foot}" '
        'stroke="#999999" stroke-dasharray="4 4"/>'
        f'<text x="{x + 3:.1f}" y="{foot}" fill="#777777" font-size="11">{label}</text>'
    )
