"""Training samples: a clip of a video, its sentence, its path labels and its targets.

Sample i of a run is a pure function of (index, config, i), whichever process makes it, and when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from stages.core.index.index import Expression, Index, Video
from stages.core.index.texts import TextEmbedding, TextStore
from stages.core.model.adapter.adapter import COMPARED
from stages.train.config import SHIFT, TrainConfig
from stages.train.data.augment import ColourChange, mirrored_sentence, names_colour
from stages.train.data.clips import ClipRules, draw_run, move_borders, random_clip, sample_generator
from stages.train.data.companions import CompanionBalance, VideoSentences, choose_companions
from stages.train.data.law import ClipLaw
from stages.train.data.pixels import read_pixels
from stages.train.data.stills import Drift
from stages.train.data.stored_rows import StoredRows
from stages.train.data.targets import (
    ReferentMasks,
    Spans,
    relevant_frames,
    shares_of_masks,
    target_referents,
)

_ORDER_STREAM = 1
_CLIP_STREAM = 2
_DRIFT_STREAM = 5  # 3 and 4 are those of windows
_COMPANION_STREAM = 6


@dataclass(frozen=True)
class SentenceName:
    """A sentence of one of the indexes of a training, for messages and to find features."""

    member: int
    video_id: str
    expression_id: str


@dataclass(frozen=True)
class Sample:
    """One clip with one sentence.

    Attributes:
        frames: int64 (T,), ascending positions in the video.
        flipped: whether the clip is mirrored.
        pixels: uint8 (T, 3, S, S); None where the features are cached, and in all sentences of a
            clip but the first.
        rows: float16 (T, row), cached features; None as `pixels`, and where they are not cached
            yet.
        targets: uint8 (T, s, s), the union of the supervised referents: the share of each pixel
            that it covers, from 0 to ``targets.FULL``. Not all 0 where any of it is visible.
        relevant: bool (T,), t in M+: the label of the relevance loss.
        guided: bool (T,), frames that take the language path under MDP. They differ from
            `relevant` by the noise of the routing, and in sentences without target: these have no
            moment, but the language path has to learn empty masks, so a run of frames is guided.
        hidden: bool (T, 6), neighbours in time that the adapter does not compare a frame with.
        member: number of the index that the clip is from.
        still: whether its video has one frame. All of it is relevant then, which says nothing
            about telling moments from the rest: the relevance loss leaves such clips out.
        weight: float (T,) of the frames in the relevance loss, see ``ClipDataset.clip``.
    """

    video_id: str
    expression_id: str
    text: TextEmbedding
    frames: np.ndarray
    flipped: bool
    pixels: Tensor | None
    rows: Tensor | None
    targets: Tensor
    relevant: Tensor
    guided: Tensor
    hidden: Tensor
    weight: Tensor
    member: int = 0
    still: bool = False

    @property
    def name(self) -> SentenceName:
        """The sentence."""
        return SentenceName(self.member, self.video_id, self.expression_id)

    @property
    def times(self) -> np.ndarray:
        """int64 (T,), ascending times of the frames: a still's frames follow each other too."""
        return np.arange(len(self.frames)) if self.still else self.frames


class ClipDataset(Dataset[Sample]):
    """All clips of a run from one index, by their number.

    Args:
        index_folder: read once, here or in the process that sends this to its workers.
        texts: folder of the texts, or a file of ``TextStore.write_mapped``, whose memory all
            processes share.
        size: S, the side of the pixels.
        target_side: s, the side of the targets; by default S.
        cache: of features, whose frames are not decoded; None decodes all.
        member: number of the index among several; each has its own order.
    """

    def __init__(
        self,
        index_folder: Path,
        texts: Path,
        config: TrainConfig,
        *,
        size: int,
        target_side: int | None = None,
        cache: StoredRows | None = None,
        member: int = 0,
    ):
        self.index_folder = index_folder
        self.cache = cache
        self._texts = texts
        self._config = config
        self._size = size
        self._target_side = target_side or size
        self._member = member
        self._rules = ClipRules(
            config.clip_frames, config.relevant_frames, config.max_stride, config.spread
        )
        self._order: tuple[int, np.ndarray] | None = None

    def __getstate__(self) -> dict[str, object]:
        """The state without open files, for a worker's copy.

        The index is read and the law fitted before: reading tables and checking their keys leaves
        three times the memory behind that the index takes.
        """
        _ = self.index
        if self._config.sampling == "moment":
            _ = self.law, self._balance
        return {k: v for k, v in self.__dict__.items() if k != "texts"}

    @cached_property
    def index(self) -> Index:
        return Index.open(self.index_folder)

    @cached_property
    def texts(self) -> TextStore:
        return TextStore.open(self._texts)

    @cached_property
    def law(self) -> ClipLaw:
        """The law of clips around moments, fitted to all sentences of the index."""
        moments = [
            self._relevant(expression, self.index.videos[expression.video_id])
            for expression in self.index.expressions
            if self.index.videos[expression.video_id].num_frames > 1
        ]
        return ClipLaw.fit(moments, self._rules)

    @cached_property
    def _balance(self) -> CompanionBalance | None:
        """Weights of the other sentences of a clip; None if there are none or no law."""
        if self._config.sampling != "moment" or self._config.sentences_per_clip == 1:
            return None
        videos = [video for video in self.index.videos.values() if video.num_frames > 1]
        sentences = [(video, self.index.expressions_of(video.video_id)) for video in videos]
        known = [
            VideoSentences(
                np.stack([self._relevant(expression, video) for expression in found]),
                np.array([self._has_target(expression) for expression in found]),
            )
            for video, found in sentences
            if found
        ]
        return CompanionBalance.fit(known, self.law, self._config.sentences_per_clip - 1)

    def expression(self, position: int) -> Expression:
        """The sentence of a clip; every epoch is a new permutation of the index's sentences.

        Args:
            position: number of the index's earlier clips.
        """
        expressions = self.index.expressions
        epoch, place = divmod(position, len(expressions))
        if self._order is None or self._order[0] != epoch:
            own = (self._member,) if self._member else ()
            rng = sample_generator(self._config.seed, _ORDER_STREAM, epoch, *own)
            self._order = epoch, rng.permutation(len(expressions))
        return expressions[self._order[1][place]]

    def __getitem__(self, number: int) -> Sample:
        """The drawn sentence of the clip with a number, of a run with this index alone."""
        return self.clip(number, number)[0]

    def clip(self, number: int, position: int) -> tuple[Sample, ...]:
        """The sentences of the clip with a number in the run, which decides its random numbers.

        The frames are drawn for the first one: with it, the timing of a clip says nothing about
        relevance (see ``law``). With the others it would, but for the weights of their frames (see
        ``companions``).

        Args:
            position: see :meth:`expression`.

        Returns:
            as many as are configured; where the video has fewer that fit, they repeat, and
            repeated ones have no weight.
        """
        rng = sample_generator(self._config.seed, _CLIP_STREAM, number)
        drawn = self.expression(position)
        video = self.index.videos[drawn.video_id]
        frames = self._frames(drawn, video, rng)
        chosen = [drawn, *self._companions(drawn, video, frames, number)]
        flipped = rng.random() < self._config.flip and all(
            mirrored_sentence(e.text) in self.texts for e in chosen
        )
        texts = [mirrored_sentence(e.text) if flipped else e.text for e in chosen]
        drift = None
        if video.num_frames == 1 and self._config.still == SHIFT:
            drift = self._drift(video, number)
        pixels, rows = self._frames_or_rows(video, frames, texts, flipped, drift, rng)
        samples = []
        for place, (expression, text) in enumerate(zip(chosen, texts, strict=True)):
            own = (
                rng
                if not place
                else sample_generator(self._config.seed, _CLIP_STREAM, number, place)
            )
            sample = self._sample(expression, text, video, frames, flipped, drift, own)
            if expression in chosen[:place]:
                sample = replace(sample, weight=torch.zeros_like(sample.weight))
            elif place and self._balance is not None and not sample.still:
                weight = self._balance.weights(frames, sample.relevant.numpy())
                sample = replace(sample, weight=torch.from_numpy(weight))
            samples.append(sample)
        samples[0] = replace(samples[0], pixels=pixels, rows=rows)
        return tuple(samples)

    def _sample(
        self,
        expression: Expression,
        text: str,
        video: Video,
        frames: np.ndarray,
        flipped: bool,
        drift: Drift | None,
        rng: np.random.Generator,
    ) -> Sample:
        """One sentence of a clip, without frames.

        Args:
            text: the sentence that is true of the clip.
        """
        moments = self._moments(expression, video)
        targets = self._targets(expression, video, moments, frames, drift)
        relevant = relevant_frames(moments, frames)
        still = video.num_frames == 1
        return Sample(
            video_id=expression.video_id,
            expression_id=expression.expression_id,
            text=self.texts.get(text),
            frames=frames,
            flipped=flipped,
            pixels=None,
            rows=None,
            targets=targets.flip(-1) if flipped else targets,
            relevant=torch.from_numpy(relevant),
            guided=torch.from_numpy(self._guided(expression, relevant, rng)),
            hidden=torch.from_numpy(
                rng.random((len(frames), COMPARED)) < self._config.hidden_neighbours
            ),
            weight=torch.full((len(frames),), 0.0 if still else 1.0),
            member=self._member,
            still=still,
        )

    def _companions(
        self, drawn: Expression, video: Video, frames: np.ndarray, number: int
    ) -> list[Expression]:
        """Further sentences of a clip, of the same video."""
        wanted = self._config.sentences_per_clip - 1
        others = [e for e in self.index.expressions_of(video.video_id) if e.key != drawn.key]
        if not wanted or not others:
            return [drawn] * wanted
        fitting = [relevant_frames(self._moments(e, video), frames).any() for e in others]
        targeted = [self._has_target(e) for e in others]
        rng = sample_generator(self._config.seed, _COMPANION_STREAM, number)
        chosen = choose_companions(np.array(fitting), np.array(targeted), wanted, rng)
        return list(islice(cycle([*(others[place] for place in chosen), drawn]), wanted))

    def _has_target(self, expression: Expression) -> bool:
        """Whether the sentence means something, as far as moments may be used to tell."""
        if self._config.reads_moments:
            return self.index.has_target(expression)
        return bool(expression.anno_ids)

    def _moments(self, expression: Expression, video: Video) -> Mapping[str | None, Spans]:
        """Spans by referent; the whole video if they are unknown or must not be used."""
        if self._config.reads_moments:
            moments = self.index.moments(*expression.key)
            if moments or not expression.anno_ids:
                return moments
        return {None: [(0, video.num_frames)]}

    def _relevant(self, expression: Expression, video: Video) -> np.ndarray:
        """Bool (num_frames,): t in M+ for every frame of the video."""
        return relevant_frames(self._moments(expression, video), np.arange(video.num_frames))

    def _frames(self, expression: Expression, video: Video, rng: np.random.Generator) -> np.ndarray:
        if video.num_frames == 1:
            return np.zeros(self._rules.frames, dtype=np.int64)
        if self._config.sampling == "moment":
            return self.law.draw(self._relevant(expression, video), rng)
        return random_clip(video.num_frames, self._rules, rng)

    def _guided(
        self, expression: Expression, relevant: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Frames of the language path; a run anywhere in the clip if the sentence has no target."""
        if not self._has_target(expression):
            return draw_run(self._rules, rng)
        if not self._config.routing_noise:
            return relevant
        return move_borders(relevant, self._config.routing_noise, rng)

    def _frames_or_rows(
        self,
        video: Video,
        frames: np.ndarray,
        sentences: Sequence[str],
        flipped: bool,
        drift: Drift | None,
        rng: np.random.Generator,
    ) -> tuple[Tensor | None, Tensor | None]:
        """The frames, uint8 (T, 3, S, S), or their cached features, float16 (T, row), if any."""
        if self.cache is not None and self.cache.holds(video.video_id):
            return None, self.cache.read(video, frames, flipped)
        change = None
        if self._config.colour and not any(map(names_colour, sentences)):
            change = ColourChange.draw(self._config.colour, rng)
        distinct, inverse = np.unique(frames, return_inverse=True)
        pixels = read_pixels(video, distinct, self._size, change)
        pixels = pixels[torch.from_numpy(inverse)] if drift is None else drift.frames(pixels)
        return pixels.flip(-1) if flipped else pixels, None

    def _drift(self, video: Video, number: int) -> Drift:
        """The moving camera over a still."""
        rng = sample_generator(self._config.seed, _DRIFT_STREAM, number)
        return Drift.draw(self._rules.frames, video.height, video.width, rng)

    def _targets(
        self,
        expression: Expression,
        video: Video,
        moments: Mapping[str | None, Spans],
        frames: np.ndarray,
        drift: Drift | None,
    ) -> Tensor:
        """uint8 (T, s, s), see :attr:`Sample.targets`."""
        possible = expression.anno_ids if self._has_target(expression) else ()
        referents = target_referents(possible, moments, frames, oss=self._config.oss)
        masks = ReferentMasks.of(self.index, video, referents)
        if drift is None:
            return torch.from_numpy(masks.shares(frames, self._target_side))
        # Its views are drawn as sharp as the image's.
        whole = torch.from_numpy(masks.binary(frames[:1], self._size))  # (1, S, S)
        return shares_of_masks(drift.masks(whole), self._target_side)
