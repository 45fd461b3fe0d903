"""How many frames will come: an estimate from the videos' headers, for the time left."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stages.engine.ffmpeg import ffmpeg_binary
from stages.extract_frames.config import ExtractConfig

# Of many videos so many are probed; the rest is estimated by file size.
_SAMPLE = 16
_DURATION = re.compile(r"Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)")
_RATE = re.compile(r"Video: .*?([\d.]+)(k?) (?:fps|tbr)")
_THOUSAND = 1000


def estimate_frames(videos: Sequence[Path], config: ExtractConfig, workers: int) -> int | None:
    """About how many pictures `videos` will give; None where no header says."""
    sample = videos[:: max(1, len(videos) // _SAMPLE)][:_SAMPLE]
    with ThreadPoolExecutor(max(1, workers)) as pool:
        counts = list(pool.map(lambda video: _estimate(video, config), sample))
    known = [(n, _size(v)) for n, v in zip(counts, sample, strict=True) if n is not None]
    sampled_bytes = sum(size for _, size in known)
    if not sampled_bytes:
        return None
    per_byte = sum(n for n, _ in known) / sampled_bytes
    return round(per_byte * sum(_size(video) for video in videos))


def _estimate(video: Path, config: ExtractConfig) -> int | None:
    header = subprocess.run(
        [ffmpeg_binary(), "-hide_banner", "-nostdin", "-i", f"file:{video.absolute()}"],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,  # without an output ffmpeg always ends with an error
    ).stderr
    duration, rate = _DURATION.search(header), frame_rate(header)
    if duration is None or rate is None:
        return None
    hours, minutes, seconds = (float(part) for part in duration.groups())
    end = (hours * 60 + minutes) * 60 + seconds
    taken = max(0.0, (min(end, config.end) if config.end else end) - config.start)
    return max(1, round(taken * (config.fps or rate) / config.stride))


def frame_rate(header: str) -> float | None:
    """Frames a second that ffmpeg's description of a file names, if it does."""
    found = _RATE.search(header)
    return None if found is None else float(found[1]) * (_THOUSAND if found[2] else 1)


def _size(video: Path) -> int:
    return video.stat().st_size
