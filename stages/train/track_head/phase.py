"""The last part of a training: gathers evidence, fits the track head, and calibrates it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from accelerate import Accelerator

from stages.core.engine.progress import Progress
from stages.core.index.index import Video
from stages.core.model.tgl import TglModel
from stages.train.track_head.bank import (
    Gatherer,
    LabelledVideos,
    load_examples,
    save_examples,
)
from stages.train.track_head.calibrate import Judged, calibrate, empty_rates
from stages.train.track_head.fit import HeadFitter
from stages.train.track_head.held_out import judge_video

HELD_OUT_SHARE = 10
"""Without a held-out index, every tenth training video calibrates the head and does not fit it."""
MOST_JUDGED = 64
"""Videos that calibrate it, spread evenly: each is segmented and tracked as a whole."""
_BANK, _STATE = "track-evidence", "track-head"


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
            (number, video, file)
            for number, videos in enumerate(self.training)
            for video, file in self._gather(f"{_BANK}-{number}", videos, progress)
        ]
        self.accelerator.wait_for_everyone()
        if self.keep is None:
            return {}
        training = [found for found in training if load_examples(found[2])]
        if not training:
            progress.warn("no video has a sentence with a mask: the track head is not fitted")
            self.model.track_head = None
            return {}
        calibrating = [] if self.held_out is not None else training[::HELD_OUT_SHARE]
        fitting = [found for found in training if found not in calibrating] or training
        assert self.model.track_head is not None
        state = self.keep / _STATE
        state.mkdir(exist_ok=True)
        fitter = HeadFitter(
            self.model.track_head, [file for _, _, file in fitting], self.steps, self.seed, state
        )
        terms = fitter.run(progress)
        judged = self._judge([(number, video) for number, video, _ in calibrating], progress)
        self.model.thresholds = calibrate(judged)
        least = self.model.thresholds.no_target
        return {
            "videos of the track head": len(fitting),
            "its loss": sum(terms.values()),
            "no-target threshold": least,
            **{f"held-out {name}": rate for name, rate in empty_rates(judged, least).items()},
        }

    def _judge(self, own: Sequence[tuple[int, Video]], progress: Progress) -> Judged:
        """Judge some of the held-out videos, or of the training's own, each by its index."""
        if self.held_out is None:
            chosen = [(self.training[number], video) for number, video in own]
        else:
            chosen = [(self.held_out, video) for video in self.held_out.index.videos.values()]
        step = max(1, -(-len(chosen) // MOST_JUDGED))
        parts = []
        with (
            progress.task("calibrate", len(chosen[::step]), "videos") as task,
            self.autocast(),
        ):
            for videos, video in chosen[::step]:
                parts.append(judge_video(self.model, videos, video))
                task.advance(1)
        return Judged(
            np.concatenate([part.probability for part in parts]),
            np.concatenate([part.has_target for part in parts]),
        )

    def _gather(
        self, name: str, videos: LabelledVideos, progress: Progress
    ) -> list[tuple[Video, Path]]:
        """Gather the examples of this process's videos; returns the files of all videos."""
        folder = self.shared / name
        folder.mkdir(exist_ok=True)
        gatherer = Gatherer(videos.index, videos.texts, self.model, self.seed)
        files = [
            (video, folder / f"{number}.pt")
            for number, video in enumerate(videos.index.videos.values())
        ]
        own = files[self.accelerator.process_index :: self.accelerator.num_processes]
        with progress.task("track evidence", len(own), "videos") as task, self.autocast():
            for video, file in own:
                if load_examples(file) is None:
                    with videos.open_video(video) as features:
                        save_examples(file, gatherer.examples(video, features))
                task.advance(1)
        return files
