"""Class-agnostic tracking from prompts: SAM 2's own task, without its inference session.

Used to pretrain a backbone from scratch, and to test that our steps equal the session's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from stages.core.model.backbones.backbone import MASK_BIAS, MASK_SCALE, NO_OBJECT, Backbone
from stages.core.model.backbones.features import FrameFeatures, ItemFeatures
from stages.core.model.backbones.memory import (
    MemoryBank,
    MemoryRead,
    collate,
    collate_runs,
    read_session,
)
from stages.core.model.backbones.records import Decoded, MemoryTokens, Prompts


@dataclass(frozen=True)
class TrackedFrame:
    """Result of one frame for B objects.

    Attributes:
        frame: its index in the clip.
        decoded: raw candidates, IoU and object score.
        prompted: its mask came from a prompt.
    """

    frame: int
    decoded: Decoded
    prompted: bool

    @property
    def gated_logits(self) -> Tensor:
        """(B, s, s) mask logits; absent objects are -1024 everywhere, as in the session."""
        shown = self.decoded.object_score.view(-1, 1, 1) > 0
        return torch.where(shown, self.decoded.mask_logits, NO_OBJECT)


@dataclass(frozen=True)
class Step:
    """Where an object is tracked to.

    Attributes:
        frame: its index.
        reverse: tracking runs backwards.
    """

    frame: int
    reverse: bool = False


@dataclass
class PromptedTracker:
    """Tracks B objects through one clip, or one object through each of B clips.

    Args:
        backbone: the model.
        total_frames: frames of the whole video (it scales the pointers' positions).
        gate: SAM 2's hard gate by the object score; off in training, where it stops gradients.
        memory_dtype: type that memories are kept in; SAM 2's session uses bfloat16.
        banks: one per object; without any, made by the first step.
    """

    backbone: Backbone
    total_frames: int
    gate: bool = True
    memory_dtype: torch.dtype | None = None
    banks: list[MemoryBank] = field(default_factory=list)

    def step(
        self,
        frame: int,
        features: ItemFeatures,
        prompts: Prompts | None = None,
        *,
        reverse: bool = False,
        correct: bool = False,
        write: bool = True,
    ) -> TrackedFrame:
        """Track the objects to one frame.

        Args:
            frame: its index.
            features: of B items, one per object (repeat a frame for objects of one clip).
            prompts: for all B objects; needed for the first frame.
            reverse: tracking runs backwards.
            correct: the prompts correct a frame that was tracked: clicks are read together with
                the memories, and the frame is remembered as a tracked one. Otherwise prompts start
                a track: no memory is read, and all later frames read this one.
            write: remember the frame.

        Raises:
            ValueError: no frame has been prompted yet.
        """
        if not self.banks:
            if prompts is None:
                raise ValueError("the first frame of a track needs prompts")
            self.banks = [MemoryBank(self.memory_dtype) for _ in range(len(features))]
        initial = prompts is not None and not correct
        steps = [Step(frame, reverse=reverse)] * len(self.banks)
        decoded = self._segment(steps, features, prompts, initial=initial)
        if write:
            self._remember(steps, features, decoded, prompts, initial=initial)
        return TrackedFrame(frame, decoded, prompts is not None)

    def track(
        self, steps: Sequence[Step], features: ItemFeatures, reads: Sequence[MemoryRead]
    ) -> Decoded:
        """Track each object to a frame of its own, and remember it.

        Args:
            steps: one per object.
            features: of B items, one per object.
            reads: the memories of each, as of ``read_session``.
        """
        backbone = self.backbone
        memory = self._stack(reads, features)
        multimask = backbone.takes_multimask(None, initial=False)
        decoded = backbone.segment(features, memory, multimask=multimask)
        self._remember(steps, features, decoded, None, initial=False)
        return decoded

    def _segment(
        self,
        steps: Sequence[Step],
        features: ItemFeatures,
        prompts: Prompts | None,
        *,
        initial: bool,
    ) -> Decoded:
        backbone = self.backbone
        if prompts is not None and prompts.mask is not None:
            return backbone.read_mask(features, prompts.mask, gate=self.gate)
        return backbone.segment(
            features,
            None if initial else self._read(steps, features),
            sparse=None if prompts is None else backbone.prompt_tokens(prompts),
            multimask=backbone.takes_multimask(prompts, initial=initial),
        )

    def _read(
        self, steps: Sequence[Step], features: ItemFeatures
    ) -> MemoryTokens | list[MemoryTokens]:
        """The memories of the objects for a frame each."""
        total, backbone = self.total_frames, self.backbone
        reads = [
            read_session(bank, step.frame, total, backbone, reverse=step.reverse)
            for bank, step in zip(self.banks, steps, strict=True)
        ]
        return self._stack(reads, features)

    def _stack(
        self, reads: Sequence[MemoryRead], features: ItemFeatures
    ) -> MemoryTokens | list[MemoryTokens]:
        """The tokens of the memories that the objects read."""
        coarse = features.frames.coarse
        side = (coarse.shape[-2], coarse.shape[-1])
        stack = collate if self.backbone.training else collate_runs
        tokens = stack(reads, self.backbone, side)
        if tokens is None:
            raise ValueError("nothing is remembered: no frame was prompted")
        return tokens

    def _remember(
        self,
        steps: Sequence[Step],
        features: ItemFeatures,
        decoded: Decoded,
        prompts: Prompts | None,
        *,
        initial: bool,
    ) -> None:
        mask = None if prompts is None else prompts.mask
        given = mask is not None
        pointer = self.backbone.pointer(decoded, gate=self.gate)
        if mask is None:
            logits = decoded.mask_logits
        else:
            logits = mask.to(decoded.candidates.dtype) * MASK_SCALE + MASK_BIAS
        memory = self.backbone.remember(
            features.frames.coarse,
            logits,
            decoded.object_score,
            gate=self.gate or given,
            binarise=prompts is not None and not self.backbone.training,
            rows=features.rows,
        )
        for row, (bank, step) in enumerate(zip(self.banks, steps, strict=True)):
            bank.write(step.frame, memory[row], pointer[row], prompted=initial)


def track_prompted(
    backbone: Backbone,
    features: FrameFeatures,
    prompts: Mapping[int, Prompts],
    *,
    frames: Tensor | None = None,
    order: Sequence[int] | None = None,
    reverse: bool = False,
    gate: bool | None = None,
    memory_dtype: torch.dtype | None = None,
) -> dict[int, TrackedFrame]:
    """Track objects through a clip from prompts on some of its frames.

    Args:
        backbone: the model; in training mode the object-score gate is off unless asked for.
        features: of N frames.
        prompts: clip frame -> prompts for all B objects, before tracking starts.
        frames: (B, T) indices into ``features`` per object; default: all of one clip, T = N.
        order: the frames to track; default from the first prompted one to the end, or to the
            beginning if ``reverse``.
        reverse: tracking runs backwards in time.
        gate: SAM 2's hard gate by the object score; default: only in eval mode.
        memory_dtype: type that memories are kept in.

    Returns:
        clip frame -> result, for the prompted and the tracked frames.
    """
    if not prompts:
        raise ValueError("no frame is prompted")
    if frames is None:
        objects = len(next(iter(prompts.values())))
        frames = torch.arange(len(features)).expand(objects, -1)
    total = frames.shape[1]
    if order is None:
        order = range(max(prompts), -1, -1) if reverse else range(min(prompts), total)
    gate = not backbone.training if gate is None else gate
    tracker = PromptedTracker(backbone, total, gate, memory_dtype)
    out = {}
    for frame in sorted(prompts):
        out[frame] = tracker.step(frame, features[frames[:, frame]], prompts[frame])
    for frame in order:
        if frame not in prompts:
            out[frame] = tracker.step(frame, features[frames[:, frame]], reverse=reverse)
    return out
