"""The frames that a judge looks at: windows of a track, and each frame decoded once for all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stages.core.index.frame_files import read_video_frame
from stages.core.media.rle import decode
from stages.core.media.spans import Span
from stages.tools.select_moments.config import SelectConfig
from stages.tools.select_moments.judges.judge import Case
from stages.tools.select_moments.judges.windows import sampled, windows_of


@dataclass(frozen=True)
class Look:
    """One frame with all tracks that are looked at on it.

    Attributes:
        frame: its number.
        pixels: uint8 RGB (H, W, 3).
        masks: bool (H, W) by anno id, none of them empty.
    """

    frame: int
    pixels: np.ndarray
    masks: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Plan:
    """Windows of a video, and the frames of each that show a track.

    Attributes:
        windows: W of them.
        samples: by anno id, the frames of each window; none where the track is not visible.
    """

    windows: Sequence[Span]
    samples: Mapping[str, Sequence[Sequence[int]]]

    @classmethod
    def of(cls, case: Case, config: SelectConfig) -> Plan:
        """Plan the windows of a video."""
        windows = windows_of(case.video.num_frames, config.frames_averaged, config.frame_stride)
        samples = {}
        for name, track in case.tracks.items():
            shown = sorted(track)
            inside = [[f for f in shown if start <= f < end] for start, end in windows]
            samples[name] = [sampled(own, config.frames_per_window) for own in inside]
        return cls(windows, samples)

    def looks(self, case: Case) -> Iterator[Look]:
        """Decode every frame that is needed, once, in order of time.

        Raises:
            MissingInput, CorruptInput: a frame or a mask cannot be read.
        """
        wanted: dict[int, set[str]] = defaultdict(set)
        for name, windows in self.samples.items():
            for frames in windows:
                for frame in frames:
                    wanted[frame].add(name)
        for frame in sorted(wanted):
            masks = {}
            for name in sorted(wanted[frame]):
                where = f"track {name}, frame {frame}"
                mask = decode(case.tracks[name][frame], where=where).astype(bool)
                if mask.any():
                    masks[name] = mask
            yield Look(frame, read_video_frame(case.video, frame), masks)
