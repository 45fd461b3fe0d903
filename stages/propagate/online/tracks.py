"""The tracks of a sentence of a stream: few, each with a bounded memory bank."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from stages.core.model.dual_path.segmenter import Results
from stages.core.model.dual_path.tracks import Track


@dataclass(eq=False, kw_only=True)
class StreamTrack(Track):
    """A track whose end is not known.

    Attributes:
        last: the newest frame that it guided.
        pending: the oldest frame that still waits for its mask.
        results: mask logits (s, s) and object score of waiting frames, by frame number.
    """

    last: int = -1
    pending: int = 0
    results: dict[int, tuple[torch.Tensor, float]] = field(default_factory=dict)

    def drop_unread(self, most: int) -> None:
        """Keep what waiting and coming frames may read.

        Waiting frames read on both sides, so all memories since the oldest of them stay, and
        ``most`` before it.
        """
        known = sorted(self.bank.frames)
        before = [frame for frame in known if frame < self.pending]
        since = [frame for frame in known if frame >= self.pending]
        self.bank.keep_only(before[-most:] + since)


class SentenceTracks:
    """The tracks of one sentence: one per moment, or one for all.

    Args:
        expression: row of the sentence in its group.
        per_moment: begin a new track with every moment.
        most: tracks that are kept; a new one replaces the oldest.
        longest_break: unguided frames after which a moment still goes on.

    Attributes:
        tracks: that are kept, in order of time.
        forgotten: tracks that were replaced.
    """

    def __init__(self, expression: int, *, per_moment: bool, most: int, longest_break: int):
        self.tracks: list[StreamTrack] = []
        self.forgotten = 0
        self._expression = expression
        self._per_moment = per_moment
        self._most = most
        self._break = longest_break
        self._last: int | None = None

    def guiding(self, frame: int, pending: int) -> StreamTrack:
        """The track that a guided frame writes to; frames come in order."""
        broken = self._last is None or frame - self._last - 1 > self._break
        if not self.tracks or (broken and self._per_moment):
            self.tracks.append(StreamTrack(expression=self._expression, pending=pending))
        self._last = self.tracks[-1].last = frame
        return self.tracks[-1]

    def advance(self, pending: int) -> None:
        """Drop results of frames before ``pending``, which have left, and surplus moments.

        A moment stays while frames that it guided wait.
        """
        while len(self.tracks) > self._most and self.tracks[0].last < pending:
            del self.tracks[0]
            self.forgotten += 1
        for track in self.tracks:
            track.pending = pending
            waiting = {frame: kept for frame, kept in track.results.items() if frame >= pending}
            track.results = waiting


def store_results(results: Results) -> None:
    """Keep results with their tracks, which are of streams, until their frames leave."""
    for items, decoded in results:
        scores = decoded.object_score.float().tolist()
        masks = decoded.mask_logits
        for row, (item, score) in enumerate(zip(items, scores, strict=True)):
            assert isinstance(item.track, StreamTrack)
            # A copy: a view would keep the whole batch.
            item.track.results[item.frame] = (masks[row].clone(), score)
