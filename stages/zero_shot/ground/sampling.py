"""The frames of a video that are searched."""

from __future__ import annotations

from stages.zero_shot.ground.config import GroundConfig


def searched_frames(num_frames: int, config: GroundConfig) -> list[int]:
    """Positions of the frames to search, ascending.

    Of `--frames N`, each is in the middle of one of N equal parts of the video: any moment of a
    N-th of the video has at least one of them. A shorter video is searched whole.
    """
    if config.strides:
        return list(range(0, num_frames, config.stride))
    count = min(config.frames, num_frames)
    return [(2 * part + 1) * num_frames // (2 * count) for part in range(count)]
