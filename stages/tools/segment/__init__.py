"""tgl segment, as a command and as a function: from a video to masks, moments and objects.

In a notebook (docs/python.md)::

    from stages.tools.segment import Box, segment_video

    found = segment_video("clip.mp4", ["the dog that jumps"])
    found = segment_video(frames, prompts=[Box(40, 60, 200, 180)])

Importing this package loads neither torch nor transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stages.tools.segment.api import (
        SegmentedObject,
        SegmentedSentence,
        SegmentedVideo,
        segment_video,
    )
    from stages.tools.segment.prompts.records import Box, MaskImage, Point

__all__ = [
    "Box",
    "MaskImage",
    "Point",
    "SegmentedObject",
    "SegmentedSentence",
    "SegmentedVideo",
    "segment_video",
]


def __getattr__(name: str) -> Any:
    """Load what is asked for: the command imports its settings from here, and stays light."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    kind = "prompts.records" if name in ("Box", "MaskImage", "Point") else "api"
    return getattr(import_module(f"{__name__}.{kind}"), name)
