"""Effect of each switch of the method: arms, seeds and three routes, with intervals.

    python examples/toy/ablation.py WORK --seeds 3 --jobs 2 --write docs/ablation.md

Every arm is trained and run by the commands that a user types, on the toy data set, from the same
backbone, with the same masks, texts and number of steps. Each command skips what is up to date and
resumes what was interrupted, so the script can be stopped and rerun; the report is rewritten after
every arm, from the results so far.
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

from ablation_report import Run, read_sentences, write_report

BASE, TGL = "BASE", "TGL"
ARMS: dict[str, tuple[str, ...]] = {
    BASE: ("--sampling", "random", "--no-mdp", "--no-oss"),
    "+ moment sampling": ("--sampling", "moment", "--no-mdp", "--no-oss"),
    "+ MDP": ("--sampling", "random", "--mdp", "--no-oss"),
    "+ OSS": ("--sampling", "random", "--no-mdp", "--oss"),
    "TGL without OSS": ("--sampling", "moment", "--mdp", "--no-oss"),
    TGL: ("--sampling", "moment", "--mdp", "--oss"),
}
ROUTES = ("annotated", "predicted", "all")
REFERENCES = ("look-alikes", "one-at-random", "all-objects")
TRAINED_ON, SCORED_ON = "train", "valid"


TGL_PROGRAM = f"{sys.executable} -m tglcli"
TRAINING = Path(__file__).with_name("train.options")
"""Training options for the toy data set and its backbone, as in the demo (docs/training.md)."""


@dataclass(frozen=True)
class Ablation:
    """Settings that all arms share.

    Attributes:
        tgl: the program, as words of a command line.
        work: folder of all artifacts.
        split: split that the arms are compared on.
        options: further options of every training.
        threads: per command, so that arms in parallel share the cores.
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
        for split in {TRAINED_ON, self.split}:
            self.command("build-moments", data / split, self.index(split), "--quiet")
            self.command(
                "precompute-text", self.index(split), self.text(split), "--encoder", "hash", "-q"
            )
        for kind in REFERENCES:
            masks = self.work / "masks" / self.split / kind
            objects = data / self.split / "objects.json"
            self.command(
                "references",
                self.index(self.split),
                masks,
                *("--kind", kind, "--objects", objects, "--quiet"),
            )
            self._score(masks, self.scores(kind))

    def run(self, arm: str, seed: int) -> None:
        """Train one arm with one seed, and run it on the split by each of its routes."""
        folder = Path(f"{_slug(arm)}-{seed}")
        checkpoint = self.work / "checkpoint" / folder
        self.command(
            "train",
            self.index(TRAINED_ON),
            self.text(TRAINED_ON),
            checkpoint,
            *("--backbone", self.backbone, "--seed", seed, "--quiet"),
            *self.options,
            *ARMS[arm],
        )
        for route in routes(arm):
            name = folder / route
            masks = self.work / "masks" / self.split / name
            self.command(
                "propagate",
                self.index(self.split),
                self.text(self.split),
                checkpoint,
                masks,
                *("--moments", route, "--quiet"),
            )
            self._score(masks, self.scores(str(name)))

    def result(self, arm: str, seed: int) -> list[Run]:
        """Scores of an arm with a seed, as far as they exist."""
        folder = f"{_slug(arm)}-{seed}"
        runs = []
        for route in routes(arm):
            scores = self.scores(f"{folder}/{route}") / "scores.parquet"
            if scores.is_file():
                history = self.work / "checkpoint" / folder / "history.parquet"
                runs.append(Run.read(arm, route, seed, scores, history))
        return runs

    def references(self) -> list[Run]:
        """Scores of the trivial references."""
        tables = [(kind, self.scores(kind) / "scores.parquet") for kind in REFERENCES]
        return [Run.read(kind, "", 0, path, None) for kind, path in tables if path.is_file()]

    def index(self, split: str) -> Path:
        return self.work / "index" / split

    def text(self, split: str) -> Path:
        return self.work / "text" / split

    def scores(self, name: str) -> Path:
        return self.work / "scores" / self.split / name

    def _score(self, masks: Path, out: Path) -> None:
        self.command("score", masks, self.index(self.split), "--out", out, "--quiet")


def routes(arm: str) -> tuple[str, ...]:
    """Routes of an arm: the baseline has no trained relevance head."""
    return tuple(route for route in ROUTES if arm != BASE or route != "predicted")


def _slug(arm: str) -> str:
    return arm.lower().replace("+", "").strip().replace(" ", "-")


def main() -> None:
    """Parse, prepare, run what is missing, write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path, help="folder of all artifacts")
    parser.add_argument(
        "--tgl", default=TGL_PROGRAM, help="the program, if not that of this Python"
    )
    parser.add_argument("--backbone", default="toy")
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--split", default=SCORED_ON, choices=("valid", "dev"))
    parser.add_argument("--train-clips", type=int, default=160)
    parser.add_argument("--clips", type=int, default=50, help="clips of the scored split")
    parser.add_argument(
        "--steps", type=int, help="training steps of the whole model; default: as in the demo"
    )
    parser.add_argument("--train", default="", help="further options of tgl train, for all arms")
    parser.add_argument("--jobs", type=int, default=1, help="arms to run in parallel")
    parser.add_argument(
        "--write", type=Path, help="the report, a .md file; its plot goes beside it"
    )
    given = parser.parse_args()
    options = [*shlex.split(TRAINING.read_text()), *shlex.split(given.train)]
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
    others = {"valid": 0, "dev": 0} | {given.split: given.clips}
    ablation.prepare({TRAINED_ON: given.train_clips, **others})
    _run_all(ablation, given)
    _report(ablation, given)


def _run_all(ablation: Ablation, given: argparse.Namespace) -> None:
    """Run every arm with every seed and report after each; the first failure ends the script."""

    def timed(arm: str, seed: int) -> float:
        started = time.monotonic()
        ablation.run(arm, seed)
        return time.monotonic() - started

    with ThreadPoolExecutor(given.jobs) as pool:
        started = {
            pool.submit(timed, arm, seed): (arm, seed)
            for seed in range(given.seeds)
            for arm in given.arms
        }
        try:
            for done in as_completed(started):
                arm, seed = started[done]
                print(f"{arm}, seed {seed}: {done.result():.0f} s", flush=True)
                _report(ablation, given)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _report(ablation: Ablation, given: argparse.Namespace) -> None:
    """Print the table of the results so far, and write the report if asked to."""
    runs = [r for arm in given.arms for s in range(given.seeds) for r in ablation.result(arm, s)]
    sentences = read_sentences(ablation.index(ablation.split))
    command = shlex.join(["python", "examples/toy/ablation.py", *sys.argv[1:]])
    write_report(runs, ablation.references(), sentences, given.write, command)


if __name__ == "__main__":
    main()
