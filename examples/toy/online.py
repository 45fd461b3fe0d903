"""Effect of the delay: `--online` with several delays, and offline, on the toy dev split.

    python examples/toy/online.py WORK [CHECKPOINT] --delays 0 4 8 16

Runs every mode by the commands that a user types, with predicted moments, and prints a table row
per mode: J&F of all sentences, of those with a target, and of these within their moment, from its
start on and before it (means over sentences, in percent), then the tIoU of predicted and true
moments. Each command skips what is up to date, so the script can be stopped and rerun.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean

import pyarrow.parquet as pq

from stages.core.model.loading.hub import TOY_CHECKPOINT

SPLIT = "dev"
NO_TARGET = ("--no-target-threshold", "0.5")
COLUMNS = (
    "all",
    "with a target",
    "within the moment",
    "from its start on",
    "before it",
    "span tIoU",
)


def main() -> None:
    """Make the split, run every mode, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("checkpoint", type=Path, nargs="?", default=TOY_CHECKPOINT)
    parser.add_argument("--delays", type=int, nargs="+", default=[0, 4, 8, 16])
    parser.add_argument("--clips", type=int, default=40)
    given = parser.parse_args()
    index, text = prepare(given.work, given.clips)
    print("| |", " | ".join(COLUMNS), "|")
    print("|---" * (1 + len(COLUMNS)) + "|")
    modes = {f"`--delay {d}`": ("--online", "--delay", d) for d in given.delays}
    for name, options in {**modes, "offline": ()}.items():
        masks, scores = (given.work / kind / name.strip("`") for kind in ("masks", "scores"))
        tgl("propagate", index, text, given.checkpoint, masks, *NO_TARGET, *options)
        tgl("score", masks, index, "--out", scores)
        print("|", " | ".join([name, *map(percent, figures(scores))]), "|", flush=True)


def prepare(work: Path, clips: int) -> tuple[Path, Path]:
    """Make the index and the texts of the split."""
    data, index, text = work / "data", work / "index", work / "text"
    tgl("toy", data, "--train-clips", 0, "--valid-clips", 0, f"--{SPLIT}-clips", clips)
    tgl("build-moments", data / SPLIT, index)
    tgl("precompute-text", index, text, "--encoder", "hash")
    return index, text


def tgl(command: str, *words: object) -> None:
    """Run one command; it prints its own errors."""
    line = [sys.executable, "-m", "tglcli", command, "--quiet", *map(str, words)]
    if subprocess.run(line, check=False).returncode:
        sys.exit(f"failed: {' '.join(line)}")


def figures(scores: Path) -> list[float | None]:
    """Figures of a row, as shares; None where no sentence has such frames."""
    sentences = pq.read_table(scores / "scores.parquet").to_pylist()
    target = [row for row in sentences if row["referents"]]
    frames: dict[tuple[str, str], list[tuple[float, bool]]] = defaultdict(list)
    for row in pq.read_table(scores / "frames.parquet").sort_by("frame").to_pylist():
        key = row["video_id"], row["expression_id"]
        frames[key].append(((row["J"] + row["F"]) / 2, bool(row["relevant"])))
    within, after, before = [], [], []
    for sentence in target:
        own = frames[sentence["video_id"], sentence["expression_id"]]
        start = next((number for number, (_, relevant) in enumerate(own) if relevant), len(own))
        within.append(mean(score for score, relevant in own if relevant))
        after.append(mean(score for score, _ in own[start:]))
        before.append(mean(score for score, _ in own[:start]))
    whole = [mean(row["JF"] for row in rows) for rows in (sentences, target)]
    overlap = mean(row["span_tiou"] for row in sentences)
    return [*whole, mean(within), mean(after), mean(before), overlap]


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of the known values; None without any."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def percent(share: float | None) -> str:
    """Format a share for the table."""
    return "-" if share is None else f"{100 * share:.1f}"


if __name__ == "__main__":
    main()
