"""Time and memory of `tgl describe` on an index of the size of MeViS, with a second set of moments.

    python benchmarks/describe.py [--videos 1700] [--sentences 33000]

The index is generated: sentences of one to three referents, some without, and masks of some hundred
random bytes, since nothing may read them. The second set differs by a few frames and
leaves out some sentences. Times are of the processor, of whole commands.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from schemas.layouts import EXPRESSIONS_TABLE, MASKS_TABLE, MOMENTS_TABLE, VIDEOS_TABLE
from schemas.parquet import TableWriter, rows_of, write_table
from schemas.tables import EXPRESSIONS, MASKS, MOMENTS, VIDEOS

_TRACKS = 5
_WORDS = ("the", "dog", "cat", "left", "jumps", "turns", "then", "runs", "away", "slowly", "red")
_ROW_GROUP = 64
_COUNTS = 300


def main() -> None:
    """Generate, describe, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=1700)
    parser.add_argument("--sentences", type=int, default=33_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.perf_counter()
        masks = write_index(folder / "index", given.videos, given.sentences)
        size = (folder / "index" / MASKS_TABLE).stat().st_size
        print(
            f"{given.videos:,} videos, {given.sentences:,} sentences, {masks:,} masks "
            f"({size / 1e6:.0f} MB), made in {time.perf_counter() - began:.0f} s"
        )
        measure("statistics", ["describe", folder / "index"])
        measure(
            "statistics and agreement",
            ["describe", folder / "index", "--against", folder / "other.parquet"],
        )
        outputs = ("--table", folder / "t.parquet", "--html", folder / "p.html")
        measure(
            "the same with a table and a page",
            ["describe", folder / "index", "--against", folder / "other.parquet", *outputs],
        )
        print(f"the page has {(folder / 'p.html').stat().st_size / 1e6:.1f} MB")


def measure(what: str, words: list[object]) -> None:
    """Run a command; print its processor time, and the largest memory of all so far."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "tglcli", *map(str, words)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    print(f"{what}: {seconds:.1f} s of CPU, peak {after.ru_maxrss / 1e3:.0f} MB")


def write_index(folder: Path, videos: int, sentences: int) -> int:
    """Write an index, and a second set of moments beside it; returns the number of masks."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    lengths = rng.integers(30, 160, videos)
    names = [f"video{number:05d}" for number in range(videos)]
    rows = [
        {
            "video_id": name,
            "num_frames": int(length),
            "height": 480,
            "width": 854,
            "fps": 5.0,
            "frame_names": [f"{frame:05d}" for frame in range(length)],
            "frame_suffix": ".jpg",
            "frames_dir": "none",
        }
        for name, length in zip(names, lengths, strict=True)
    ]
    write_table(folder / VIDEOS_TABLE, rows_of(rows, VIDEOS), VIDEOS)
    expressions, moments, others = [], [], []
    for number in range(sentences):
        video = number % videos
        expression = one_sentence(rng, names[video], str(number // videos))
        expressions.append(expression)
        own = one_sentence_moments(rng, expression, int(lengths[video]))
        moments += own
        if rng.random() > 0.05:
            others += shifted(rng, own, int(lengths[video]))
    write_table(folder / EXPRESSIONS_TABLE, rows_of(expressions, EXPRESSIONS), EXPRESSIONS)
    write_table(folder / MOMENTS_TABLE, rows_of(moments, MOMENTS), MOMENTS)
    write_table(folder.parent / "other.parquet", rows_of(others, MOMENTS), MOMENTS)
    return write_masks(rng, folder / MASKS_TABLE, names, lengths)


def one_sentence(rng: np.random.Generator, video: str, number: str) -> dict[str, object]:
    """A row of the expressions table."""
    count = int(rng.choice([0, 1, 1, 1, 2, 3]))
    objects = sorted(rng.choice(_TRACKS, count, replace=False).tolist())
    return {
        "video_id": video,
        "expression_id": number,
        "expression": " ".join(rng.choice(_WORDS, rng.integers(3, 12))),
        "object_ids": [str(found) for found in objects],
        "anno_ids": [f"{video}_{found}" for found in objects],
    }


def one_sentence_moments(
    rng: np.random.Generator, expression: dict, frames: int
) -> list[dict[str, object]]:
    """Rows of the moments table: one or two spans of each referent."""
    rows = []
    for anno_id in expression["anno_ids"]:
        edges = np.sort(rng.choice(frames + 1, 2 * int(rng.integers(1, 3)), replace=False))
        rows += [
            {
                "video_id": expression["video_id"],
                "expression_id": expression["expression_id"],
                "anno_id": anno_id,
                "start_frame": int(start),
                "end_frame": int(end),
                "source": "annotated",
            }
            for start, end in edges.reshape(-1, 2)
        ]
    return rows


def shifted(rng: np.random.Generator, rows: list, frames: int) -> list[dict[str, object]]:
    """The rows of another annotator: edges a few frames away, where the span stays one."""
    found = []
    for row in rows:
        start, end = (row[name] + int(rng.integers(-4, 5)) for name in ("start_frame", "end_frame"))
        start, end = max(0, start), min(frames, end)
        if start < end:
            found.append({**row, "start_frame": start, "end_frame": end})
    return list({(row["anno_id"], row["start_frame"]): row for row in found}.values())


def write_masks(rng: np.random.Generator, path: Path, names: list[str], lengths: np.ndarray) -> int:
    """Write masks of all tracks, visible in a part of their video."""
    masks = 0
    with TableWriter(
        path, MASKS, row_group_rows=_ROW_GROUP, dictionary=["anno_id"], statistics=["anno_id"]
    ) as writer:
        for track in tracks(rng, names, lengths):
            writer.write(track)
            masks += track.num_rows
    return masks


def tracks(rng: np.random.Generator, names: list[str], lengths: np.ndarray) -> Iterator[pa.Table]:
    """Rows of one track each, in the order of the table."""
    for name, length in zip(names, lengths, strict=True):
        for track in range(_TRACKS):
            start, end = np.sort(rng.choice(length + 1, 2, replace=False))
            rows = int(end - start)
            yield pa.table(
                {
                    "anno_id": [f"{name}_{track}"] * rows,
                    "frame": np.arange(start, end, dtype=np.int32),
                    "height": np.full(rows, 480, np.int32),
                    "width": np.full(rows, 854, np.int32),
                    "counts": [rng.bytes(_COUNTS) for _ in range(rows)],
                    "area": np.full(rows, 1000, np.int64),
                },
                schema=MASKS.schema,
            )


if __name__ == "__main__":
    main()
