"""What waiting buys: `--online` with several delays, and offline, on the toy dev split.

    python examples/toy/online.py WORK [CHECKPOINT] --delays 0 4 8 16

Runs every mode by the commands that a user types, with predicted moments, and prints a row a mode:
J&F of all sentences, of those with a target, and of these within their moment, from its start on
and before it (means over sentences, in per cent), then the tIoU of found and true moments. Each
command skips what is up to date, so the script can be stopped and repeated.
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

from tglcli.commands.tools.segment import TOY_CHECKPOINT

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
        print("|", " | ".join([name, *map(per_cent, figures(scores))]), "|", flush=True)


def prepare(work: Path, clips: int) -> tuple[Path, Path]:
    """Index and texts of the split."""
    data, index, text = work / "data", work / "index", work / "text"
    tgl("toy", data, "--train-clips", 0, "--valid-clips", 0, f"--{SPLIT}-clips", clips)
    tgl("build-moments", data / SPLIT, index)
    tgl("precompute-text", index, text, "--encoder", "hash")
    return index, text


def tgl(command: str, *words: object) -> None:
    """Run one command; its own message tells what went wrong."""
    line = [sys.executable, "-m", "tglcli", command, "--quiet", *map(str, words)]
    if subprocess.run(line, check=False).returncode:
        sys.exit(f"failed: {' '.join(line)}")


def figures(scores: Path) -> list[float | None]:
    """A row of the table, as shares; None where no sentence has such frames."""
    sentences = pq.read_table(scores / "scores.parquet").to_pylist()
    target = [row for row in sentences if row["referents"]]
    frames: dict[tuple[str, str], list[tuple[float, bool]]] = defaultdict(list)
    for row in pq.read_table(scores / "frames.parquet").sort_by("frame").to_pylist():
        key = row["video_id"], row["expression_id"]
        frames[key].append(((row["J"] + row["F"]) / 2, bool(row["relevant"])))
    within, after, before = [], [], []
    for sentence in target:
        seen = frames[sentence["video_id"], sentence["expression_id"]]
        start = next((at for at, (_, relevant) in enumerate(seen) if relevant), len(seen))
        within.append(mean(score for score, relevant in seen if relevant))
        after.append(mean(score for score, _ in seen[start:]))
        before.append(mean(score for score, _ in seen[:start]))
    whole = [mean(row["JF"] for row in rows) for rows in (sentences, target)]
    overlap = mean(row["span_tiou"] for row in sentences)
    return [*whole, mean(within), mean(after), mean(before), overlap]


def mean(values: Iterable[float | None]) -> float | None:
    """Of the values that are known; None where there is none."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def per_cent(share: float | None) -> str:
    """As the table shows it."""
    return "-" if share is None else f"{100 * share:.1f}"


if __name__ == "__main__":
    main()
