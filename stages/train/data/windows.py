"""Windows for the relevance head: runs of consecutive frames, longer than a clip.

The head compares a frame with many others, which clips of a few frames cannot teach, and clips hold
far more relevant frames than videos do. Window i of a run is a pure function of (index, config, i).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from stages.core.index.index import Expression, Index
from stages.core.index.texts import TextEmbedding
from stages.core.model.text import TextBatch
from stages.train.data.clips import sample_generator
from stages.train.data.mixture import ClipMixture, Shares
from stages.train.data.pixels import read_pixels

MOST_SENTENCES = 8
"""Sentences of a window; all share its frames."""
_ORDER_STREAM = 3
_WINDOW_STREAM = 4


@dataclass(frozen=True)
class Window:
    """Consecutive frames of a video, and some of its sentences.

    Attributes:
        member: number of the index it comes from.
        texts: of E sentences.
        frames: int64 (n,), positions in the video.
        pixels: uint8 (n, 3, S, S); None where the features are cached.
        rows: float16 (n, row), cached features; None where they are not cached yet.
        relevant: bool (E, n), t in M+.
    """

    member: int
    video_id: str
    texts: tuple[TextEmbedding, ...]
    frames: np.ndarray
    pixels: Tensor | None
    rows: Tensor | None
    relevant: Tensor

    def text(self) -> TextBatch:
        """The E sentences, padded."""
        return TextBatch.of(self.texts)


class WindowDataset(Dataset[Window]):
    """All windows of a run, by their number; every epoch is a new permutation of the videos.

    Videos of one frame, and those without a sentence whose moments are known, have none. Several
    indexes take turns as their clips do.

    Args:
        clips: the clips of the same videos and sentences.
        length: most frames of a window; a shorter video is a window as a whole.
        seed: of the run.
        size: S, the side of the pixels.
    """

    def __init__(self, clips: ClipMixture, *, length: int, seed: int, size: int):
        self._clips = clips
        self._length = length
        self._seed = seed
        self._size = size

    @property
    def any(self) -> bool:
        """Whether there is any window."""
        return any(self.sentences)

    @cached_property
    def sentences(self) -> list[dict[str, list[Expression]]]:
        """Of each index, sentences with known M+ (perhaps empty), by video."""
        return [self._known(clips.index) for clips in self._clips.members]

    @cached_property
    def _turns(self) -> tuple[list[int], Shares]:
        """The indexes that have windows, and their shares."""
        members = [number for number, known in enumerate(self.sentences) if known]
        return members, Shares(tuple(self._clips.shares.weights[number] for number in members))

    def __getitem__(self, number: int) -> Window:
        members, shares = self._turns
        turn, position = shares.turn(number)
        member = members[turn]
        known, clips = self.sentences[member], self._clips.members[member]
        video = clips.index.videos[self._video(list(known), member, position)]
        rng = sample_generator(self._seed, _WINDOW_STREAM, number)
        length = min(self._length, video.num_frames)
        first = int(rng.integers(0, video.num_frames - length + 1))
        frames = np.arange(first, first + length)
        sentences = self._draw(known[video.video_id], rng)
        relevant = [clips.index.relevant(*sentence.key)[frames] for sentence in sentences]
        pixels = rows = None
        if clips.cache is not None and clips.cache.holds(video.video_id):
            rows = clips.cache.read(video, frames, flipped=False)
        else:
            pixels = read_pixels(video, frames, self._size)
        return Window(
            member=member,
            video_id=video.video_id,
            texts=tuple(clips.texts.get(sentence.text) for sentence in sentences),
            frames=frames,
            pixels=pixels,
            rows=rows,
            relevant=torch.from_numpy(np.stack(relevant)),
        )

    def _video(self, videos: list[str], member: int, position: int) -> str:
        """The video of an index's window."""
        epoch, place = divmod(position, len(videos))
        rng = sample_generator(self._seed, _ORDER_STREAM, member, epoch)
        return videos[rng.permutation(len(videos))[place]]

    @staticmethod
    def _known(index: Index) -> dict[str, list[Expression]]:
        known = {
            video.video_id: [
                expression
                for expression in index.expressions_of(video.video_id)
                if index.moments(*expression.key) or not expression.anno_ids
            ]
            for video in index.videos.values()
            if video.num_frames > 1
        }
        return {video_id: found for video_id, found in known.items() if found}

    def _draw(self, sentences: list[Expression], rng: np.random.Generator) -> list[Expression]:
        """Draw at most MOST_SENTENCES of them."""
        if len(sentences) <= MOST_SENTENCES:
            return sentences
        return [sentences[i] for i in rng.choice(len(sentences), MOST_SENTENCES, replace=False)]
