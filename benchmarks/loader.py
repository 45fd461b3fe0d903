"""The loading of training clips: CPU per batch, memory, many ranks, and a simulated device.

    python benchmarks/loader.py [cpu] [memory] [ranks] [overlap]    # default: all four

Frames are JPEGs of 1920x1080, masks have outlines of MeViS's lengths, and a batch is 4 clips of
8 frames for SAM 2 at 1024 px. `cpu` compares with the plain way, which this script keeps: whole
masks decoded, united and resized by dense matrices, all frames of a clip in memory. `memory` has an
index and texts of MeViS's size. `ranks` starts the loaders of 8 training processes with 4 workers
each and goes once through a miniature set. `overlap` trains a model that only sleeps.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import reduce
from pathlib import Path

import numpy as np
import torch
from loader_data import make_data  # benchmarks/loader_data.py
from torch.utils.data import Dataset

from stages.core.index.frame_files import read_video_frame
from stages.core.index.index import Index, Video
from stages.core.index.texts import MAPPED_SUFFIX, TextStore
from stages.core.media.rle import decode
from stages.core.model.backbones.preprocess import resize_frames
from stages.train.config import TrainConfig
from stages.train.data.dataset import ClipDataset, Sample
from stages.train.data.mixture import ClipMixture, Shares
from stages.train.data.targets import relevant_frames, target_referents
from stages.train.loading.batch import LoadedClips
from stages.train.loading.clock import Clock
from stages.train.loading.loader import BatchNumbers, load_batches

SIZE, MASK_SIDE, BATCH = 1024, 256, 4
RANKS, WORKERS = 8, 4
OVERLAP_STEPS = 80
WARM_BATCHES = 16
HALF = 0.5
MEBIBYTE = 2**20
REST_SECONDS = 2.0
"""Workers that use no CPU time for so long have loaded all that they may."""
PRIVATE, FORKED = "private", "its part of what it was forked with"
MAPPED_TEXTS, FILES = "mapped texts", "libraries"
MAPPING = r"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \d+ *(.*)$"
"""The first line of a mapping in /proc/PID/smaps; its group is the file."""
SHARED_TENSORS = ("/dev/shm", "/torch_")
PARTS = ("cpu", "memory", "ranks", "overlap")


def main() -> None:
    """Run the parts that were asked for."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("parts", nargs="*", choices=[[], *PARTS])
    options.add_argument("--batches", type=int, default=6, help="batches that are timed")
    options.add_argument("--data", type=Path, help="data of an earlier run; else it is made")
    options.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    options.add_argument("--warm", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    torch.set_num_threads(1)
    if given.rank is not None:
        load_rank(given.data, given.rank, given.warm)
        return
    with tempfile.TemporaryDirectory(prefix="tgl-loader-") as folder:
        root = given.data or Path(folder)
        for part in given.parts or PARTS:
            globals()[f"measure_{part}"](root, given.batches)


def clips_of(root: Path, *, mapped: bool = True, size: int = SIZE) -> ClipMixture:
    """The clips of a folder of ``make_data``."""
    texts = root / f"texts{MAPPED_SUFFIX}"
    if mapped and not texts.exists():
        TextStore.open(root / "text").write_mapped(texts)
    data = ClipDataset(
        root / "index",
        texts if mapped else root / "text",
        TrainConfig(),
        size=size,
        target_side=size * MASK_SIDE // SIZE,
    )
    return ClipMixture([data], Shares.of([1]))


# --- CPU --------------------------------------------------------------------------------------


def measure_cpu(root: Path, batches: int) -> None:
    """CPU seconds of a batch, the plain way and ours, and how far their targets are apart."""
    clips = clips_of(make_data(root / "large", videos=4, frames=24))
    _ = clips.members[0].law
    parts: dict[str, list[float]] = {"frames": [], "masks": []}
    apart, plain, ours = 0.0, [], []
    for batch in range(batches):
        numbers = range(batch * BATCH, (batch + 1) * BATCH)
        started = time.process_time()
        loaded = LoadedClips.of([clips[number] for number in numbers])
        ours.append(time.process_time() - started)
        seconds, targets = plain_batch(clips, numbers)
        for name, value in seconds.items():
            parts[name].append(value)
        plain.append(sum(seconds.values()))
        difference = (loaded.targets.float() / 240 - targets).abs()
        apart = max(apart, float(difference.mean(dim=(2, 3)).max()))
    print(f"CPU seconds of a batch of {BATCH} clips of 8 frames, 1920x1080:")
    named = ", ".join(f"{name} {np.mean(values):.2f}" for name, values in parts.items())
    print(f"  plain {np.mean(plain):.2f} ({named})")
    print(f"  ours  {np.mean(ours):.2f}, {np.mean(plain) / np.mean(ours):.1f}x")
    print(f"  largest mean difference of a frame's targets: {apart:.4f} of a pixel")


def plain_batch(
    clips: ClipMixture, numbers: Sequence[int]
) -> tuple[dict[str, float], torch.Tensor]:
    """CPU seconds of both parts, and the targets (B, T, s, s) as the losses would resize them."""
    seconds, targets = {"frames": 0.0, "masks": 0.0}, []
    data = clips.members[0]
    for number in numbers:
        sample = clips[number][0]  # which frames it takes
        video = data.index.videos[sample.video_id]
        started = time.process_time()
        images = np.stack([read_video_frame(video, int(frame)) for frame in sample.frames])
        resize_frames(images, SIZE)
        seconds["frames"] += time.process_time() - started
        started = time.process_time()
        masks = plain_targets(data.index, video, sample.expression_id, sample.frames)
        seconds["masks"] += time.process_time() - started
        small = torch.nn.functional.interpolate(
            torch.from_numpy(masks).float()[None], size=(MASK_SIDE, MASK_SIDE), mode="area"
        )
        targets.append(small.flip(-1) if sample.flipped else small)
    return seconds, torch.cat(targets)


def plain_targets(index: Index, video: Video, name: str, frames: np.ndarray) -> np.ndarray:
    """uint8 (T, S, S): masks decoded, united and averaged over cells by dense matrices."""
    expression = next(e for e in index.expressions_of(video.video_id) if e.expression_id == name)
    moments = index.moments(*expression.key)
    assert relevant_frames(moments, frames).any()
    tracks = [
        index.masks.frames_of(anno_id)
        for anno_id in target_referents(expression.anno_ids, moments, frames, oss=True)
    ]
    targets = []
    for frame in map(int, frames):
        found = [decode(track[frame], where=video.video_id) for track in tracks if frame in track]
        full = reduce(np.bitwise_or, found, np.zeros((), np.uint8))
        if not full.any():
            targets.append(np.zeros((SIZE, SIZE), np.uint8))
            continue
        high, wide = full.shape
        share = dense_weights(high) @ full.astype(np.float32) @ dense_weights(wide).T
        targets.append((share >= min(HALF, float(share.max()))).astype(np.uint8))
    return np.stack(targets)


def dense_weights(source: int) -> np.ndarray:
    """(S, source): the share that each source pixel has in each cell."""
    bounds = np.linspace(0, source, SIZE + 1)
    pixels = np.arange(source)
    overlap = np.minimum(bounds[1:, None], pixels + 1) - np.maximum(bounds[:-1, None], pixels)
    return (np.clip(overlap, 0, None) * (SIZE / source)).astype(np.float32)


# --- memory -----------------------------------------------------------------------------------


def measure_memory(root: Path, _: int) -> None:
    """Memory of workers beyond their batches, with texts mapped and copied.

    At most while they load, with the frames of one clip, and at rest, by kind of memory.
    """
    data = make_data(root / "memory", videos=1700, frames=60, sentences=14, words=14, files=2)
    print("memory of a worker beyond its batches (PSS without the shared memory of batches):")
    for name, mapped in (("copied", False), ("mapped", True)):
        numbers = BatchNumbers(0, 64, 1, 0, 1)
        batches = load_batches(clips_of(data, mapped=mapped), numbers, WORKERS, LoadedClips.of)
        for _ in range(WARM_BATCHES):
            next(batches)
        workers = [child.pid for child in multiprocessing.active_children() if child.pid]
        loading = loading_memory(batches, workers)
        resting = [memory_by_kind(worker) for worker in workers]
        batches.close()
        print(f"  texts {name}, MiB of each: {shown(loading)} at most while loading", end="")
        print(f", {shown([sum(kinds.values()) for kinds in resting])} at rest, of it")
        for kind in resting[0]:
            print(f"    {shown([kinds[kind] for kinds in resting])} {kind}")


def loading_memory(batches: Iterator[LoadedClips], workers: Sequence[int]) -> list[float]:
    """Most MiB of each worker while it loads, until all have loaded ahead and rest."""
    most = [0.0] * len(workers)
    for _ in range(WARM_BATCHES):
        next(batches)
        most = [max(m, own_memory(w)) for m, w in zip(most, workers, strict=True)]
    used = -1.0
    while used != (used := sum(map(cpu_seconds, workers))):
        most = [max(m, own_memory(w)) for m, w in zip(most, workers, strict=True)]
        time.sleep(REST_SECONDS)
    return most


def cpu_seconds(process: int) -> float:
    """CPU time of a process so far, in clock ticks."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return float(fields[11]) + float(fields[12])


def own_memory(process: int) -> float:
    """MiB of a process: its own, and its part of what it shares, without shared tensors."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    values = {name: int(rest.split()[0]) for name, rest in (line.split(":") for line in lines)}
    return (values["Pss_Anon"] + values["Pss_File"]) * 1024 / MEBIBYTE


def memory_by_kind(process: int) -> dict[str, float]:
    """MiB of a process as :func:`own_memory`, by kind."""
    kinds = dict.fromkeys((PRIVATE, FORKED, MAPPED_TEXTS, FILES), 0)
    found = re.split(MAPPING, Path(f"/proc/{process}/smaps").read_text(), flags=re.MULTILINE)[1:]
    for path, text in zip(found[::2], found[1::2], strict=True):
        if path.startswith(SHARED_TENSORS):
            continue
        values = {key: int(value) for key, value in re.findall(r"^(\w+): +(\d+) kB", text, re.M)}
        if path.endswith(MAPPED_SUFFIX):
            kinds[MAPPED_TEXTS] += values["Pss"]
        elif path.startswith("/"):
            kinds[FILES] += values["Pss"]
        else:
            kinds[PRIVATE] += values["Private_Dirty"]
            kinds[FORKED] += values["Pss"] - values["Private_Dirty"]
    return {kind: value / 1024 for kind, value in kinds.items()}


def shown(values: Sequence[float]) -> str:
    """Numbers in ascending order."""
    return ", ".join(f"{value:.0f}" for value in sorted(values))


# --- many ranks -------------------------------------------------------------------------------


def measure_ranks(root: Path, _: int) -> None:
    """Peak memory of the loaders of 8 training processes in an epoch, and its growth."""
    data = make_data(root / "ranks", videos=32, frames=24, sentences=96, side=(320, 180))
    clips_of(data)
    command = [sys.executable, "-W", "ignore", __file__, "--data", str(data), "--rank"]
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as warm:
        ranks = [subprocess.Popen([*command, str(rank), "--warm", warm]) for rank in range(RANKS)]
        history, settled = [], []
        while any(rank.poll() is None for rank in ranks):
            history.append(family_memory([rank.pid for rank in ranks]))
            all_run = all(rank.poll() is None for rank in ranks)
            if all_run and len(list(Path(warm).iterdir())) == RANKS:
                settled.append(history[-1])
            time.sleep(1.0)
    assert not any(rank.returncode for rank in ranks)
    seconds, half = time.monotonic() - started, len(settled) // 2
    first, second = max(settled[:half], default=0), max(settled[half:], default=0)
    print(f"{RANKS} ranks with {WORKERS} workers each, an epoch in {seconds:.0f} s:")
    print(
        f"  peak {max(history):.0f} MiB in all (PSS); while all ranks load, {first:.0f} MiB in the "
        f"first half, {second:.0f} in the second"
    )


def load_rank(root: Path, rank: int, warm: Path) -> None:
    """Load an epoch's batches of one rank; tell when its workers are at full speed."""
    clips = clips_of(root, size=SIZE // 4)
    sentences = len(clips.members[0].index.expressions)
    numbers = BatchNumbers(0, sentences // (BATCH * RANKS), BATCH, rank, RANKS)
    batches = enumerate(load_batches(clips, numbers, WORKERS, LoadedClips.of), start=1)
    for count, _ in batches:
        if count == WARM_BATCHES:
            (warm / str(rank)).touch()
    assert count == len(numbers)


def family_memory(processes: Sequence[int]) -> float:
    """MiB (PSS) of processes and all their descendants."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    total, waiting = 0.0, list(processes)
    while waiting:
        process = waiting.pop()
        waiting += parents.get(process, [])
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return total


# --- a simulated device -----------------------------------------------------------------------


def measure_overlap(root: Path, _: int) -> None:
    """The time of a step when a device sleeps for less, as long, and longer than loading takes.

    The time that the workers take is measured in the same run: that of a busy machine varies.
    """
    data = make_data(root / "small", videos=32, frames=24, sentences=14, side=(320, 180))
    workers = max(1, len(os.sched_getaffinity(0)) - 1)
    _, alone, _ = steps_of(data, workers, 0.0)
    print(f"a device that sleeps, {workers} worker(s):")
    for factor in (0.5, 1.0, 2.0):
        step, loading, waited = steps_of(data, workers, factor * alone)
        print(
            f"  device {factor * alone:.3f} s, loading {loading:.3f} s: step {step:.3f} s, "
            f"{step / max(loading, factor * alone):.2f} of the larger of both, waited {waited:.0%}"
        )


def steps_of(data: Path, workers: int, device: float) -> tuple[float, float, float]:
    """Mean seconds of a step and of loading it in the steady state, and the share waited.

    Args:
        device: seconds that it sleeps in a step.
    """
    clock, steps, loads, waits = Clock(), [], [], []
    clips = Timed(clips_of(data, size=SIZE // 4))
    numbers = BatchNumbers(0, OVERLAP_STEPS, BATCH, 0, 1)
    for _, seconds in clock.waiting(load_batches(clips, numbers, workers, timed_batch)):
        time.sleep(device)
        lap, waited = clock.lap()
        steps.append(lap)
        loads.append(seconds / workers)
        waits.append(lap * waited)
    first = OVERLAP_STEPS // 4  # until the batches that were loaded ahead are used up
    shares = sum(waits[first:]) / sum(steps[first:])
    return float(np.mean(steps[first:])), float(np.mean(loads[first:])), shares


class Timed(Dataset[tuple[tuple[Sample, ...], float]]):
    """Clips with the seconds that it took to make them."""

    def __init__(self, clips: ClipMixture):
        self._clips = clips

    def __getitem__(self, number: int) -> tuple[tuple[Sample, ...], float]:
        started = time.monotonic()
        clip = self._clips[number]
        return clip, time.monotonic() - started


def timed_batch(items: list[tuple[tuple[Sample, ...], float]]) -> tuple[LoadedClips, float]:
    """A batch with the seconds that it took to make it."""
    started = time.monotonic()
    batch = LoadedClips.of([clip for clip, _ in items])
    return batch, sum(seconds for _, seconds in items) + time.monotonic() - started


if __name__ == "__main__":
    main()
