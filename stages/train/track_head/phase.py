"""The last part of a training: gathers evidence, fits the track head, and calibrates it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from stages.core.engine.progress import Progress
from stages.core.index.index import Index
from stages.core.index.texts import TextStore
from stages.core.model.tgl import TglModel
from stages.train.track_head.bank import Gatherer, load_examples, save_examples
from stages.train.track_head.calibrate import Judged, calibrate, empty_rates
from stages.train.track_head.fit import HeadFitter
from stages.train.validation.videos import OpenVideo

HELD_OUT_SHARE = 10
"""Without a held-out index, every tenth training video calibrates the head and does not fit it."""
_BANK, _STATE = "track-evidence", "track-head"


@dataclass(frozen=True)
class LabelledVideos:
    """An index with masks, its texts, and the features of its videos."""

    index: Index
    texts: TextStore
    open_video: OpenVideo


@dataclass(frozen=True)
class HeadPhase:
    """Fits the track head of a trained model.

    Attributes:
        model: trained; its head and thresholds are changed.
        steps: of the head.
        seed: of the run.
        training: the indexes that the model was trained on.
        held_out: calibrates the head; None takes a part of the training videos.
        accelerator: its processes gather together.
        autocast: makes the context that the network runs in.
        shared: folder that all processes see.
        keep: folder of the resumable state; None in all processes but the main one.
    """

    model: TglModel
    steps: int
    seed: int
    training: Sequence[LabelledVideos]
    held_out: LabelledVideos | None
    accelerator: Accelerator
    autocast: Callable[[], AbstractContextManager[object]]
    shared: Path
    keep: Path | None

    def run(self, progress: Progress) -> dict[str, float]:
        """Fit and calibrate the head, in the main process.

        Returns:
            Counts for the summary; empty in the other processes.
        """
        self.model.eval()
        training = [
            file
            for number, videos in enumerate(self.training)
            for file in self._gather(f"{_BANK}-{number}", videos, progress)
        ]
        held_out = None
        if self.held_out is not None:
            held_out = self._gather(f"{_BANK}-held-out", self.held_out, progress)
        self.accelerator.wait_for_everyone()
        if self.keep is None:
            return {}
        training = [file for file in training if load_examples(file)]
        if held_out is None:
            held_out = training[::HELD_OUT_SHARE]
            training = [file for file in training if file not in held_out] or training
        if not training:
            progress.warn("no video has a sentence with a mask: the track head is not fitted")
            self.model.track_head = None
            return {}
        assert self.model.track_head is not None
        state = self.keep / _STATE
        state.mkdir(exist_ok=True)
        fitter = HeadFitter(self.model.track_head, training, self.steps, self.seed, state)
        terms = fitter.run(progress)
        judged = [found for file in held_out for found in self._judge(file)]
        self.model.thresholds = calibrate(judged)
        counts = {f"track head: loss of {name}": value for name, value in terms.items()}
        counts["track head: videos"] = len(training)
        counts["no-target threshold"] = self.model.thresholds.no_target
        counts["match threshold"] = self.model.thresholds.match
        if judged:
            counts |= {
                f"held-out {name}": value
                for name, value in empty_rates(judged, self.model.thresholds.no_target).items()
            }
        return counts

    def _gather(self, name: str, videos: LabelledVideos, progress: Progress) -> list[Path]:
        """Gather the examples of this process's videos; returns the files of all videos."""
        folder = self.shared / name
        folder.mkdir(exist_ok=True)
        gatherer = Gatherer(videos.index, videos.texts, self.model, self.seed)
        files = [folder / f"{number}.pt" for number in range(len(videos.index.videos))]
        own = range(self.accelerator.process_index, len(files), self.accelerator.num_processes)
        with progress.task("track evidence", len(own), "videos") as task, self.autocast():
            for number in own:
                if load_examples(files[number]) is None:
                    video = list(videos.index.videos.values())[number]
                    with videos.open_video(video) as features:
                        save_examples(files[number], gatherer.examples(video, features))
                task.advance(1)
        return files

    @torch.no_grad()
    def _judge(self, file: Path) -> list[Judged]:
        """The tracks of a held-out video, the faulty ones."""
        examples = load_examples(file) or []
        head = self.model.track_head
        assert head is not None
        found = []
        for example in examples[-1:]:
            match, _ = head(example.evidence.to(self.accelerator.device))
            truth = example.labels.match.numpy()
            found.append(
                Judged(match.float().sigmoid().cpu().numpy(), truth, np.asarray(example.has_target))
            )
        return found
