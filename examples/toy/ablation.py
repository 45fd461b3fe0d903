"""Effect of each part of the method: arms, seeds, routes and object tracks, with intervals.

    python examples/toy/ablation.py WORK --seeds 3 --jobs 2 --write docs/ablation.md

Every arm is trained and run by the commands that a user types, on the toy data set, from the same
backbone, with the same masks, texts and number of steps. Arms that differ at inference alone share
their weights. Each command skips what is up to date and resumes what was interrupted, so the script
can be stopped and rerun; the report is rewritten after every training, from the results so far.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from ablation_arms import ARMS, REFERENCES, USUAL, WEIGHTS, Arm, arms_of
from ablation_report import write_report
from ablation_results import Run, Spans, read_sentences

TRAINED_ON, VALIDATED_ON = "train", "dev"
TGL_PROGRAM = f"{sys.executable} -m tglcli"
TRAINING = Path(__file__).with_name("train.options")
"""Training options for the toy data set and its backbone, as in the demo (docs/training.md)."""
LONGER = (
    "--adapter-steps",
    "800",
    "--steps",
    "480",
    "--track-steps",
    "700",
    "--cache-features",
    "3",
)
"""As the packed checkpoint was trained: 320 clips take more steps than the demo's 160."""


@dataclass(frozen=True)
class Ablation:
    """Settings that all arms share.

    Attributes:
        tgl: the program, as words of a command line.
        work: folder of all artifacts.
        split: split that the arms are compared on.
        options: further options of every training.
        threads: per command, so that trainings in parallel share the cores.
    """

    tgl: tuple[str, ...]
    work: Path
    split: str
    backbone: str
    options: tuple[str, ...]
    threads: int

    def command(self, *words: object) -> None:
        """Run one tgl command; it prints its own errors."""
        line = [*self.tgl, *map(str, words)]
        environment = os.environ | {"OMP_NUM_THREADS": str(self.threads)}
        if subprocess.run(line, check=False, env=environment).returncode:
            sys.exit(f"failed: {shlex.join(line)}")

    def prepare(self, clips: dict[str, int]) -> None:
        """Make data, indexes, texts and trivial references."""
        data = self.work / "data"
        sizes = [word for name, count in clips.items() for word in (f"--{name}-clips", count)]
        self.command("toy", data, *sizes, "--quiet")
        for split in sorted({TRAINED_ON, VALIDATED_ON, self.split}):
            self.command("build-moments", data / split, self.index(split), "--quiet")
            self.command(
                "precompute-text", self.index(split), self.text(split), "--encoder", "hash", "-q"
            )
        for kind in REFERENCES:
            masks = self.masks(kind)
            objects = data / self.split / "objects.json"
            self.command(
                "references",
                self.index(self.split),
                masks,
                *("--kind", kind, "--objects", objects, "--quiet"),
            )
            self._score(masks, self.scores(kind))

    def run(self, weights: str, seed: int) -> None:
        """Train one model with one seed, and run it on the split for each of its arms."""
        self._train(weights, seed)
        for arm in arms_of(weights):
            for moments in arm.moments:
                masks = self.masks(arm.folder(moments, seed))
                self.command(
                    "propagate",
                    self.index(self.split),
                    self.text(self.split),
                    self.checkpoint(weights, seed),
                    masks,
                    *("--moments", moments, *arm.options),
                    *("--workers", self.threads, "--quiet"),
                )
                self._score(masks, self.scores(arm.folder(moments, seed)))
        if WEIGHTS[weights].with_head:
            self._judge(weights, seed)

    def _train(self, weights: str, seed: int) -> None:
        self.command(
            "train",
            self.index(TRAINED_ON),
            self.text(TRAINED_ON),
            self.checkpoint(weights, seed),
            *("--backbone", self.backbone, "--seed", seed, *self.options),
            *("--valid", self.index(VALIDATED_ON), "--valid-text", self.text(VALIDATED_ON)),
            *WEIGHTS[weights].options,
            *("--workers", self.threads, "--quiet"),
        )

    def _judge(self, weights: str, seed: int) -> None:
        """Let the track head say when a sentence is true of each true object."""
        self.command(
            "select-moments",
            self.index(self.split),
            self.moments(weights, seed),
            *("--per", "referent", "--accept", 0, "--model", self.checkpoint(weights, seed)),
            *("--text", self.text(self.split), "--quiet"),
        )

    def result(self, arm: Arm, seed: int) -> list[Run]:
        """Scores of an arm with a seed, as far as they exist."""
        history = self.checkpoint(arm.weights, seed) / "history.parquet"
        runs = []
        for moments in arm.moments:
            scores = self.scores(arm.folder(moments, seed))
            if (scores / "scores.parquet").is_file():
                runs.append(Run.read(arm.name, moments, seed, scores, history))
        return runs

    def spans(self, weights: str, seed: int) -> Spans | None:
        """Moments of each true object as the track head says, against the annotated ones."""
        table = self.moments(weights, seed) / "moments.parquet"
        return Spans.read(weights, seed, table, self.index(self.split)) if table.is_file() else None

    def references(self) -> list[Run]:
        """Scores of the trivial references."""
        found = [(kind, self.scores(kind)) for kind in REFERENCES]
        return [
            Run.read(kind, "", 0, path, None)
            for kind, path in found
            if (path / "scores.parquet").is_file()
        ]

    def index(self, split: str) -> Path:
        return self.work / "index" / split

    def text(self, split: str) -> Path:
        return self.work / "text" / split

    def checkpoint(self, weights: str, seed: int) -> Path:
        return self.work / "checkpoint" / f"{weights}-{seed}"

    def masks(self, name: str | Path) -> Path:
        return self.work / "masks" / self.split / name

    def scores(self, name: str | Path) -> Path:
        return self.work / "scores" / self.split / name

    def moments(self, weights: str, seed: int) -> Path:
        return self.work / "moments" / self.split / f"{weights}-{seed}"

    def _score(self, masks: Path, out: Path) -> None:
        self.command(
            "score",
            masks,
            self.index(self.split),
            *("--out", out, "--images", -1, "--workers", self.threads, "--quiet"),
        )


def parsed() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path, help="folder of all artifacts")
    parser.add_argument(
        "--tgl", default=TGL_PROGRAM, help="the program, if not that of this Python"
    )
    parser.add_argument("--backbone", default="toy")
    parser.add_argument("--weights", nargs="+", default=list(USUAL), choices=list(WEIGHTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--split", default="valid", choices=("valid", "dev"))
    parser.add_argument("--train-clips", type=int, default=320)
    parser.add_argument("--clips", type=int, default=50, help="clips of the scored split")
    parser.add_argument("--dev-clips", type=int, default=30, help="clips to validate on")
    parser.add_argument("--steps", type=int, help="training steps of the whole model; default: 480")
    parser.add_argument("--train", default="", help="further options of tgl train, for all arms")
    parser.add_argument("--jobs", type=int, default=1, help="models to train in parallel")
    parser.add_argument(
        "--write", type=Path, help="the report, a .md file; its plot goes beside it"
    )
    return parser.parse_args()


def main() -> None:
    """Prepare, run what is missing, write the report."""
    given = parsed()
    options = [*shlex.split(TRAINING.read_text()), *LONGER, *shlex.split(given.train)]
    if given.steps is not None:
        options += ["--steps", str(given.steps)]
    ablation = Ablation(
        tgl=tuple(shlex.split(given.tgl)),
        work=given.work,
        split=given.split,
        backbone=given.backbone,
        options=tuple(options),
        threads=max(1, (os.cpu_count() or 1) // given.jobs),
    )
    clips = {TRAINED_ON: given.train_clips, "valid": 0, VALIDATED_ON: given.dev_clips}
    ablation.prepare(clips | {given.split: given.clips})
    _run_all(ablation, given)
    _report(ablation, given)


def _run_all(ablation: Ablation, given: argparse.Namespace) -> None:
    """Run every model with every seed and report after each; the first failure ends the script."""

    def timed(weights: str, seed: int) -> float:
        started = time.monotonic()
        ablation.run(weights, seed)
        return time.monotonic() - started

    with ThreadPoolExecutor(given.jobs) as pool:
        started = {
            pool.submit(timed, weights, seed): (weights, seed)
            for seed in range(given.seeds)
            for weights in given.weights
        }
        try:
            for done in as_completed(started):
                weights, seed = started[done]
                print(f"{weights}, seed {seed}: {done.result():.0f} s", flush=True)
                _report(ablation, given)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _report(ablation: Ablation, given: argparse.Namespace) -> None:
    """Print the table of the results so far, and write the report if asked to."""
    seeds = range(given.seeds)
    arms = [arm for arm in ARMS if arm.weights in given.weights]
    runs = [run for arm in arms for seed in seeds for run in ablation.result(arm, seed)]
    spans = [found for name in given.weights for s in seeds if (found := ablation.spans(name, s))]
    sentences = read_sentences(ablation.index(ablation.split))
    command = shlex.join(["python", "examples/toy/ablation.py", *sys.argv[1:]])
    write_report(runs, spans, ablation.references(), sentences, given.write, command)


if __name__ == "__main__":
    main()
