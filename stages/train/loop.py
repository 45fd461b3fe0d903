"""The training loop: batches in, weights out; resumable after any kill."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import Parameter

from schemas.errors import CorruptInput, TrainingDiverged
from stages.core.engine.progress import Progress, Task
from stages.train.config import TrainConfig
from stages.train.data.dataset import SentenceName
from stages.train.data.features import ClipFeatures
from stages.train.data.mixture import ClipMixture
from stages.train.data.windows import Window, WindowDataset
from stages.train.distributed import (
    add_unused_parameter,
    broadcast_object,
    without_stride_warning,
)
from stages.train.learner import ClipBatch, ClipLearner, WindowBatch
from stages.train.loading.batch import LoadedClips
from stages.train.loading.clock import Clock, waiting_advice
from stages.train.loading.device_feed import copy_stream, on_device
from stages.train.loading.loader import BatchNumbers, load_batches
from stages.train.schedule import AveragedWeights, make_optimizer, schedule_factor, set_rates
from stages.train.state import TrainState, load_state, save_state
from stages.train.validation.share import ValidationTime
from stages.train.validation.validate import Score

_AVERAGED_STEPS = 20
"""Steps that the values beside the progress bar are means over."""
_SEED_STRIDE = 1_000_003  # a prime, so that runs with neighbouring seeds share no random numbers

Metrics = dict[str, float]


@dataclass(frozen=True)
class Trainer:
    """A training run.

    Attributes:
        windows: for the relevance head; None for clips alone.
        learner: the model with its losses, not yet wrapped for several processes.
        groups: parameters by kind and name, as ``TglModel.parameter_groups`` returns them.
        validate: scores the current model; None without a held-out index.
        valid_every: steps between validations; there is one at the end too.
        save_model: writes a checkpoint of the current model into a folder.
        autocast: makes the context that the network runs in.
        keep: folder of the resumable state; None in all processes but the main one.
        workers: number of processes that load batches; 0 loads them in this one.
        cores: that this process may use for them.
    """

    config: TrainConfig
    dataset: ClipMixture
    windows: WindowDataset | None
    features: ClipFeatures
    learner: ClipLearner
    groups: dict[str, dict[str, Parameter]]
    validate: Callable[[], Score] | None
    valid_every: int
    save_model: Callable[[Path], None]
    accelerator: Accelerator
    autocast: Callable[[], AbstractContextManager[object]]
    keep: Path | None
    workers: int
    cores: int

    @cached_property
    def trained(self) -> dict[str, Parameter]:
        """Parameters that are trained, by name."""
        named = {name: p for group in self.groups.values() for name, p in group.items()}
        return {name: parameter for name, parameter in named.items() if parameter.requires_grad}

    def run(self, progress: Progress) -> TrainState:
        """Train to the last step; afterwards the model has the weights to write.

        Raises:
            TrainingDiverged: a loss or a gradient is not finite; names step, video and sentence.
            TglError: a sample cannot be made, or a worker process was killed.
        """
        optimizer = make_optimizer(self.groups, self.config)
        state = self._resume(optimizer, progress)
        average = self._average(state)
        if self.accelerator.num_processes > 1:
            add_unused_parameter(self.learner)
        learner, optimizer = self.accelerator.prepare(self.learner, optimizer)
        clock, validations = Clock(), ValidationTime()
        with (
            without_stride_warning(),
            progress.task("train", self.config.total_steps, "steps") as task,
            # An error's traceback would keep them, and their workers, for as long as it is kept.
            closing(self._batches(state.step)) as loaded,
            closing(self._load_windows(state.step)) as loaded_windows,
        ):
            batches, windows = clock.waiting(loaded), clock.waiting(loaded_windows)
            task.advance(state.step)
            recent: deque[Metrics] = deque(maxlen=_AVERAGED_STEPS)
            for step in range(state.step, self.config.total_steps):
                metrics = self._step(step, batches, windows, learner, optimizer)
                if average is not None:
                    average.update(self.trained)
                metrics["seconds"], metrics["waited"] = clock.lap()
                state.step = step + 1
                _record(state, metrics)
                if self.validate is not None and self._valid_is_due(state.step):
                    with validations.measuring():
                        self._validate(state, average, self.validate)
                    clock.leave_out(validations.seconds)
                    state.history.append((state.step, "valid_seconds", validations.seconds))
                self.accelerator.log(_last_metrics(state), step=state.step)
                if clock.save_is_due():
                    with clock.saving():
                        self._save(state, optimizer, average)
                recent.append(metrics)
                _show(task, recent, metrics["lr"], validations.share)
        cached = self.config.cache_features > 0
        if advice := waiting_advice(clock.waited, self.workers, self.cores, cached=cached):
            progress.warn(advice)
        if line := validations.summary(self.valid_every, self.config.total_steps):
            progress.note(line)
        self._save(state, optimizer, average)
        if average is not None:
            average.swap(self.trained)
        return state

    def _step(
        self,
        step: int,
        batches: Iterator[LoadedClips],
        windows: Iterator[Window],
        learner: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
    ) -> Metrics:
        """Take one optimiser step.

        Returns:
            means of the loss terms over the step's clips of all processes, the norm of the
            gradient, and the learning rates.
        """
        config, accelerator = self.config, self.accelerator
        factor = _rate_factor(step, config) * config.rate_factor(accelerator.num_processes)
        set_rates(optimizer, factor)
        torch.manual_seed(
            (config.seed * _SEED_STRIDE + step) * accelerator.num_processes
            + accelerator.process_index
        )
        optimizer.zero_grad(set_to_none=True)
        learner.train()
        window = next(windows, None) if step % config.context_every == 0 else None
        terms, clips = self._accumulate(step, batches, window, learner)
        metrics = self._mean_over_processes(terms)
        metrics["norm"] = self._clip_gradients()
        if not (math.isfinite(metrics["total"]) and math.isfinite(metrics["norm"])):
            broken = window if _is_broken(terms.get("context")) else None
            raise self._diverged(step, clips, broken, metrics)
        optimizer.step()
        return metrics | {"lr": config.lr * factor, "lr_new": config.lr_new * factor}

    def _accumulate(
        self,
        step: int,
        batches: Iterator[LoadedClips],
        window: Window | None,
        learner: torch.nn.Module,
    ) -> tuple[dict[str, Tensor], list[tuple[LoadedClips, ClipBatch]]]:
        """Add up the gradients of the batches of one step, and of its window in the last of them.

        Returns:
            means of the loss terms over the batches, and the batches as loaded and as learned.
        """
        count, accelerator = self.config.accumulate, self.accelerator
        means: dict[str, Tensor] = {}
        clips = []
        for number in range(count):
            loaded = next(batches)
            batch = ClipBatch.of(loaded, self.features.of_batch(loaded))
            clips.append((loaded, batch))
            last = number == count - 1
            longer = self._window_batch(window) if last else None
            with nullcontext() if last else accelerator.no_sync(learner):
                with self.autocast():
                    terms = learner(batch, longer, adapter_only=step < self.config.adapter_steps)
                context = terms.pop("context", None)
                loss = terms["total"] / count
                if context is not None:
                    loss = loss + self.config.relevance_weight * context
                accelerator.backward(loss)
            for name, value in terms.items():
                means[name] = means.get(name, 0) + value.detach().float() / count
            if context is not None:
                means["context"] = context.detach().float()
        return means, clips

    def _window_batch(self, window: Window | None) -> WindowBatch | None:
        """A window with its features."""
        if window is None:
            return None
        features = self.features.of_window(window)
        return WindowBatch.of(window, features, self.accelerator.device)

    def _mean_over_processes(self, terms: dict[str, Tensor]) -> Metrics:
        values = torch.stack(list(terms.values()))
        values = self.accelerator.reduce(values, reduction="mean")
        return dict(zip(terms, values.tolist(), strict=True))

    def _clip_gradients(self) -> float:
        """Clip the norm of the gradient, if the settings say so; returns the norm before."""
        limit = self.config.clip_norm or math.inf
        return float(torch.nn.utils.clip_grad_norm_(list(self.trained.values()), limit))

    @torch.no_grad()
    def _diverged(
        self,
        step: int,
        clips: Sequence[tuple[LoadedClips, ClipBatch]],
        window: Window | None,
        metrics: Metrics,
    ) -> TrainingDiverged:
        """The error that names the first clip whose own loss is not finite, else all clips.

        Args:
            window: whose loss is not finite; named if the clips are right.
        """
        adapter_only = step < self.config.adapter_steps
        diverged: list[SentenceName] = []
        for loaded, batch in clips:
            for number, name in enumerate(loaded.names):
                with self.autocast():
                    total = self.learner(batch.sentence(number), adapter_only=adapter_only)["total"]
                if not torch.isfinite(total):
                    diverged.append(name)
        named = diverged[:1] or [name for loaded, _ in clips for name in loaded.names]
        where = ", ".join(map(self.dataset.describe, named))
        if window is not None and not diverged:
            where = f"the window of video {window.video_id}"
        losses = (metrics["total"], metrics.get("context", 0.0))
        what = "gradient" if all(map(math.isfinite, losses)) else "loss"
        return TrainingDiverged(
            f"the {what} of step {step + 1} is not finite",
            where=where,
            hint="lower --lr and --lr-new, lengthen --warmup, or inspect this clip; a rerun resumes"
            " from the last saved step",
        )

    def _batches(self, step: int) -> Generator[LoadedClips]:
        """Batches of the steps from this one on, on the device."""
        numbers = self._numbers(
            step * self.config.accumulate,
            self.config.total_steps * self.config.accumulate,
            self.config.batch,
        )
        copies = copy_stream(self.accelerator.device)
        batches = load_batches(
            self.dataset,
            numbers,
            self.workers,
            LoadedClips.of,
            held=self.config.accumulate + 1,
            pinned=copies is not None,
        )
        with closing(batches):
            yield from on_device(batches, self.accelerator.device, copies)

    def _load_windows(self, step: int) -> Generator[Window]:
        """Windows of the steps from this one on, which no step but every k-th takes."""
        if self.windows is None:
            return
        every = self.config.context_every
        numbers = self._numbers(-(-step // every), -(-self.config.total_steps // every), 1)
        batches = load_batches(self.windows, numbers, min(1, self.workers), _only)
        with closing(batches):
            yield from batches

    def _numbers(self, first: int, last: int, size: int) -> BatchNumbers:
        """Numbers of this process's batches."""
        accelerator = self.accelerator
        return BatchNumbers(first, last, size, accelerator.process_index, accelerator.num_processes)

    def _resume(self, optimizer: torch.optim.Optimizer, progress: Progress) -> TrainState:
        """Load the saved state in every process, and its weights into the model."""
        try:
            found = load_state(self.keep) if self.keep is not None else None
        except CorruptInput as error:
            progress.warn(f"{error}; training starts again from step 1")
            found = None
        state = broadcast_object(found, self.accelerator) or TrainState()
        if state.step:
            with torch.no_grad():
                for name, parameter in self.trained.items():
                    parameter.copy_(state.weights[name])
            optimizer.load_state_dict(state.optimizer)
        return state

    def _average(self, state: TrainState) -> AveragedWeights | None:
        """The averaged weights of the state, None without EMA."""
        if not self.config.ema:
            return None
        average = AveragedWeights.start(self.config.ema, self.trained)
        for name, value in state.average.items():
            average.values[name].copy_(value)
        return average

    def _valid_is_due(self, step: int) -> bool:
        """Return whether the weights after a number of steps are scored."""
        return step % self.valid_every == 0 or step == self.config.total_steps

    def _validate(
        self, state: TrainState, average: AveragedWeights | None, validate: Callable[[], Score]
    ) -> None:
        """Score the weights that would be written now, and save the best."""
        if average is not None:
            average.swap(self.trained)
        with self.autocast():
            score = validate()
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
        """Save the state, in the main process."""
        if self.keep is None:
            return
        state.weights = {name: p.detach() for name, p in self.trained.items()}
        state.optimizer = optimizer.state_dict()
        state.average = {} if average is None else average.values
        save_state(self.keep, state)


def best_folder(keep: Path, step: int) -> Path:
    """The folder of the checkpoint with the best validation, until the run ends."""
    return keep / f"best-{step}"


def _is_broken(loss: Tensor | None) -> bool:
    return loss is not None and not bool(torch.isfinite(loss))


def _only(windows: list[Window]) -> Window:
    """The window of a batch of one."""
    return windows[0]


def _record(state: TrainState, metrics: Metrics) -> None:
    """Add a step's metrics to the history, the weighted sum under the name `loss`."""
    names = {"total": "loss"}
    state.history += [(state.step, names.get(name, name), value) for name, value in metrics.items()]


def _rate_factor(step: int, config: TrainConfig) -> float:
    """Share of the full learning rate: a warm-up and a cosine for each of the two parts."""
    adapter_steps = config.adapter_steps
    if step < adapter_steps:
        return schedule_factor(step, warmup=config.warmup, steps=adapter_steps)
    return schedule_factor(step - adapter_steps, warmup=config.warmup, steps=config.steps)


def _last_metrics(state: TrainState) -> Metrics:
    """The history's rows of the last step, for a tracker."""
    rows = itertools.takewhile(lambda row: row[0] == state.step, reversed(state.history))
    return {name: value for _, name, value in rows}


def _show(task: Task, recent: Sequence[Metrics], rate: float, validating: float | None) -> None:
    """Advance the progress bar; the values beside it are means over recent steps that have them.

    Args:
        rate: learning rate.
        validating: share of the time spent on validations.
    """
    means: dict[str, float | str] = {}
    if validating is not None:
        means["valid"] = f"{validating:.0%}"
    for label, name in (("loss", "total"), ("J", "J")):
        values = [metrics[name] for metrics in recent if name in metrics]
        if values:
            means[label] = sum(values) / len(values)
    waited = sum(metrics["waited"] for metrics in recent) / len(recent)
    task.advance(1, **means, lr=rate, waited=f"{waited:.0%}")
