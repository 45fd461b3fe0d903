"""Speed and memory of `tgl track` against tracking each object by itself.

    python benchmarks/zero_shot.py                        # toy tracker, 128 px, 8 objects
    python benchmarks/zero_shot.py --objects 1 4 8 16
    python benchmarks/zero_shot.py --spread               # every object starts on another frame
    python benchmarks/zero_shot.py --memory               # peak memory for 200 and 2,000 frames
    python benchmarks/zero_shot.py --model tiny --size 1024 --frames 3 --objects 2

All objects start on one frame, as most do in `tgl track`, which takes the frame that shows most of
them; `--spread` is the worst case for batches. The plain loop is transformers' own video session
per object, from a box on its best frame, forward and in reverse, with the frames read and encoded
again each time: what a loop over sentences around the demo of Grounded SAM 2 does. A single session
for all objects is shown too; it encodes a frame once per direction and runs the objects one by one.
All of them end in masks of the video's size as run lengths. On a CPU all times are CPU seconds.
Squares move over noise; the toy tracker has its trained weights, other models random ones, which
does not affect the time but finds nothing to search for.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import Sam2VideoInferenceSession

from schemas.parquet import rows_of
from schemas.tables import CANDIDATES
from stages.core.engine.workers.devices import DeviceWorker
from stages.core.index.frame_files import read_video_frame
from stages.core.index.index import Video
from stages.core.media.rle import decode, encode
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.families import build_backbone, load_backbone
from stages.core.model.backbones.preprocess import normalise, resize_frames
from stages.core.model.backbones.presets import PUBLISHED, sam21_preset
from stages.core.model.backbones.records import Prompts
from stages.core.model.device import pick_device
from stages.core.model.loading.hub import TOY_BACKBONE
from stages.core.model.masks import enlarge_masks
from stages.core.model.video_features import VideoFeatures
from stages.zero_shot.track.config import TrackConfig
from stages.zero_shot.track.propagation import propagate
from stages.zero_shot.track.video import TrackJob, track_video

DISTINCT_FRAMES = 16
"""Of the long video in the memory test: its frames repeat a few files."""
SEARCHED = 12
KIBIBYTE, MEBIBYTE, GIGABYTE = 1024, 1024**2, 1e9
Masks = dict[tuple[int, int], bytes]
"""Run lengths by object and frame."""


class Scene:
    """Squares of different colours, each on a row of its own, which move over noise.

    Args:
        folder: the frames are written there.
        objects: number of squares.
        size: (H, W) of the frames.
        files: number of frames that are written; the video repeats them.
        frames: of the video.
        spread: the best frames of the objects lie apart, else all have the same one.
    """

    def __init__(
        self,
        folder: Path,
        objects: int,
        size: tuple[int, int],
        files: int,
        frames: int,
        *,
        spread: bool = False,
    ):
        height, width = size
        self._objects, self._size, self._files = objects, size, files
        generator = np.random.default_rng(0)
        ground = generator.integers(0, 90, (height, width, 3), np.uint8)
        colours = generator.integers(120, 255, (objects, 3), np.uint8)
        for frame in range(files):
            image = ground.copy()
            for number in range(objects):
                x0, y0, x1, y1 = map(round, self.box(number, frame))
                image[y0:y1, x0:x1] = colours[number]
            Image.fromarray(image).save(folder / f"{frame:05d}.jpg", quality=95)
        names = tuple(f"{frame % files:05d}" for frame in range(frames))
        self.video = Video("bench", frames, height, width, None, names, ".jpg", folder)
        apart = [number * (frames - 1) // max(1, objects - 1) for number in range(objects)]
        self.best = apart if spread else [frames // 2] * objects

    def box(self, number: int, frame: int) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 of an object in pixels; it goes back and forth over the files."""
        height, width = self._size
        columns = -(-self._objects // 4)
        side = min(height / 4, width / columns) * 0.6
        row, column = number % 4, number // 4
        way = abs((frame % self._files) / max(1, self._files - 1) * 2 - 1)
        x0 = (column + 0.2 + 0.2 * way) * width / columns
        y0 = (row + 0.2) * height / 4
        return x0, y0, x0 + side, y0 + side

    def prompt(self, number: int, frame: int, side: int) -> Prompts:
        """The box of an object in the S x S image."""
        height, width = self._size
        scale = torch.tensor([side / width, side / height] * 2)
        return Prompts(boxes=torch.tensor([self.box(number, frame)]) * scale)

    def candidates(self) -> Any:
        """Rows of the candidates table: every object on the searched frames."""
        frames = sorted(
            {n * (self.video.num_frames - 1) // (SEARCHED - 1) for n in range(SEARCHED)}
        )
        rows = []
        for frame in frames:
            for number in range(self._objects):
                corners = zip(("x0", "y0", "x1", "y1"), self.box(number, frame), strict=True)
                row = {"video_id": "bench", "expression_id": "0", "frame": frame, "rank": number}
                rows.append(row | dict(corners) | {"score": 0.9, "source": "bench"})
        return rows_of(rows, CANDIDATES)


def load(model: str, size: int) -> Backbone:
    """The toy tracker, or a model of real size with random weights."""
    if model == "toy":
        return load_backbone(TOY_BACKBONE).eval()
    torch.manual_seed(0)
    return build_backbone(sam21_preset(model, size)).eval()


class Bench:
    """One video and one tracker, measured in several ways."""

    def __init__(self, scene: Scene, backbone: Backbone, objects: int, device: torch.device):
        self.scene, self.backbone, self.objects, self.device = scene, backbone, objects, device
        self.masks: dict[str, Masks] = {}

    @torch.inference_mode()
    def together(self) -> None:
        """All objects as one batch over shared features, as `tgl track` does."""
        scene, side = self.scene, self.backbone.image_size
        prompts = [{best: scene.prompt(n, best, side)} for n, best in enumerate(scene.best)]
        with ThreadPoolExecutor(1) as decoders:
            features = VideoFeatures(
                scene.video,
                self.backbone.encode_frames,
                size=side,
                device=self.device,
                budget=2 * GIGABYTE,
                chunk=8,
                decoders=decoders,
            )
            size = (scene.video.height, scene.video.width)
            done = propagate(self.backbone, features, prompts, size, lambda frames: None)
            features.close()
        self.masks["together"] = {
            (number, frame): counts
            for number, track in enumerate(done.tracks)
            for frame, counts in track.counts.items()
        }

    def alone(self) -> None:
        """A session for each object, which reads and encodes the frames again."""
        self.masks["alone"] = {}
        for number in range(self.objects):
            self.masks["alone"] |= self._session([number])

    def one_session(self) -> None:
        """One session for all objects."""
        self._session(range(self.objects))

    @torch.inference_mode()
    def _session(self, numbers: Sequence[int]) -> Masks:
        """Track objects by transformers' session, in both directions from their best frames."""
        video, side, sam = self.scene.video, self.backbone.image_size, self.backbone.sam
        frames = [read_video_frame(video, frame) for frame in range(video.num_frames)]
        pixels = torch.cat([resize_frames(frame[None], side) for frame in frames])
        pixels = normalise(pixels, self.backbone.pixel_mean, self.backbone.pixel_std)
        masks: Masks = {}
        for reverse in (False, True):
            session = Sam2VideoInferenceSession(
                video=pixels.to(self.device),
                video_height=side,
                video_width=side,
                inference_device=self.device,
                dtype=torch.float32,
            )
            for number in numbers:
                boxes = self.scene.prompt(number, self.scene.best[number], side).boxes
                assert boxes is not None
                corners = boxes.view(1, 1, 2, 2).to(self.device)
                clicks = {"point_coords": corners, "point_labels": torch.tensor([[[2, 3]]])}
                row = session.obj_id_to_idx(number)
                session.add_point_inputs(row, self.scene.best[number], clicks)
                session.obj_with_new_inputs = [number]
                if len(numbers) == 1:
                    sam(session, frame_idx=self.scene.best[number], reverse=reverse)
            if len(numbers) > 1:  # all on one frame: a session knows one first frame
                session.obj_with_new_inputs = list(numbers)
                for row, number in enumerate(numbers):
                    given = session.point_inputs_per_obj[row].pop(self.scene.best[number])
                    session.point_inputs_per_obj[row][self.scene.best[0]] = given
                sam(session, frame_idx=self.scene.best[0], reverse=reverse)
            start = self.scene.best[numbers[0]]
            for out in sam.propagate_in_video_iterator(session, start, reverse=reverse):
                large = enlarge_masks(out.pred_masks[:, 0], video.height, video.width)
                for number, mask in zip(numbers, large.cpu().numpy(), strict=True):
                    if mask.any():
                        masks[number, out.frame_idx] = encode(mask)["counts"]
        return masks

    def agreement(self) -> float:
        """Mean IoU of the masks of both ways."""
        one, other = self.masks["together"], self.masks["alone"]
        size = [self.scene.video.height, self.scene.video.width]
        values = []
        for key in one.keys() | other.keys():
            if key not in one or key not in other:
                values.append(0.0)
                continue
            a, b = (decode({"size": size, "counts": m[key]}, where=key) for m in (one, other))
            values.append(float((a & b).sum() / (a | b).sum()))
        return float(np.mean(values))


def measure(function: Callable[[], None], device: torch.device, repeats: int) -> float:
    """Best time of several runs in seconds: of the CPU, which others' work does not change, or of
    the clock on a GPU."""
    on_gpu = device.type == "cuda"
    clock = time.perf_counter if on_gpu else time.process_time
    times = []
    for _ in range(repeats):
        if on_gpu:
            torch.cuda.synchronize(device)
        start = clock()
        function()
        if on_gpu:
            torch.cuda.synchronize(device)
        times.append(clock() - start)
    return min(times)


def compare(given: argparse.Namespace) -> None:
    """Print a table of times for each number of objects."""
    device = pick_device(given.device)
    backbone = load(given.model, given.size).to(device)
    size = (given.height, given.width)
    print(
        f"{given.model}, {backbone.image_size} px, {given.frames} frames of "
        f"{given.width}x{given.height}, {device}, {torch.get_num_threads()} threads"
    )
    for objects in given.objects:
        with tempfile.TemporaryDirectory() as folder:
            scene = Scene(
                Path(folder), objects, size, given.frames, given.frames, spread=given.spread
            )
            bench = Bench(scene, backbone, objects, device)
            ways = {
                "together": bench.together,
                "whole": partial(whole, scene, given, backbone),
                "one session": bench.one_session,
                "alone": bench.alone,
            }
            if given.model != "toy":
                del ways["whole"]  # random weights draw nothing that could be tracked
            seconds = {name: measure(way, device, given.repeats) for name, way in ways.items()}
            print(f"{objects} objects", end="")
            if given.model == "toy":
                print(f"; masks of both ways agree, mean IoU {bench.agreement():.4f}", end="")
            print()
            show(seconds, objects * given.frames)


def whole(scene: Scene, given: argparse.Namespace, backbone: Backbone | None = None) -> None:
    """Do what `tgl track` does for one video, the search for objects included."""
    worker = DeviceWorker(given.device)
    if backbone is not None:
        worker.keep("backbone", (TOY_BACKBONE, 0, ""), lambda: backbone)
    config = TrackConfig(feature_memory=given.feature_megabytes / 1000)
    job = TrackJob(scene.video, scene.candidates(), config, TOY_BACKBONE, "fp32", 1)
    found = track_video(job, worker)
    assert found.counts.tracks, "the tracker found nothing"  # type: ignore[union-attr]


def show(seconds: dict[str, float], work: int) -> None:
    """Print the times for one number of objects."""
    titles = {
        "together": "shared features, one batch",
        "whole": "  with the search (tgl track)",
        "one session": "one session for all objects",
        "alone": "a session per object",
    }
    for name, title in titles.items():
        if name not in seconds:
            continue
        per_item = 1000 * seconds[name] / work
        ratio = seconds[name] / seconds["together"]
        print(
            f"  {title:30} {seconds[name]:8.2f} s {per_item:8.2f} ms per frame and object", end=""
        )
        print(f"  {ratio:6.2f}x")


def measure_memory(given: argparse.Namespace) -> None:
    """Run each length in its own process, and print peak resident memory."""
    peaks = []
    for frames in given.lengths:
        command = [sys.executable, __file__, "--one", str(frames)]
        command += ["--feature-megabytes", str(given.feature_megabytes)]
        command += ["--objects", str(given.objects[0])]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds, peak = map(float, done.stdout.split())
        peaks.append(peak)
        print(f"{frames:6} frames  {seconds:7.1f} s  peak {peak:6.0f} MiB")
    print(f"ratio of the last to the first: {peaks[-1] / peaks[0]:.2f}")


def run_one(given: argparse.Namespace) -> None:
    """Track one long video; print seconds and peak resident memory."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        size = (given.height, given.width)
        scene = Scene(Path(folder), given.objects[0], size, DISTINCT_FRAMES, given.one)
        start = time.perf_counter()
        whole(scene, given)
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIBIBYTE / MEBIBYTE
    print(f"{seconds:.1f} {peak:.1f}")


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=("toy", *PUBLISHED), default="toy")
    parser.add_argument("--size", type=int, default=1024, help="of models other than toy")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--objects", type=int, nargs="+", default=[8])
    parser.add_argument("--spread", action="store_true", help="objects start on different frames")
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="0 lets torch choose")
    parser.add_argument("--memory", action="store_true", help="peak memory instead of time")
    parser.add_argument("--lengths", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--feature-megabytes", type=float, default=20)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    if given.one:
        run_one(given)
    elif given.memory:
        measure_memory(given)
    else:
        compare(replace_memory(given))


def replace_memory(given: argparse.Namespace) -> argparse.Namespace:
    """Give the comparison of times the default budget for features."""
    given.feature_megabytes = TrackConfig.feature_memory * 1000
    return given


if __name__ == "__main__":
    main()
