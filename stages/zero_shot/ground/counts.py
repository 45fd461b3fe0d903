"""Counts of a run: candidates, and what has none or was left out."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.wording import amount, listing
from stages.core.engine.progress import Progress
from stages.zero_shot.ground.units import VideoCandidates


@dataclass
class Counts:
    """Sums over videos.

    Attributes:
        videos, expressions, frames, candidates: numbers of them.
        bare_videos: ids of the videos without any candidate.
        bare_expressions: number of sentences without any, in other videos too.
        dropped: boxes without an area inside their frame.
        cut: sentences that are longer than the text encoder takes.
    """

    videos: int = 0
    expressions: int = 0
    frames: int = 0
    candidates: int = 0
    bare_videos: list[str] = field(default_factory=list)
    bare_expressions: int = 0
    dropped: int = 0
    cut: int = 0

    def add(self, video_id: str, found: VideoCandidates, expressions: int) -> None:
        """Count a video and its sentences."""
        self.videos += 1
        self.expressions += expressions
        self.frames += found.frames
        self.candidates += found.rows.num_rows
        self.bare_expressions += expressions - found.sentences
        self.dropped += found.dropped
        self.cut += found.cut
        if not found.rows.num_rows:
            self.bare_videos.append(video_id)

    def tell(self, progress: Progress) -> None:
        """Warn of videos without candidates and of sentences that were cut."""
        if self.bare_videos:
            progress.warn(f"no candidates in {listing(self.bare_videos, 'videos')}")
        if self.cut:
            progress.warn(
                f"{amount(self.cut, 'sentences')} longer than the model's text encoder takes: cut"
            )

    def totals(self) -> dict[str, int | float]:
        """The counts by name, for the summary and the receipt."""
        return {
            "videos": self.videos,
            "expressions": self.expressions,
            "frames": self.frames,
            "candidates": self.candidates,
            "videos without candidates": len(self.bare_videos),
            "expressions without candidates": self.bare_expressions,
            "boxes dropped (no area in the frame)": self.dropped,
            "sentences cut": self.cut,
        }
