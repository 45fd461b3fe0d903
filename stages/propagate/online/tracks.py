"""The memories of a sentence while frames come: few, and each bounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from stages.core.model.backbones.backbone import Decoded
from stages.core.model.backbones.memory import MemoryBank
from stages.core.model.segmenter import Item, Track


@dataclass
class LiveTrack(Track):
    """A track whose end is not known.

    Attributes:
        last: the newest frame that it guided.
        pending: the oldest frame that still waits for its mask.
        answers: mask logits (s, s) and object score of frames that wait, by frame number.
    """

    last: int = -1
    pending: int = 0
    answers: dict[int, tuple[torch.Tensor, float]] = field(default_factory=dict)

    @classmethod
    def begun(cls, expression: int, pending: int) -> LiveTrack:
        """A new one without memories."""
        return cls(expression, (), (), MemoryBank(), pending=pending)

    def forget(self, times: np.ndarray, most: int, *, writing: bool) -> None:
        """Keep what waiting and coming frames may read: see ``Track.forget``.

        Waiting frames read on both sides, so all memories since the oldest of them stay, and
        ``most`` before it.
        """
        known = sorted(self.bank.frames)
        before = [frame for frame in known if frame < self.pending]
        since = [frame for frame in known if frame >= self.pending]
        self.bank.keep_only(before[-most:] + since)


class SentenceTracks:
    """The tracks of one sentence: one a moment, or one for all.

    Args:
        expression: row of the sentence in its group.
        per_moment: begin a new track with every moment.
        most: tracks that are kept; the oldest makes room.
        longest_break: unguided frames after which a moment still goes on.
    """

    def __init__(self, expression: int, *, per_moment: bool, most: int, longest_break: int):
        self.tracks: list[LiveTrack] = []
        self.forgotten = 0
        self._expression = expression
        self._per_moment = per_moment
        self._most = most
        self._break = longest_break
        self._last: int | None = None

    def guiding(self, frame: int, pending: int) -> LiveTrack:
        """The track that a guided frame writes to; frames come in order."""
        broken = self._last is None or frame - self._last - 1 > self._break
        if not self.tracks or (broken and self._per_moment):
            self.tracks.append(LiveTrack.begun(self._expression, pending))
        self._last = self.tracks[-1].last = frame
        return self.tracks[-1]

    def advance(self, pending: int) -> None:
        """Frames before ``pending`` have left: drop their answers, and moments beyond the most.

        A moment stays while frames that it guided wait.
        """
        while len(self.tracks) > self._most and self.tracks[0].last < pending:
            del self.tracks[0]
            self.forgotten += 1
        for track in self.tracks:
            track.pending = pending
            waiting = {frame: said for frame, said in track.answers.items() if frame >= pending}
            track.answers = waiting


def keep_answers(
    tracks: Sequence[LiveTrack], items: Sequence[Item], decoded: Decoded, origin: int
) -> None:
    """Store the answers of items with their tracks until their frames leave.

    Args:
        tracks: that the items count.
        items: B, whose positions count from ``origin``.
        decoded: of the B items.
        origin: frame number of position 0.
    """
    scores = decoded.object_score.float().tolist()
    masks = decoded.mask_logits
    for row, (item, score) in enumerate(zip(items, scores, strict=True)):
        # A copy: a view would keep the whole batch.
        tracks[item.track].answers[origin + item.position] = (masks[row].clone(), score)
