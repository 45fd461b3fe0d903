"""The interface of a detector, and the work that all families share.

Shapes: B frames, E sentences, P (frame, sentence) pairs, N boxes that a network proposes, K boxes
that are kept.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from schemas.errors import ConfigError, CorruptInput
from stages.core.engine.batches import BatchSize
from stages.core.media.rle import encode
from stages.core.model.device import autocast
from stages.core.model.loading.pretrained import model_errors
from stages.zero_shot.ground.boxes import Boxes
from stages.zero_shot.ground.detectors.selection import best_boxes, outside

Tensors = Mapping[str, Tensor]
EVERY_SCORE = -1.0
"""A threshold below every score: transformers' post-processing then drops nothing."""
R = TypeVar("R")


@dataclass(frozen=True)
class Loaded:
    """A model as transformers loads it.

    Attributes:
        name: folder or hub id, for messages.
        model: the network, on its device.
        processor: transformers' own of this family, with image processor and tokenizer.
        device: of the network.
        precision: fp32 or bf16.
        image_size: shorter side of prepared frames in pixels; None is the processor's own size.
    """

    name: str
    model: Any
    processor: Any
    device: torch.device
    precision: str
    image_size: int | None = None


@dataclass(frozen=True)
class Limits:
    """Which boxes are kept.

    Attributes:
        top_k: most boxes per sentence and frame.
        overlap: highest IoU of two of them.
        batch: most pairs that run at a time.
    """

    top_k: int
    overlap: float
    batch: int


@dataclass(frozen=True)
class Sentences:
    """E sentences as a detector reads them.

    Attributes:
        encoded: by name, E first in every shape.
        cut: whether each was longer than the text encoder takes.
    """

    encoded: Tensors
    cut: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.cut)


@dataclass(frozen=True)
class Proposals:
    """Boxes of P pairs.

    Attributes:
        order: (P, N), higher for a better box; a monotone function of the final score.
        corners: (P, N, 4): x0, y0, x1, y1 in the unit of :meth:`Detector._extent`.
        outputs: what transformers' post-processing reads, each (P, N, ...), by attribute.
        whole: attributes of outputs that belong to a pair, not to a box, (P, ...).
    """

    order: Tensor
    corners: Tensor
    outputs: Tensors
    whole: Tensors

    def select(self, chosen: Tensor) -> Any:
        """The outputs of chosen boxes, int64 (P, K), as an object with these attributes."""
        return _Outputs(
            **{name: _gathered(values, chosen) for name, values in self.outputs.items()},
            **self.whole,
        )


class _Outputs:
    """A model's outputs by attribute, as post-processing reads them."""

    def __init__(self, **tensors: Tensor):
        vars(self).update(tensors)


class Detector(ABC):
    """A detector that takes sentences.

    Args:
        loaded: the model and its processor.

    Raises:
        ConfigError: an image size that this family cannot take.
    """

    def __init__(self, loaded: Loaded):
        self._loaded = loaded
        self._sized = {} if loaded.image_size is None else self._sizes(loaded.image_size)
        self._model = loaded.model
        self._device = loaded.device

    @torch.inference_mode()
    def encode(self, sentences: Sequence[str]) -> Sentences:
        """Encode the sentences of a video once, for :meth:`detect`.

        Raises:
            CorruptInput: the tokenizer's files do not fit the model's.
        """
        captions = [self._caption(sentence) for sentence in sentences]
        with model_errors(self._loaded.name, "its tokenizer and its model do not fit each other"):
            tokenizer = self._loaded.processor.tokenizer
            tokens = tokenizer(
                captions,
                padding=self._padding,
                truncation=True,
                max_length=self._most_tokens,
                return_tensors="pt",
            )
            lengths = [len(ids) for ids in tokenizer(captions, verbose=False)["input_ids"]]
            on_device = {
                name: tokens[name].to(self._device) for name in ("input_ids", "attention_mask")
            }
            with autocast(self._loaded.precision, self._device):
                encoded = self._encode(on_device)
        return Sentences(encoded, tuple(length > self._most_tokens for length in lengths))

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        return self._device

    @property
    def precision(self) -> str:
        """Precision of the network: fp32 or bf16."""
        return self._loaded.precision

    @property
    def most_tokens(self) -> int:
        """Tokens that the text encoder takes; a longer sentence is cut."""
        return self._most_tokens

    def prepare(self, frame: np.ndarray) -> Tensors:
        """Resize and normalise a uint8 RGB frame (H, W, 3) as transformers' processor does.

        Returns:
            CPU tensors by name with a first dimension of one. Safe to call from threads.

        Raises:
            CorruptInput: the image processor's files do not fit.
        """
        if not frame.flags.writeable:
            frame = frame.copy()  # torch warns of frames as Pillow gives them
        with model_errors(self._loaded.name, "its image processor cannot be used"):
            images = self._loaded.processor.image_processor(
                [frame], input_data_format="channels_last", return_tensors="pt", **self._sized
            )
            return {name: images[name] for name in self._images}

    @torch.inference_mode()
    def detect(
        self,
        frames: Sequence[Tensors],
        sentences: Sentences,
        size: tuple[int, int],
        limits: Limits,
        hidden: list[Tensor] | None = None,
    ) -> list[list[Boxes]]:
        """Find every sentence on every frame.

        Args:
            frames: B results of :meth:`prepare` for frames of one size.
            sentences: result of :meth:`encode`.
            size: (H, W) of the frames before they were prepared.
            limits: what is kept; a batch that exceeds the memory is halved.
            hidden: takes what the image transformer made of each frame, (h * h, D) on the CPU, if
                the family has something to share; see :meth:`shared_size`.

        Returns:
            For each frame, for each sentence, at most `limits.top_k` boxes in pixels, which may
            reach over the frame's boundary; those beyond it do not count.

        Raises:
            CorruptInput: the model's files do not fit each other.
        """
        with (
            model_errors(self._loaded.name, "its files do not fit each other"),
            autocast(self._loaded.precision, self._device),
        ):
            return in_batches(
                lambda part: self._frames(part, sentences, size, limits, hidden),
                frames,
                limits.batch,
            )

    def _frames(
        self,
        frames: Sequence[Tensors],
        sentences: Sentences,
        size: tuple[int, int],
        limits: Limits,
        hidden: list[Tensor] | None,
    ) -> list[list[Boxes]]:
        """As :meth:`detect`, with all frames encoded at a time."""
        pixels = {
            name: torch.cat([frame[name] for frame in frames]).to(self._device)
            for name in self._images
        }
        encoded = self._look(pixels)
        pairs = list(itertools.product(range(len(frames)), range(len(sentences))))
        found = in_batches(
            lambda part: self._pairs(encoded, sentences, part, size, limits), pairs, limits.batch
        )
        if hidden is not None:  # after all that may run out of memory, so that it is taken once
            hidden += self._shared(encoded).cpu()
        width = len(sentences)
        return [found[n * width : (n + 1) * width] for n in range(len(frames))]

    def _pairs(
        self,
        encoded: Any,
        sentences: Sentences,
        pairs: Sequence[tuple[int, int]],
        size: tuple[int, int],
        limits: Limits,
    ) -> list[Boxes]:
        rows = torch.tensor(pairs, device=self._device)  # (P, 2)
        text = {name: values[rows[:, 1]] for name, values in sentences.encoded.items()}
        proposals = self._propose(encoded, rows[:, 0], text)
        beyond = outside(proposals.corners, self._extent(size))  # (P, N)
        order = proposals.order.float()
        chosen, valid = best_boxes(
            order.masked_fill(beyond, -torch.inf), proposals.corners, limits.top_k, limits.overlap
        )
        worst = order.gather(1, chosen).masked_fill(~valid, torch.inf).amin(dim=1, keepdim=True)
        worst = worst.masked_fill(~valid.any(dim=1, keepdim=True), -torch.inf)
        dropped = (beyond & (order > worst)).sum(dim=1).tolist()
        results = self._post_process(proposals.select(chosen), [size] * len(pairs))
        return [
            _boxes(result, kept, number)
            for result, kept, number in zip(results, valid.cpu().numpy(), dropped, strict=True)
        ]

    # --- what differs between families ---------------------------------------------------------

    _images: tuple[str, ...] = ("pixel_values",)
    """What the image processor gives and :meth:`_look` takes."""
    _padding: str | bool = True

    @property
    @abstractmethod
    def _most_tokens(self) -> int:
        """Tokens that the text encoder takes."""

    def _sizes(self, image_size: int) -> Mapping[str, Any]:
        """Settings of the image processor for an image size other than its own.

        Raises:
            ConfigError: this family cannot take it.
        """
        raise ConfigError(
            "this model runs at its own size only", where="--image-size", hint="leave it out"
        )

    def shared_size(self) -> int | None:
        """Side of the frames whose image transformer's output a tracker can begin from.

        Returns:
            None if no tracker shares this model's transformer, or it is given other pixels.
        """
        return None

    def _shared(self, encoded: Any) -> Tensor:
        """The image transformer's output (B, h * h, D), from the result of :meth:`_look`."""
        raise NotImplementedError

    def _extent(self, size: tuple[int, int]) -> tuple[float, float]:
        """Where a frame of (H, W) ends in the unit of the proposals' corners, as (x, y)."""
        return 1.0, 1.0

    def _caption(self, sentence: str) -> str:
        """The sentence as the model was trained to read it."""
        return sentence

    @abstractmethod
    def _encode(self, tokens: Tensors) -> Tensors:
        """Encode tokens, (E, L) each, once for all frames; E first in every shape."""

    @abstractmethod
    def _look(self, pixels: Tensors) -> Any:
        """Encode B frames once for all sentences."""

    @abstractmethod
    def _propose(self, encoded: Any, frames: Tensor, text: Tensors) -> Proposals:
        """Propose boxes for P pairs.

        Args:
            encoded: result of :meth:`_look`.
            frames: int64 (P,) into it.
            text: encoded sentences, P first in every shape.
        """

    @abstractmethod
    def _post_process(
        self, outputs: Any, sizes: Sequence[tuple[int, int]]
    ) -> Sequence[Mapping[str, Any]]:
        """transformers' post-processing without a threshold: boxes, scores, perhaps masks."""


def in_batches(
    work: Callable[[Sequence[Any]], list[R]], items: Sequence[Any], size: int
) -> list[R]:
    """Apply `work` to parts of `items`; a part for which memory runs out is tried again halved.

    Raises:
        Exception: as `work`; also if memory runs out for one item.
    """
    batches = BatchSize(size).run(items, work)
    return [result for _, results in batches for result in results]


def _boxes(result: Mapping[str, Any], kept: np.ndarray, dropped: int) -> Boxes:
    """The kept boxes of one pair, without a tensor of the device."""
    corners = result["boxes"].float().cpu().numpy()
    scores = result["scores"].float().cpu().numpy()
    if len(scores) != len(kept):
        raise CorruptInput(f"{len(kept)} boxes became {len(scores)} in post-processing")
    masks = result.get("masks")
    rows = np.flatnonzero(kept)
    counts: list[bytes | None] = [None] * len(scores)
    if masks is not None:
        for row in rows.tolist():
            counts[row] = encode(masks[row].cpu().numpy())["counts"]
    return Boxes(corners, scores, counts, dropped).at(rows)


def _gathered(values: Tensor, chosen: Tensor) -> Tensor:
    """Rows of (P, N, ...) by (P, K), as float32 where they are numbers."""
    index = chosen.reshape(*chosen.shape, *[1] * (values.dim() - 2))  # (P, K, 1, ...)
    picked = values.gather(1, index.expand(-1, -1, *values.shape[2:]))
    return picked.float() if picked.is_floating_point() else picked
