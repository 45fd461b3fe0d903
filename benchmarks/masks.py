"""build-moments on a mask_dict.json of 1 GB, and random reads of its masks, against json.load.

    python benchmarks/masks.py [--videos 1000] [--folder DIR [--only generate|measure]]

Generates 1,000 videos of 100 frames with 4 objects each: 400,000 masks of ragged blobs at 1080p,
2.5 kB each (1,000 distinct ones in a different order for every track, so that neighbours do not
compress together). Prints time and peak resident memory of the whole stage and of json.load, each
in its own process, and the time to read 1,000 random masks, as RLE and decoded: from masks.parquet,
freshly opened, and from the loaded dict with pycocotools. For reads it also prints CPU time, which
depends less on the load of the machine.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco
from skimage.filters import gaussian

from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE
from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.index.masks import MaskStore

HEIGHT, WIDTH = 1080, 1920
FRAMES, OBJECTS = 100, 4
DISTINCT = 1000
READS = 1000
LINKS_PER_FILE = 30_000
MEGABYTE = 1024 * 1024


def main() -> None:
    """Generate, measure, print, remove."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--videos", type=int, default=1000)
    options.add_argument("--folder", type=Path, help="temporary folder for the gigabyte")
    options.add_argument(
        "--only", choices=("generate", "measure"), help="run one half only and keep --folder"
    )
    given = options.parse_args()
    if given.only:
        root = given.folder / "tgl-masks"
        if given.only == "generate":
            generate(root, given.videos)
        else:
            report(root / "train", root / "index", given.videos)
        return
    root = Path(tempfile.mkdtemp(prefix="tgl-masks-", dir=given.folder))
    try:
        report(generate(root, given.videos), root / "index", given.videos)
    finally:
        shutil.rmtree(root)


def report(split: Path, index: Path, videos: int) -> None:
    """Run each part in its own process and print its figures."""
    size = (split / "mask_dict.json").stat().st_size
    masks = videos * FRAMES * OBJECTS
    print(f"mask_dict.json: {size / 1e6:.0f} MB, {masks:,} masks of {WIDTH}x{HEIGHT}")
    shutil.rmtree(index, ignore_errors=True)
    built = measured(build, split, index)
    print(
        f"tgl build-moments:  {built[0]:6.1f} s ({built[3]:.1f} s of CPU), peak {built[1]:.0f} MB"
    )
    loaded = measured(load_and_read, split, videos)
    print(f"json.load:          {loaded[2][0]:6.1f} s, peak {loaded[1]:.0f} MB")
    ours = measured(read_ours, index, videos)
    print(f"{READS} random masks, decoded, milliseconds per mask:")
    opening, decoded, alone = ours[2]
    print(f"  masks.parquet:    {decoded} (opening it: {opening:.3f} s, peak {ours[1]:.0f} MB)")
    print(f"  RLE only:         {alone}")
    print(f"  loaded dict:      {loaded[2][1]} (after {loaded[2][0]:.1f} s of loading)")
    table = (index / "masks.parquet").stat().st_size
    print(f"masks.parquet: {table / 1e6:.0f} MB")
    print(f"memory: 1/{loaded[1] / built[1]:.1f} of json.load")


def measured(function: Any, *arguments: Any) -> tuple[float, float, Any, float]:
    """(seconds, peak MB, result, CPU seconds) of a call in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_timed, (function, arguments))


def _timed(function: Any, arguments: tuple[Any, ...]) -> tuple[float, float, Any, float]:
    started, before = time.perf_counter(), time.process_time()
    result = function(*arguments)
    seconds = time.perf_counter() - started
    unit = 1 if sys.platform == "darwin" else 1024
    used = resource.getrusage(resource.RUSAGE_SELF)
    return seconds, used.ru_maxrss * unit / MEGABYTE, result, time.process_time() - before


def build(split: Path, index: Path) -> None:
    """Run the whole stage."""
    execute(STAGE, IndexConfig(), IndexInputs(split), index, runtime=Runtime(workers=1),
            progress=SilentProgress())  # fmt: skip


def random_reads(videos: int) -> list[tuple[str, int]]:
    """Random (annotation id, frame) pairs, the same for both sides."""
    chosen = random.Random(0)
    tracks = videos * OBJECTS
    return [(str(chosen.randrange(tracks)), chosen.randrange(FRAMES)) for _ in range(READS)]


class Stopwatch:
    """Wall and CPU time of READS reads, in milliseconds per read."""

    def __init__(self) -> None:
        self._started = time.perf_counter(), time.process_time()

    def __str__(self) -> str:
        return self._text

    def stop(self) -> Stopwatch:
        """Stop and keep the result."""
        wall = time.perf_counter() - self._started[0]
        used = (time.process_time() - self._started[1]) * 1000 / READS
        self._text = f"{wall * 1000 / READS:6.2f}, {used:.2f} of CPU"
        return self


def load_and_read(split: Path, videos: int) -> tuple[float, Stopwatch]:
    """Time to load the dict in seconds, and to decode masks of it."""
    started = time.perf_counter()
    document = json.loads((split / "mask_dict.json").read_bytes())
    loading = time.perf_counter() - started
    watch = Stopwatch()
    for anno_id, frame in random_reads(videos):
        coco.decode(document[anno_id][frame])
    return loading, watch.stop()


def read_ours(index: Path, videos: int) -> tuple[float, Stopwatch, Stopwatch]:
    """Time to open the table in seconds, and to read masks, decoded and as RLE."""
    started = time.perf_counter()
    store = MaskStore(index / "masks.parquet")
    opening = time.perf_counter() - started
    decoded = Stopwatch()
    for anno_id, frame in random_reads(videos):
        assert store.mask(anno_id, frame) is not None
    decoded.stop()
    store = MaskStore(index / "masks.parquet")
    alone = Stopwatch()
    for anno_id, frame in random_reads(videos):
        store.rle(anno_id, frame)
    return opening, decoded, alone.stop()


def generate(root: Path, videos: int) -> Path:
    """Write a MeViS split whose frames are links to a few files."""
    split = root / "train"
    root.mkdir(exist_ok=True)
    link_frames(root, split, videos)
    pool = [blob(np.random.default_rng(number)) for number in range(DISTINCT)]
    chosen = random.Random(0)
    meta: dict[str, Any] = {}
    with (split / "mask_dict.json").open("w") as file:
        for video in range(videos):
            annos = [video * OBJECTS + n for n in range(OBJECTS)]
            meta[f"v{video:05d}"] = {
                "frames": [f"{n:05d}" for n in range(FRAMES)],
                "expressions": {
                    "0": {"exp": "all of them", "obj_id": list(range(OBJECTS)), "anno_id": annos}
                },
            }
            for anno in annos:
                track = ",".join(chosen.sample(pool, FRAMES))
                lead = "{" if anno == 0 else ","
                file.write(f'{lead}"{anno}":[{track}]')
        file.write("}")
    (split / "meta_expressions.json").write_text(json.dumps({"videos": meta}))
    return split


def link_frames(root: Path, split: Path, videos: int) -> None:
    """Link FRAMES frames per video, which would take gigabytes as files."""
    source = root / "0.jpg"
    Image.new("RGB", (WIDTH, HEIGHT)).save(source)
    for number in range(videos * FRAMES):
        if number % LINKS_PER_FILE == 0:
            copy = root / f"{number}.jpg"
            if copy != source:
                shutil.copy(source, copy)
        video, frame = divmod(number, FRAMES)
        folder = split / "JPEGImages" / f"v{video:05d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{frame:05d}.jpg").hardlink_to(copy)


def blob(generator: np.random.Generator) -> str:
    """JSON of an RLE: an ellipse with a wavy outline."""
    rows, columns = np.mgrid[0:HEIGHT:4, 0:WIDTH:4]
    middle = generator.uniform(0.25, 0.75, 2) * (HEIGHT, WIDTH)
    radii = generator.uniform(0.19, 0.37, 2) * (HEIGHT, WIDTH)
    distance = ((rows - middle[0]) / radii[0]) ** 2 + ((columns - middle[1]) / radii[1]) ** 2
    noise = gaussian(generator.standard_normal(distance.shape), 10)
    ragged = (distance + noise / noise.std() * 0.2 < 1).repeat(4, axis=0).repeat(4, axis=1)
    packed = coco.encode(np.asfortranarray(ragged.astype(np.uint8)))
    return json.dumps({"size": [HEIGHT, WIDTH], "counts": packed["counts"].decode()})


if __name__ == "__main__":
    main()
