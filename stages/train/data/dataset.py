"""Training samples: a clip of a video, its sentence, its path labels and its targets.

Sample i of a run is a pure function of (index, config, i), whichever process makes it, and when.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from schemas.errors import CorruptInput
from stages.core.index.frame_files import read_video_frame
from stages.core.index.index import Expression, Index, Video
from stages.core.index.texts import TextEmbedding, TextStore
from stages.core.media.rle import decode
from stages.core.model.adapter.adapter import COMPARED
from stages.core.model.backbones.preprocess import resize_frames
from stages.train.config import SHIFT, TrainConfig
from stages.train.data.augment import ColourChange, mirrored_sentence, names_colour
from stages.train.data.clips import ClipRules, draw_run, move_borders, random_clip, sample_generator
from stages.train.data.law import ClipLaw
from stages.train.data.stills import Drift
from stages.train.data.targets import Spans, relevant_frames, target_referents, union_mask

_ORDER_STREAM = 1
_CLIP_STREAM = 2
_DRIFT_STREAM = 5  # 3 and 4 are those of windows


@dataclass(frozen=True)
class Sample:
    """One clip with one sentence.

    Attributes:
        frames: int64 (T,), ascending positions in the video.
        flipped: whether the clip is mirrored.
        pixels: uint8 (T, 3, S, S), None where the features are cached.
        targets: uint8 (T, S, S), the union of the supervised referents, 0 or 1.
        relevant: bool (T,), t in M+: the label of the relevance loss.
        guided: bool (T,), frames that take the language path under MDP. They differ from
            `relevant` by the noise of the routing, and in sentences without target: these have no
            moment, but the language path has to learn empty masks, so a run of frames is guided.
        hidden: bool (T, 6), neighbours in time that the adapter does not compare a frame with.
        member: number of the index that the clip is from.
        still: whether its video has one frame. All of it is relevant then, which says nothing
            about telling moments from the rest: the relevance loss leaves such clips out.
    """

    video_id: str
    expression_id: str
    text: TextEmbedding
    frames: np.ndarray
    flipped: bool
    pixels: Tensor | None
    targets: Tensor
    relevant: Tensor
    guided: Tensor
    hidden: Tensor
    member: int = 0
    still: bool = False

    @property
    def times(self) -> np.ndarray:
        """int64 (T,), ascending times of the frames: a still's frames follow each other too."""
        return np.arange(len(self.frames)) if self.still else self.frames


class ClipDataset(Dataset[Sample]):
    """All samples of a run from one index, by their number.

    Args:
        index_folder: opened again in every worker process.
        size: S, the side of pixels and targets.
        with_pixels: False does not decode the frames.
        member: number of the index among several; each has its own order.
    """

    def __init__(
        self,
        index_folder: Path,
        text_folder: Path,
        config: TrainConfig,
        *,
        size: int,
        with_pixels: bool,
        member: int = 0,
    ):
        self.index_folder = index_folder
        self._text_folder = text_folder
        self._config = config
        self._size = size
        self._with_pixels = with_pixels
        self._member = member
        self._rules = ClipRules(
            config.clip_frames, config.relevant_frames, config.max_stride, config.spread
        )
        self._order: tuple[int, np.ndarray] | None = None

    def __getstate__(self) -> dict[str, object]:
        """The state without open files, for a worker's copy; the law is fitted before."""
        if self._config.sampling == "moment":
            _ = self.law
        return {k: v for k, v in self.__dict__.items() if k not in ("index", "texts")}

    @cached_property
    def index(self) -> Index:
        return Index.open(self.index_folder)

    @cached_property
    def texts(self) -> TextStore:
        return TextStore.open(self._text_folder)

    @cached_property
    def law(self) -> ClipLaw:
        """The law of clips around moments, fitted to all sentences of the index."""
        moments = [
            self._relevant(expression, self.index.videos[expression.video_id])
            for expression in self.index.expressions
            if self.index.videos[expression.video_id].num_frames > 1
        ]
        return ClipLaw.fit(moments, self._rules)

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
        """The sample with a number, of a run with this index alone."""
        return self.sample(number, number)

    def sample(self, number: int, position: int) -> Sample:
        """The sample with a number in the run, which decides its random numbers.

        Args:
            position: see :meth:`expression`.
        """
        rng = sample_generator(self._config.seed, _CLIP_STREAM, number)
        expression = self.expression(position)
        video = self.index.videos[expression.video_id]
        still = video.num_frames == 1
        moments = self._moments(expression, video)
        frames = self._frames(expression, video, rng)
        flipped, sentence = self._mirror(expression.text, rng)
        pixels = self._pixels(video, frames, sentence, rng) if self._with_pixels else None
        targets = torch.from_numpy(self._targets(expression, video, moments, frames))
        if still and self._config.still == SHIFT:
            pixels, targets = self._shifted(video, pixels, targets, number)
        relevant = relevant_frames(moments, frames)
        return Sample(
            video_id=expression.video_id,
            expression_id=expression.expression_id,
            text=self.texts.get(sentence),
            frames=frames,
            flipped=flipped,
            pixels=pixels.flip(-1) if flipped and pixels is not None else pixels,
            targets=targets.flip(-1) if flipped else targets,
            relevant=torch.from_numpy(relevant),
            guided=torch.from_numpy(self._guided(expression, relevant, rng)),
            hidden=torch.from_numpy(
                rng.random((len(frames), COMPARED)) < self._config.hidden_neighbours
            ),
            member=self._member,
            still=still,
        )

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
        if not expression.anno_ids:
            return draw_run(self._rules, rng)
        if not self._config.routing_noise:
            return relevant
        return move_borders(relevant, self._config.routing_noise, rng)

    def _mirror(self, sentence: str, rng: np.random.Generator) -> tuple[bool, str]:
        """Decide whether to mirror the clip; returns that, and the sentence true of the clip."""
        if rng.random() >= self._config.flip:
            return False, sentence
        mirrored = mirrored_sentence(sentence)
        if mirrored in self.texts:
            return True, mirrored
        return False, sentence

    def _pixels(
        self,
        video: Video,
        frames: np.ndarray,
        sentence: str,
        rng: np.random.Generator,
    ) -> Tensor:
        """Decode the frames, uint8 (T, 3, S, S), repeated ones once."""
        change = None
        if self._config.colour and not names_colour(sentence):
            change = ColourChange.draw(self._config.colour, rng)
        distinct, inverse = np.unique(frames, return_inverse=True)
        return read_pixels(video, distinct, self._size, change)[torch.from_numpy(inverse)]

    def _shifted(
        self, video: Video, pixels: Tensor | None, targets: Tensor, number: int
    ) -> tuple[Tensor | None, Tensor]:
        """The frames and targets of a still under a moving camera; arguments as in Sample."""
        rng = sample_generator(self._config.seed, _DRIFT_STREAM, number)
        drift = Drift.draw(len(targets), video.height, video.width, rng)
        return None if pixels is None else drift.frames(pixels), drift.masks(targets)

    def _targets(
        self,
        expression: Expression,
        video: Video,
        moments: Mapping[str | None, Spans],
        frames: np.ndarray,
    ) -> np.ndarray:
        """uint8 (T, S, S)."""
        referents = target_referents(expression.anno_ids, moments, frames, oss=self._config.oss)
        return referent_masks(self.index, video, referents, frames, self._size)


def referent_masks(
    index: Index, video: Video, anno_ids: tuple[str, ...], frames: np.ndarray, size: int
) -> np.ndarray:
    """The union of the referents' masks in each frame, uint8 (T, size, size).

    Raises:
        CorruptInput: the index has no mask of a referent, or one that cannot be decoded.
    """
    tracks = [index.masks.frames_of(anno_id) for anno_id in anno_ids]
    for anno_id, track in zip(anno_ids, tracks, strict=True):
        if not track:
            raise CorruptInput(
                f"the masks table has no mask of {anno_id}",
                where=f"{index.folder}, video {video.video_id}",
                hint="tgl check lists every fault of the index",
            )
    masks = {}
    for frame in map(int, np.unique(frames)):
        where = f"{index.folder}, video {video.video_id}, frame {frame}"
        found = [decode(track[frame], where=where) for track in tracks if frame in track]
        if len({mask.shape for mask in found}) > 1:
            raise CorruptInput(f"masks of {', '.join(anno_ids)} differ in size", where=where)
        masks[frame] = union_mask(found, size)
    return np.stack([masks[int(frame)] for frame in frames])


def read_pixels(
    video: Video, frames: np.ndarray, size: int, change: ColourChange | None = None
) -> Tensor:
    """Decode frames, resized to the training size.

    Args:
        frames: int (T,) positions in the video.
        change: applied to the colours before resizing.

    Returns:
        uint8 (T, 3, size, size).

    Raises:
        MissingInput, CorruptInput: naming the file.
    """
    images = [read_video_frame(video, int(frame)) for frame in frames]
    stacked = np.stack(images)
    return resize_frames(stacked if change is None else change.apply(stacked), size)
