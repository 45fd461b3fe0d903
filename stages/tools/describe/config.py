"""Settings of describe."""

from __future__ import annotations

from dataclasses import dataclass

from stages.core.engine.settings import Settings, setting
from stages.core.moment_formats import FORMAT_NAMES, REFUSE, ROUNDINGS

AUTO = "auto"


@dataclass(frozen=True)
class DescribeConfig(Settings):
    """How moments are read that are not those of the index; see docs/describe.md."""

    moments_format: str = setting(
        AUTO,
        "Format of the moments files; auto detects it by name and content.",
        choices=(AUTO, *FORMAT_NAMES),
    )
    fps: float = setting(
        0.0,
        "Frame rate of videos for which the index has none; 0 leaves it unknown.",
        low=0,
        high=1000,
    )
    rounding: str = setting(
        REFUSE,
        "Moments in seconds that begin or end between two frames: refuse them, extend them, "
        "or round to the nearest frame.",
        choices=ROUNDINGS,
    )
