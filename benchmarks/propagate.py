r"""Speed of `tgl propagate` against the plain loop and against transformers' own video session.

    python benchmarks/propagate.py                        # toy size, 128 px
    python benchmarks/propagate.py --size 128 --frames 60 --expressions 8
    python benchmarks/propagate.py --model base-plus --size 1024 --frames 4 --expressions 2
    python benchmarks/propagate.py --model base-plus --size 1024 --frames 64 --expressions 14 \
        --height 1080 --width 1920 --device cuda --precision bf16      # and the GPU's peak memory

The plain loop works as public code does: for every sentence the frames are decoded and encoded
again, one at a time. It is measured twice. "plain loop" runs the modules of tgl, whose steps were
made faster too; "published modules" runs the image encoder, the mask decoder and the memory encoder
of transformers as they are published, the adapter's blocks as they are trained, and Pillow's PNG,
as a script would that is written around the published model. Both use transformers' memory
attention. Masks differ by rounding only.

GFLOP are of products of matrices and convolutions. They bound the ratio, since every sentence pays
for its adapter, memory attention and decoder either way: the floor is the arithmetic at the speed
of one large product of matrices on this machine, with nothing beside it.

Weights are random, which does not affect the time. Half of the frames are relevant for each
sentence. The session tracks one object per sentence from a mask, without text.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode
from transformers import Sam2VideoInferenceSession

from stages.core.engine.runtime import Runtime
from stages.core.index import mask_writer
from stages.core.index.index import Expression, Video
from stages.core.index.mask_writer import WRITERS, MaskWriter
from stages.core.index.texts import TextEmbedding
from stages.core.media.frames import read_frame
from stages.core.model import budgets, video_features
from stages.core.model.adapter import adapter, layers
from stages.core.model.backbones import backbone
from stages.core.model.backbones.families import build_backbone
from stages.core.model.backbones.preprocess import preprocess
from stages.core.model.backbones.presets import PUBLISHED, sam21_preset, toy_preset
from stages.core.model.config import ModelConfig
from stages.core.model.device import pick_device
from stages.core.model.dual_path import mask_assembler, segmenter
from stages.core.model.tgl import TglModel
from stages.propagate.config import PropagateConfig
from stages.propagate.jobs import Job
from stages.propagate.runner import OfflineRunner

TEXT_DIM, WORDS = 64, 8
PRODUCT_SIDE, PRODUCTS = 1024, 5
SESSION_OBJECTS = 2
"""The session runs objects one after another: the time of one follows from two."""


class Texts:
    """Random embeddings of any sentence."""

    dim = TEXT_DIM

    def get(self, sentence: str) -> TextEmbedding:
        generator = np.random.default_rng(len(sentence))
        vectors = generator.normal(size=(WORDS, TEXT_DIM)).astype(np.float32)
        return TextEmbedding(("word",) * WORDS, vectors, vectors.mean(0), np.zeros(WORDS, bool))


def make_video(folder: Path, count: int, height: int, width: int) -> Video:
    """Write a square that moves over noise, as JPEGs."""
    generator = np.random.default_rng(0)
    small = generator.integers(0, 255, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    noise = np.kron(small, np.ones((8, 8, 1), np.uint8))[:height, :width]
    names = tuple(f"{frame:05d}" for frame in range(count))
    for frame, name in enumerate(names):
        image = noise.copy()
        left = (width - height // 3) * frame // max(1, count - 1)
        image[height // 3 : 2 * height // 3, left : left + height // 3] = (250, 200, 30)
        Image.fromarray(image).save(folder / f"{name}.jpg", quality=90)
    return Video("bench", count, height, width, None, names, ".jpg", folder)


def make_job(video: Video, expressions: int) -> Job:
    """Make sentences whose moments are different halves of the video."""
    sentences, known = [], []
    for number in range(expressions):
        moment = np.zeros(video.num_frames, bool)
        half = max(1, video.num_frames // 2)
        start = number * (video.num_frames - half) // max(1, expressions - 1)
        moment[start : start + half] = True
        sentences.append(Expression("bench", str(number), "sentence " * (number + 1), (), ("1",)))
        known.append(moment)
    return Job(video, sentences, known)


def make_model(kind: str, size: int) -> TglModel:
    """Make a model of toy or real size with random weights."""
    torch.manual_seed(0)
    config = toy_preset(size) if kind == "toy" else sam21_preset(kind, size)
    return TglModel(ModelConfig(), build_backbone(config), TEXT_DIM).eval()


class Bench:
    """One video and one model, measured in several ways.

    Args:
        model: on its device.
        job: video and sentences.
        runtime: precision and threads.
        device: of the model.
        out: folder of the masks.
    """

    def __init__(
        self, model: TglModel, job: Job, runtime: Runtime, device: torch.device, out: Path
    ):
        self.model, self.job, self.runtime, self.device, self.out = model, job, runtime, device, out

    def _run(self, job: Job, **limits: Any) -> None:
        config = PropagateConfig(moments="annotated", **limits)
        with (
            ThreadPoolExecutor(self.runtime.workers) as decoders,
            ThreadPoolExecutor(WRITERS) as writers,
        ):
            runner = OfflineRunner(
                self.model,
                Texts(),  # type: ignore[arg-type]
                config,
                runtime=self.runtime,
                device=self.device,
                decoders=decoders,
            )
            deque(runner.run(job, MaskWriter(self.out, writers)), maxlen=0)

    def together(self) -> None:
        """Run as `tgl propagate` does."""
        self._run(self.job)

    def plain(self) -> None:
        """Run every sentence alone; decode, encode and segment one frame at a time.

        Memory attention is transformers' own module, as public code calls it.
        """
        with (
            mock.patch.object(budgets, "ITEMS_PER_BATCH", 1),
            mock.patch.object(segmenter, "collate_shared", segmenter.collate),
        ):
            for expression, known in zip(self.job.expressions, self.job.known, strict=True):
                self._run(Job(self.job.video, [expression], [known]), chunk_frames=1)

    def published(self) -> None:
        """Run the plain loop with modules as they are published; see the script's docstring."""
        with (
            mock.patch.object(backbone, "is_compiled", return_value=True),  # the module itself
            mock.patch.object(backbone, "runs_in_steps", return_value=False),
            mock.patch.object(adapter, "reads_alone", return_value=False),
            mock.patch.object(layers.Attention, "_folds", return_value=False),
            mock.patch.object(mask_writer, "_write", write_by_pillow),
        ):
            self.plain()

    def session(self) -> float:
        """Seconds of transformers' session, which runs E objects one by one."""
        sam, size = self.model.backbone.sam, self.model.backbone.image_size
        video = self.job.video
        start = time.perf_counter()
        images = [read_frame(video.frame_path(frame)) for frame in range(video.num_frames)]
        pixels = preprocess(np.stack(images), size)
        first = torch.zeros(1, 1, size, size)
        first[..., size // 3 : size // 2, : size // 3] = 1
        objects = min(SESSION_OBJECTS, len(self.job.expressions))
        before = time.perf_counter() - start
        times = []
        for count in range(1, objects + 1):
            begin = time.perf_counter()
            self._track(sam, pixels, first, count)
            times.append(time.perf_counter() - begin)
        more = times[-1] - times[0] if objects > 1 else 0.0
        return before + times[0] + more * (len(self.job.expressions) - 1)

    def _track(self, sam: Any, pixels: torch.Tensor, mask: torch.Tensor, objects: int) -> None:
        session = Sam2VideoInferenceSession(
            video=pixels,
            video_height=self.job.video.height,
            video_width=self.job.video.width,
            inference_device=self.device,
            dtype=torch.float32,
        )
        for number in range(1, objects + 1):
            index = session.obj_id_to_idx(number)
            session.add_mask_inputs(index, 0, mask.to(self.device))
        session.obj_with_new_inputs = list(range(1, objects + 1))
        sam(session, frame_idx=0)
        for _ in sam.propagate_in_video_iterator(session, start_frame_idx=0):
            pass


def write_by_pillow(path: Path, bits: np.ndarray, width: int) -> None:
    """Write a packed mask as public code does."""
    Image.fromarray(np.unpackbits(bits, axis=1)[:, :width] * np.uint8(255)).save(path)


def gigaflops(function: Callable[[], object]) -> float:
    """Count the arithmetic of products of matrices and convolutions."""
    with FlopCounterMode(display=False) as counter:
        function()
    return float(counter.get_total_flops()) / 1e9


def product_speed(device: torch.device) -> float:
    """Measure the GFLOP per CPU second of one large product of matrices in float32."""
    left = torch.randn(PRODUCT_SIDE, PRODUCT_SIDE, device=device)

    def product() -> None:
        for _ in range(PRODUCTS):
            torch.mm(left, left)

    return 2 * PRODUCTS * PRODUCT_SIDE**3 / 1e9 / measure(product, device, PRODUCTS).cpu


@contextmanager
def timed_parts(model: TglModel, device: torch.device) -> Iterator[Counter[str]]:
    """Measure the seconds spent in each part."""
    seconds: Counter[str] = Counter()

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            _synchronize(device)
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                _synchronize(device)
                seconds[name] += time.perf_counter() - start

        return call

    own, reader = model.backbone, model.adapter
    parts = [
        (video_features, "read_resized", "decode and resize frames"),
        (own, "encode", "image encoder"),
        (reader, "embed_frames", "adapter"),
        (reader, "fuse_text", "adapter"),
        (reader, "guide", "adapter"),
        (own, "attend", "memory attention"),
        (own, "decode", "mask decoder"),
        (own, "remember", "memory encoder"),
        (mask_assembler, "packed_masks", "enlarge and pack masks"),
        (mask_writer, "_write", "PNG"),
    ]
    with ExitStack() as stack:
        for owner, name, title in parts:
            stack.enter_context(mock.patch.object(owner, name, timed(title, getattr(owner, name))))
        yield seconds


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Times(NamedTuple):
    """Seconds of a run.

    Attributes:
        wall: by the clock.
        cpu: of all threads; on a busy machine, and for a ratio without a GPU, the better measure.
    """

    wall: float
    cpu: float


def measure(function: Callable[[], object], device: torch.device, repeats: int) -> Times:
    """Best times of several runs, after a warm-up run if there are several."""
    if repeats > 1:
        function()
    times = []
    for _ in range(repeats):
        _synchronize(device)
        start = time.perf_counter(), time.process_time()
        function()
        _synchronize(device)
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return Times(*map(min, zip(*times, strict=True)))


def main() -> None:
    """Parse, make the video and the model, measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=("toy", *PUBLISHED), default="toy")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--expressions", type=int, default=8)
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--width", type=int, default=160)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--flops", action="store_true", help="count the arithmetic too")
    parser.add_argument("--threads", type=int, default=0, help="0 lets torch choose")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = pick_device(options.device)
    runtime = Runtime(device=str(device), precision=options.precision)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        video = make_video(root, options.frames, options.height, options.width)
        job = make_job(video, options.expressions)
        model = make_model(options.model, options.size).to(device)
        bench = Bench(model, job, runtime, device, root / "out")
        report(bench, device, options)


def report(bench: Bench, device: torch.device, options: argparse.Namespace) -> None:
    """Run everything and print one table."""
    work = options.frames * options.expressions
    together = measure(bench.together, device, options.repeats)
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) / 1e9
        print(f"peak of the GPU's memory {peak:.1f} GB")
    plain = measure(bench.plain, device, options.repeats)
    published = measure(bench.published, device, options.repeats)
    session = Times(bench.session(), math.nan)
    print(
        f"{options.model}, {options.size} px, {options.frames} frames of "
        f"{options.width}x{options.height}, {options.expressions} sentences, {device}, "
        f"{options.precision}, {torch.get_num_threads()} threads"
    )
    print("                               s      CPU s   frames x sentences / s   ratio   of CPU s")
    rows = (
        ("tgl propagate", together),
        ("plain loop", plain),
        ("published modules", published),
        ("session, mask prompt", session),
    )
    for name, (wall, cpu) in rows:
        print(f"  {name:22} {wall:8.2f}   {cpu:8.2f}   {work / wall:22.1f}", end="")
        print(f"   {wall / together.wall:5.2f}   {cpu / together.cpu:8.2f}")
    if options.flops:
        ours, theirs = gigaflops(bench.together), gigaflops(bench.plain)
        print(
            f"  arithmetic: tgl {ours:.0f} GFLOP, {ours / together.cpu:.0f} per CPU s; "
            f"plain loop {theirs:.0f}, {theirs / plain.cpu:.0f}; {theirs / ours:.2f} times"
        )
        speed = product_speed(device)
        floor = ours / speed
        print(
            f"  floor: {floor:.2f} CPU s at {speed:.0f} GFLOP per s, {plain.cpu / floor:.1f} times "
            f"the plain loop, {published.cpu / floor:.1f} times published modules"
        )
    with timed_parts(bench.model, device) as seconds_of:
        start = time.perf_counter()
        bench.together()
        whole = time.perf_counter() - start
    print(f"  shares of {whole:.2f} s (decoding and PNG run in parallel with the network)")
    for name, seconds in seconds_of.most_common():
        print(f"    {name:26} {seconds:7.3f} s {100 * seconds / whole:5.1f} %")


if __name__ == "__main__":
    main()
