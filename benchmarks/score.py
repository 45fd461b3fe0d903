"""Seconds per 1,000 frame pairs at 854x480: tgl score, vos-benchmark and TrackEval on equal masks.

    python benchmarks/score.py --peer-python PEERS/bin/python [--pairs 10000] [--peer trackeval]
        [--official MEVIS/tools/eval_mevis.py]

The peers need their own environment, since they require other versions of the same packages:

    python -m venv PEERS && PEERS/bin/pip install vos-benchmark trackeval tabulate matplotlib scipy
    PEERS/bin/pip install opencv-python-headless scikit-image pycocotools  # for the official script

The official script of MeViS is compared by CPU time, on a fifth of the pairs: its time grows with
them, while the start-up of tgl counts in full.

Every figure is the wall time of a whole command, start-up included, with two processes, on moving
blobs written as PNG by Pillow; the median of three runs of tgl counts. Scores are compared before
times are. Ground truth is PNG too, as the peers read it; a second row scores the same masks against
run lengths, as MeViS has them. The first run on a machine also compiles; that time is measured with
an empty cache and printed apart. The limit printed last is the time to inflate the PNG files, with
nothing else done.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 480, 854
FRAMES = 100
PROCESSES = 2
REPEATS = 3
BECOME_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of Linux: orphans become our children
WORK = Path(__file__).parent / "work" / "score"

VOS_BENCHMARK = """
import json, sys
from vos_benchmark.benchmark import benchmark
gt, preds, out = sys.argv[1:]
jf, j, f, _ = benchmark([gt], [preds], num_processes=2, verbose=False, skip_first_and_last=False)
json.dump({"J": float(j[0]) / 100, "F": float(f[0]) / 100}, open(out, "w"))
"""

TRACKEVAL = """
import json, os, sys
import trackeval
gt, preds, out = sys.argv[1:]
quiet = {"PRINT_CONFIG": False, "PRINT_RESULTS": False, "OUTPUT_SUMMARY": False,
         "OUTPUT_DETAILED": False, "PLOT_CURVES": False, "TIME_PROGRESS": False,
         "OUTPUT_EMPTY_CLASSES": False, "USE_PARALLEL": True, "NUM_PARALLEL_CORES": 2,
         "LOG_ON_ERROR": None}
frames = {name: len(os.listdir(os.path.join(gt, name))) for name in sorted(os.listdir(gt))}
data = trackeval.datasets.DAVIS({"GT_FOLDER": gt, "TRACKERS_FOLDER": os.path.dirname(preds),
    "TRACKERS_TO_EVAL": [os.path.basename(preds)], "TRACKER_SUB_FOLDER": "", "SEQ_INFO": frames,
    "PRINT_CONFIG": False})
results, _ = trackeval.Evaluator(quiet).evaluate([data], [trackeval.metrics.JAndF()])
total = results["DAVIS"][os.path.basename(preds)]["COMBINED_SEQ"]["general"]["JAndF"]
json.dump({"J": float(total["J-Mean"]), "F": float(total["F-Mean"])}, open(out, "w"))
"""

OFFICIAL_SHARE = 5
"""The official script scores one of this many videos."""
OFFICIAL_PROCESSES = re.compile(r"^(NUM_\w+) = \d+$", re.MULTILINE)

PEERS = {"trackeval": TRACKEVAL, "vos-benchmark": VOS_BENCHMARK}
TOLERANCE = 1e-9  # the peers add in another order


def blob(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Draw a blob with a lobed outline that drifts and rotates, bool (frames, H, W)."""
    ys, xs = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    centre = rng.uniform((140, 200), (340, 650))
    drift = rng.uniform(-1.5, 1.5, 2)
    radius = rng.uniform(40, 120)
    lobes, depth = rng.integers(3, 9), rng.uniform(0.1, 0.35)
    masks = np.empty((frames, HEIGHT, WIDTH), bool)
    for index in range(frames):
        y, x = centre + drift * index
        angle = np.arctan2(ys - y, xs - x) + 0.03 * index
        outline = radius * (1 + depth * np.sin(lobes * angle) + 0.05 * np.sin(23 * angle))
        masks[index] = (ys - y) ** 2 + (xs - x) ** 2 < outline**2
    return masks


def make_video(root: Path, number: int) -> None:
    """Write ground truth and predictions of one video: <tree>/<video>/0/<frame>.png."""
    rng = np.random.default_rng(number)
    true = blob(rng, FRAMES)
    predicted = np.roll(true, rng.integers(-6, 7, 2), axis=(1, 2))
    holes = rng.random((FRAMES, HEIGHT // 20, WIDTH // 14 + 1)) < 0.02
    predicted &= ~np.kron(holes, np.ones((1, 20, 14), bool))[:, :HEIGHT, :WIDTH]
    for tree, masks in (("gt", true), ("preds", predicted)):
        folder = root / tree / f"video{number:03}" / "0"
        folder.mkdir(parents=True)
        for index, mask in enumerate(masks):
            Image.fromarray((mask * 255).astype(np.uint8)).save(folder / f"{index:05}.png")


def make_data(root: Path, videos: int) -> None:
    """Make the missing videos."""
    todo = [n for n in range(videos) if not (root / "preds" / f"video{n:03}").exists()]
    with ProcessPoolExecutor(PROCESSES) as pool:
        list(pool.map(make_video, [root] * len(todo), todo))


def linked_tree(root: Path, tree: str, videos: int, *, flat: bool = False) -> Path:
    """Link `videos` videos as <video>/0/<frame>.png; flat as <video>/<frame>.png, for the peers."""
    folder = root / f"{tree}-{'flat-' if flat else ''}{videos}"
    folder.mkdir(exist_ok=True)
    for number in range(videos):
        link = folder / f"video{number:03}"
        if not link.exists():
            link.symlink_to((root / tree / link.name / ("0" if flat else "")).resolve())
    return folder


def mevis_split(root: Path, videos: int) -> Path:
    """Write the same ground truth as a MeViS split, run lengths in one JSON file."""
    from pycocotools import mask as coco

    split = root / f"gt-mevis-{videos}"
    if (split / "mask_dict.json").exists():
        return split
    split.mkdir(exist_ok=True)
    names = [f"{frame:05}" for frame in range(FRAMES)]
    meta, tracks = {}, {}
    for number in range(videos):
        video = f"video{number:03}"
        meta[video] = {"frames": names, "expressions": {"0": {"exp": "x", "anno_id": [number]}}}
        tracks[str(number)] = []
        for name in names:
            with Image.open(root / "gt" / video / "0" / f"{name}.png") as image:
                rle = coco.encode(np.asfortranarray(np.asarray(image) > 0, dtype=np.uint8))
            rle["counts"] = rle["counts"].decode()
            tracks[str(number)].append(rle)
    (split / "meta_expressions.json").write_text(json.dumps({"videos": meta}))
    (split / "mask_dict.json").write_text(json.dumps(tracks))
    return split


class Run(NamedTuple):
    """A command's wall and CPU seconds, with its children's, and the scores that it printed."""

    wall: float
    used: float
    scores: dict[str, float]


def timed(command: list[str], **variables: str) -> tuple[float, float, str]:
    """Run a command; wall and CPU seconds, with its children's, and its output."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - start
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()  # processes that outlive the command for a moment count too
    after = os.times()
    if done.returncode:
        raise SystemExit(f"{command[:3]} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    used = after.children_user + after.children_system
    return wall, used - before.children_user - before.children_system, done.stdout


def run_tgl(preds: Path, gt: Path, **variables: str) -> Run:
    """Run the whole command `tgl score preds gt`."""
    tgl = str(Path(sys.executable).with_name("tgl"))
    options = ["--workers", str(PROCESSES), "--json"]
    wall, used, printed = timed([tgl, "score", str(preds), str(gt), *options], **variables)
    return Run(wall, used, json.loads(printed))


def median_run(preds: Path, gt: Path) -> Run:
    """The run of median wall time out of REPEATS."""
    runs = [run_tgl(preds, gt) for _ in range(REPEATS)]
    return next(run for run in runs if run.wall == statistics.median_low(r.wall for r in runs))


def run_peer(python: str, code: str, root: Path, videos: int, out: Path) -> Run:
    """Run a peer's whole command on the first `videos` videos."""
    trees = [str(linked_tree(root, tree, videos, flat=True)) for tree in ("gt", "preds")]
    wall, used, _ = timed([python, "-c", code, *trees, str(out)])
    return Run(wall, used, json.loads(out.read_text()))


def run_official(python: str, script: Path, root: Path, videos: int) -> Run:
    """Run the official script of MeViS on the first `videos` videos, in two processes.

    It starts 64 otherwise; a copy with another number stands beside the modules that it imports.
    """
    text, changed = OFFICIAL_PROCESSES.subn(rf"\1 = {PROCESSES}", script.read_text())
    if changed != 1:
        raise SystemExit(f"{script} does not set its number of processes where it is expected")
    preds, split = linked_tree(root, "preds", videos), mevis_split(root, videos)
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / script.name
        copy.write_text(text)
        wall, used, printed = timed(
            [
                *(python, str(copy)),
                *("--mevis_exp_path", str(split / "meta_expressions.json")),
                *("--mevis_mask_path", str(split / "mask_dict.json")),
                *("--mevis_pred_path", str(preds)),
                *("--save_name", str(Path(scratch) / "scores.json")),
            ],
            PYTHONPATH=str(script.parent),
        )
    scores = dict(re.findall(r"^([JF]): ([\d.]+)$", printed, re.MULTILINE))
    return Run(wall, used, {name: float(value) for name, value in scores.items()})


def compile_seconds(root: Path) -> float:
    """Compile time: a first run's seconds minus a second one's."""
    trees = [linked_tree(root, tree, 1) for tree in ("preds", "gt")]
    with tempfile.TemporaryDirectory() as cache:
        first, second = (run_tgl(*trees, NUMBA_CACHE_DIR=cache).wall for _ in range(2))
    return first - second


def inflate_seconds(root: Path, videos: int) -> float:
    """CPU seconds to read and inflate all PNG files."""
    from zlib_ng import zlib_ng

    start = time.process_time()
    for number in range(videos):
        for tree in ("gt", "preds"):
            for path in (root / tree / f"video{number:03}" / "0").iterdir():
                content = path.read_bytes()
                first = content.index(b"IDAT")
                length = int.from_bytes(content[first - 4 : first], "big")
                zlib_ng.decompressobj().decompress(content[first + 4 : first + 4 + length])
    return time.process_time() - start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--peer-python", help="a Python with vos-benchmark and trackeval")
    parser.add_argument("--peer", choices=PEERS, nargs="*", default=list(PEERS))
    parser.add_argument("--official", type=Path, help="tools/eval_mevis.py of the MeViS repository")
    options = parser.parse_args()
    if options.official is not None and options.peer_python is None:
        parser.error("--official needs --peer-python")
    videos = options.pairs // FRAMES
    ctypes.CDLL(None).prctl(BECOME_SUBREAPER, 1, 0, 0, 0)
    WORK.mkdir(parents=True, exist_ok=True)
    make_data(WORK, videos)
    preds, gt = (linked_tree(WORK, tree, videos) for tree in ("preds", "gt"))
    split = mevis_split(WORK, videos)
    print(f"compilation in a first run, not counted below: {compile_seconds(WORK):.1f} s")
    print(f"{'command':<18}{'pairs':>8}{'wall s':>9}{'cpu s':>9}{'s per 1,000':>13}{'ratio':>8}")
    ours = median_run(preds, gt)
    _row("tgl score", options.pairs, ours, ours)
    _row("tgl, MeViS truth", options.pairs, median_run(preds, split), ours)
    for name in options.peer if options.peer_python else ():
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / "scores.json"
            peer = run_peer(options.peer_python, PEERS[name], WORK, videos, file)
        for key, value in peer.scores.items():
            if abs(value - ours.scores[key]) > TOLERANCE:
                raise SystemExit(f"{name} gives {key} {value}, tgl {ours.scores[key]}")
        _row(name, options.pairs, peer, ours)
    if options.official is not None:
        compare_official(options, split)
    limit = inflate_seconds(WORK, videos)
    print(
        f"limit: inflating the {2 * options.pairs} PNG files takes {limit:.2f} s of CPU "
        f"time, {limit / ours.used:.0%} of the command's {ours.used:.2f} s"
    )


def compare_official(options: argparse.Namespace, split: Path) -> None:
    """Print CPU milliseconds a pair of the official script and of tgl, in turns."""
    part = options.pairs // FRAMES // OFFICIAL_SHARE
    ratios = []
    for _ in range(REPEATS):
        official = run_official(options.peer_python, options.official, WORK, part)
        own = run_tgl(linked_tree(WORK, "preds", part), mevis_split(WORK, part))
        for name, value in official.scores.items():
            if abs(value - own.scores[name]) > TOLERANCE:
                raise SystemExit(f"{name} is {value}, of tgl {own.scores[name]}")
        whole = run_tgl(linked_tree(WORK, "preds", options.pairs // FRAMES), split)
        theirs = official.used / (part * FRAMES) * 1000
        ours = whole.used / options.pairs * 1000
        ratios.append(theirs / ours)
        print(
            f"official script, {part * FRAMES} pairs: {official.used:.1f} s of CPU time, "
            f"{theirs:.2f} ms a pair; tgl, {options.pairs} pairs: {whole.used:.2f} s, "
            f"{ours:.2f} ms; {theirs / ours:.1f} times"
        )
    print(f"median of {REPEATS} runs: {statistics.median(ratios):.1f} times")


def _row(name: str, pairs: int, run: Run, ours: Run) -> None:
    rate = run.wall / pairs * 1000
    ratio = run.wall / ours.wall
    print(f"{name:<18}{pairs:>8}{run.wall:>9.2f}{run.used:>9.2f}{rate:>13.3f}{ratio:>7.1f}x")


if __name__ == "__main__":
    main()
