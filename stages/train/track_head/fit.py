"""Fits the track head to the examples of the bank; resumable, and small beside the training."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from schemas.errors import CorruptInput
from stages.core.engine.progress import Progress
from stages.core.model.track_head.head import TrackHead
from stages.train.schedule import schedule_factor
from stages.train.state import TrainState, load_state, save_state
from stages.train.track_head.bank import Example, load_examples

RATE, DECAY, CLIP_NORM, WARMUP = 1e-3, 0.05, 1.0, 100
EXAMPLES_PER_STEP = 4
_SAVED_EVERY = 60.0  # seconds
_KEPT_FILES = 512
_ORDER_STREAM, _STEP_STREAM = 6, 7
_UNSEEN = 0.1
"""Weight of the frames in which a track is not visible."""


@dataclass(frozen=True)
class HeadFitter:
    """Fits a head.

    Attributes:
        head: on its device.
        files: of the bank, one per video.
        steps: optimiser steps.
        seed: of the run.
        keep: folder of the resumable state.
    """

    head: TrackHead
    files: Sequence[Path]
    steps: int
    seed: int
    keep: Path

    def run(self, progress: Progress) -> dict[str, float]:
        """Fit the head to the last step.

        Returns:
            The mean of each term of the loss over the last tenth of the steps.
        """
        head = self.head.requires_grad_(True).train()
        named = dict(head.named_parameters())
        optimizer = torch.optim.AdamW(named.values(), RATE, weight_decay=DECAY)
        state = self._resume(named, optimizer, progress)
        examples = self._examples(state.step)
        saved = time.monotonic()
        with progress.task("track head", self.steps, "steps") as task:
            task.advance(state.step)
            for step in range(state.step, self.steps):
                terms = self._step(
                    step, [next(examples) for _ in range(EXAMPLES_PER_STEP)], optimizer
                )
                state.step = step + 1
                if step >= self.steps - max(1, self.steps // 10):
                    state.history += [(step, name, value) for name, value in terms.items()]
                if time.monotonic() - saved > _SAVED_EVERY:
                    self._save(state, named, optimizer)
                    saved = time.monotonic()
                task.advance(1, **terms)
        self._save(state, named, optimizer)
        head.requires_grad_(False).eval()
        return _means(state.history)

    def _step(
        self, step: int, examples: Sequence[Example], optimizer: torch.optim.Optimizer
    ) -> dict[str, float]:
        """Take one step; every example counts the same."""
        torch.manual_seed(
            int(np.random.SeedSequence([self.seed, _STEP_STREAM, step]).generate_state(1)[0])
        )
        factor = schedule_factor(step, warmup=min(WARMUP, self.steps // 10), steps=self.steps)
        for group in optimizer.param_groups:
            group["lr"] = RATE * factor
        optimizer.zero_grad(set_to_none=True)
        sums: dict[str, float] = {}
        device = next(self.head.parameters()).device
        for example in examples:
            terms = head_losses(self.head, example, device)
            (sum(terms.values()) / len(examples)).backward()  # type: ignore[union-attr]
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) / len(examples)
        torch.nn.utils.clip_grad_norm_(self.head.parameters(), CLIP_NORM)
        optimizer.step()
        return sums

    def _examples(self, step: int) -> Iterator[Example]:
        """The examples from a step on: every epoch is a new order of the videos."""
        read = lru_cache(_KEPT_FILES)(load_examples)
        number = step * EXAMPLES_PER_STEP
        while True:
            epoch, place = divmod(number, len(self.files))
            rng = np.random.default_rng([self.seed, _ORDER_STREAM, epoch])
            order = rng.permutation(len(self.files))
            views = rng.random(len(self.files))
            for row in range(place, len(self.files)):
                found = read(self.files[order[row]])
                if not found:
                    raise CorruptInput(
                        "was damaged while the track head was fitted",
                        where=self.files[order[row]],
                        hint="run the command again; it is gathered again",
                    )
                yield found[int(views[row] * len(found))]
                number += 1

    def _resume(
        self, named: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, progress: Progress
    ) -> TrainState:
        """The saved state, its weights in the head; a new one if there is none."""
        try:
            state = load_state(self.keep)
        except CorruptInput as error:
            progress.warn(f"{error}; the track head is fitted again from step 1")
            state = None
        if state is None:
            return TrainState()
        with torch.no_grad():
            for name, parameter in named.items():
                parameter.copy_(state.weights[name])
        optimizer.load_state_dict(state.optimizer)
        return state

    def _save(
        self, state: TrainState, named: Mapping[str, Tensor], optimizer: torch.optim.Optimizer
    ) -> None:
        state.weights = {name: parameter.detach() for name, parameter in named.items()}
        state.optimizer = optimizer.state_dict()
        save_state(self.keep, state)


def _means(history: Sequence[tuple[int, str, float]]) -> dict[str, float]:
    """The mean of each term over the steps of a history, which a resumed run has kept."""
    values: dict[str, list[float]] = {}
    for _, name, value in history:
        values.setdefault(name, []).append(value)
    return {name: float(np.mean(found)) for name, found in values.items()}


def head_losses(head: TrackHead, example: Example, device: torch.device) -> dict[str, Tensor]:
    """Cross-entropies of match, of the best match of a sentence, and of relevance.

    Relevance counts where the moments of the sentence are known, and a frame in which the track is
    not visible counts less.
    """
    labels = example.labels
    match, relevance = head(example.evidence.to(device))
    truth = labels.match.to(device, match.dtype)
    has_target = example.has_target.to(device, match.dtype)
    terms = {
        "match": F.binary_cross_entropy_with_logits(match, truth),
        "target": F.binary_cross_entropy_with_logits(match.amax(dim=1), has_target),
    }
    weight = example.evidence.visible.to(device, match.dtype).clamp(min=_UNSEEN)
    weight = weight[None] * labels.known.to(device, match.dtype)[:, None, None]
    each = F.binary_cross_entropy_with_logits(
        relevance, labels.relevant.to(device, match.dtype), reduction="none"
    )
    terms["relevance"] = (each * weight).sum() / weight.sum().clamp(min=1)
    return terms
