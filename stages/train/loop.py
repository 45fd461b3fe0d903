"""The training loop: batches in, weights out; resumable after any kill."""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import Parameter

from schemas.errors import TrainingDiverged
from stages.core.engine.progress import Progress, Task
from stages.train.config import TrainConfig
from stages.train.data.dataset import ClipDataset, Sample
from stages.train.data.features import FeatureSource
from stages.train.data.loader import BatchNumbers, load_batches
from stages.train.distributed import (
    add_unused_parameter,
    broadcast_object,
    without_stride_warning,
)
from stages.train.learner import ClipBatch, ClipLearner
from stages.train.schedule import AveragedWeights, make_optimizer, schedule_factor, set_rates
from stages.train.state import TrainState, load_state, save_state
from stages.train.validate import Score

SAVE_SHARE = 0.05
"""Share of the time that may go into saving the state; it does not change the result."""

_SHOWN_STEPS = 20
_SEED_STRIDE = 1_000_003  # a prime, so that seeds of neighbouring runs do not meet


@dataclass(frozen=True)
class Trainer:
    """Everything a run is made of.

    Attributes:
        learner: the model with its losses, not yet wrapped for several processes.
        groups: parameters by kind and name, as ``TglModel.parameter_groups`` gives them.
        validate: scores the model as it is; None without a held-out index.
        save_model: writes a checkpoint of the model as it is into a folder.
        autocast: context for the network's arithmetic.
        keep: folder of the resumable state; None in all processes but the first.
        workers: processes that make batches beside this one.
    """

    config: TrainConfig
    dataset: ClipDataset
    features: FeatureSource
    learner: ClipLearner
    groups: dict[str, dict[str, Parameter]]
    validate: Callable[[], Score] | None
    save_model: Callable[[Path], None]
    accelerator: Accelerator
    autocast: Callable[[], AbstractContextManager[object]]
    keep: Path | None
    workers: int

    @cached_property
    def trained(self) -> dict[str, Parameter]:
        """Parameters that have a gradient, by name."""
        named = {name: p for group in self.groups.values() for name, p in group.items()}
        return {name: parameter for name, parameter in named.items() if parameter.requires_grad}

    def run(self, progress: Progress) -> TrainState:
        """Train to the last step; afterwards the model holds the weights to write.

        Raises:
            TrainingDiverged: a loss or a gradient is not finite; names step, video and sentence.
            TglError: a sample cannot be made, or a worker process was killed.
        """
        optimizer = make_optimizer(self.groups, self.config)
        state = self._resume(optimizer)
        average = self._average(state)
        if self.accelerator.num_processes > 1:
            add_unused_parameter(self.learner)
        learner, optimizer = self.accelerator.prepare(self.learner, optimizer)
        clock = _Clock()
        with (
            without_stride_warning(),
            progress.task("train", self.config.total_steps, "steps") as task,
        ):
            task.advance(state.step)
            batches = self._batches(state.step)
            shown: deque[dict[str, float]] = deque(maxlen=_SHOWN_STEPS)
            for step in range(state.step, self.config.total_steps):
                figures = self._step(step, batches, learner, optimizer)
                if average is not None:
                    average.update(self.trained)
                figures["seconds"] = clock.lap()
                state.step = step + 1
                _record(state, figures)
                self._validate(state, average)
                self.accelerator.log(_last_figures(state), step=state.step)
                if clock.save_is_due():
                    with clock.saving():
                        self._save(state, optimizer, average)
                shown.append(figures)
                _show(task, shown, figures["lr"])
        self._save(state, optimizer, average)
        if average is not None:
            average.swap(self.trained)
        return state

    def _step(
        self,
        step: int,
        batches: Iterator[list[Sample]],
        learner: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
    ) -> dict[str, float]:
        """One optimiser step; the mean of its loss terms over all clips of all processes."""
        config, accelerator = self.config, self.accelerator
        adapter_only = step < config.adapter_steps
        factor = _factor(step, config)
        set_rates(optimizer, factor)
        torch.manual_seed(
            (config.seed * _SEED_STRIDE + step) * accelerator.num_processes
            + accelerator.process_index
        )
        optimizer.zero_grad(set_to_none=True)
        learner.train()
        taken: list[ClipBatch] = []
        met: list[Sample] = []
        sums: dict[str, Tensor] = {}
        for part in range(config.accumulate):
            samples = next(batches)
            batch = ClipBatch.of(samples, self.features.of_batch(samples), accelerator.device)
            last = part == config.accumulate - 1
            with nullcontext() if last else accelerator.no_sync(learner):
                with self.autocast():
                    terms = learner(batch, adapter_only=adapter_only)
                accelerator.backward(terms["total"] / config.accumulate)
            for name, value in terms.items():
                sums[name] = sums.get(name, 0) + value.detach().float() / config.accumulate
            taken.append(batch)
            met.extend(samples)
        figures = self._mean_over_processes(sums)
        figures["norm"] = self._clip_gradients()
        if not (math.isfinite(figures["total"]) and math.isfinite(figures["norm"])):
            raise self._diverged(step, taken, met, figures)
        optimizer.step()
        return figures | {"lr": config.lr * factor, "lr_new": config.lr_new * factor}

    def _mean_over_processes(self, sums: dict[str, Tensor]) -> dict[str, float]:
        values = torch.stack(list(sums.values()))
        values = self.accelerator.reduce(values, reduction="mean")
        return dict(zip(sums, values.tolist(), strict=True))

    def _clip_gradients(self) -> float:
        """Clip the gradient's norm where asked; the norm before."""
        limit = self.config.clip_norm or math.inf
        return float(torch.nn.utils.clip_grad_norm_(list(self.trained.values()), limit))

    def _diverged(
        self,
        step: int,
        batches: Sequence[ClipBatch],
        samples: Sequence[Sample],
        figures: dict[str, float],
    ) -> TrainingDiverged:
        """Name the first clip whose own loss is not finite, else all of the step's."""
        guilty = []
        adapter_only = step < self.config.adapter_steps
        with torch.no_grad():
            for part, batch in enumerate(batches):
                for number in range(len(batch.times)):
                    with self.autocast():
                        total = self.learner(batch.clip(number), adapter_only=adapter_only)["total"]
                    if not torch.isfinite(total):
                        guilty.append(samples[part * self.config.batch + number])
        named = guilty[:1] or samples
        clips = ", ".join(f"video {s.video_id} expression {s.expression_id}" for s in named)
        what = "loss" if not math.isfinite(figures["total"]) else "gradient"
        return TrainingDiverged(
            f"the {what} of step {step + 1} is not finite",
            where=clips,
            hint="lower --lr and --lr-new, lengthen --warmup, or look at this clip; the same"
            " command goes on from the last saved step",
        )

    def _batches(self, step: int) -> Iterator[list[Sample]]:
        numbers = BatchNumbers(
            step * self.config.accumulate,
            self.config.total_steps * self.config.accumulate,
            self.config.batch,
            self.accelerator.process_index,
            self.accelerator.num_processes,
        )
        return load_batches(self.dataset, numbers, self.workers, held=self.config.accumulate + 1)

    def _resume(self, optimizer: torch.optim.Optimizer) -> TrainState:
        """The state that the first process finds, in every process; weights put in place."""
        found = load_state(self.keep) if self.keep is not None else None
        state = broadcast_object(found, self.accelerator) or TrainState()
        if state.step:
            with torch.no_grad():
                for name, parameter in self.trained.items():
                    parameter.copy_(state.weights[name])
            optimizer.load_state_dict(state.optimizer)
        return state

    def _average(self, state: TrainState) -> AveragedWeights | None:
        if not self.config.ema:
            return None
        average = AveragedWeights.start(self.config.ema, self.trained)
        for name, value in state.average.items():
            average.values[name].copy_(value)
        return average

    def _validate(self, state: TrainState, average: AveragedWeights | None) -> None:
        """Score the weights that would be written now, where it is time, and keep the best."""
        last = state.step == self.config.total_steps
        due = self.config.valid_every and state.step % self.config.valid_every == 0
        if self.validate is None or not (due or last):
            return
        if average is not None:
            average.swap(self.trained)
        with self.autocast():
            score = self.validate()
        state.history += [(state.step, f"valid_{name}", value) for name, value in score.items()]
        if not state.best_step or score["J"] > state.best_score:
            state.best_step, state.best_score = state.step, score["J"]
            if self.keep is not None:
                self.save_model(best_folder(self.keep, state.step))
        if average is not None:
            average.swap(self.trained)

    def _save(
        self,
        state: TrainState,
        optimizer: torch.optim.Optimizer,
        average: AveragedWeights | None,
    ) -> None:
        if self.keep is None:
            return
        state.weights = {name: p.detach() for name, p in self.trained.items()}
        state.optimizer = optimizer.state_dict()
        state.average = {} if average is None else average.values
        save_state(self.keep, state)


def best_folder(keep: Path, step: int) -> Path:
    """Where the checkpoint of the best validation waits for the end of the run."""
    return keep / f"best-{step}"


class _Clock:
    """Time of single steps, and since the last save."""

    def __init__(self) -> None:
        self._lap = self._saved = time.monotonic()
        self._cost = 0.0

    def lap(self) -> float:
        """Seconds since the last call."""
        before, self._lap = self._lap, time.monotonic()
        return self._lap - before

    def save_is_due(self) -> bool:
        """Whether a save as dear as the last one stays within its share of the time."""
        return (time.monotonic() - self._saved) * SAVE_SHARE >= self._cost

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Take the time of a save."""
        started = time.monotonic()
        yield
        self._saved = time.monotonic()
        self._cost = self._saved - started


def _record(state: TrainState, figures: dict[str, float]) -> None:
    """Add a step's figures to the history, the weighted sum under the name `loss`."""
    names = {"total": "loss"}
    state.history += [(state.step, names.get(name, name), value) for name, value in figures.items()]


def _factor(step: int, config: TrainConfig) -> float:
    """Share of the full learning rate: a warm-up and a cosine for each of the two parts."""
    first, whole = config.adapter_steps, config.steps
    if step < first:
        return schedule_factor(step, warmup=config.warmup, steps=first)
    return schedule_factor(step - first, warmup=config.warmup, steps=whole)


def _last_figures(state: TrainState) -> dict[str, float]:
    """The history's rows of the last step, for a tracker."""
    rows = itertools.takewhile(lambda row: row[0] == state.step, reversed(state.history))
    return {name: value for _, name, value in rows}


def _show(task: Task, shown: Sequence[dict[str, float]], rate: float) -> None:
    """Count a step; the figures beside the bar are means over the last steps that have them."""
    means = {}
    for label, name in (("loss", "total"), ("J", "J")):
        values = [figures[name] for figures in shown if name in figures]
        if values:
            means[label] = sum(values) / len(values)
    task.advance(1, **means, lr=rate)
