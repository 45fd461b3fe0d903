"""Arithmetic and memory of the published models, and the share that is not the network.

    python benchmarks/cost.py                                # base-plus and large at 1024 px
    python benchmarks/cost.py --models base-plus --tflops 400 --height 480 --width 854

No weights, no GPU. The network runs on tensors without values (stages/core/model/cost), with the
sizes that facebookresearch/sam2 publishes in sam2/configs/sam2.1/sam2.1_hiera_b+.yaml and
sam2.1_hiera_l.yaml: see PUBLISHED in stages/core/model/backbones/presets.py. The rest is measured
here on masks of moving discs: CPU time of the thread that hands masks over, and of the threads that
encode and write PNGs, shared by four of them. Masks are enlarged, counted and packed on the device,
whose memory is assumed to move 2 TB/s, and leave it at 10 GB/s.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from stages.core.engine.runtime import BF16
from stages.core.index.mask_writer import WRITERS, MaskWriter
from stages.core.model.backbones.families import build_backbone
from stages.core.model.backbones.presets import PUBLISHED, sam21_preset
from stages.core.model.backbones.records import Decoded
from stages.core.model.cost.parts import parts_of
from stages.core.model.cost.shapes import ShapeDevice
from stages.core.model.dual_path import mask_assembler
from stages.core.model.dual_path.mask_assembler import MaskAssembler
from stages.core.model.dual_path.tracks import plan_tracks
from stages.core.model.tgl import TglModel
from stages.propagate.config import PropagateConfig
from stages.propagate.dry_run.video import VideoShape, sample_job, video_cost
from stages.train.config import TrainConfig
from stages.train.dry_run.step import StepShape, step_cost

TEXT_DIM = 768  # RoBERTa-base
BYTES_PER_SECOND = 10e9
DEVICE_BYTES_PER_SECOND = 2e12
DEVICE_BYTES_PER_PIXEL = 14
"""A logit written and read, then bits of a byte: compared, gated, counted and packed."""
FRAMES = 16
ROUNDS = 4
SENTENCES_PER_CLIP = (1, 2, 3)
SENTENCES_PER_VIDEO = (1, 4, 14)
TERA, GIGA = 1e12, 1e9


@dataclass(frozen=True)
class HostCost:
    """What happens to one mask beside the network.

    Attributes:
        main: CPU seconds of the thread that runs the network: areas and handing over.
        writers: CPU seconds of encoding and writing.
        device: bytes that enlarging, gating, counting and packing read and write there.
        bytes: copied from the device.
        file: bytes of the PNG.
    """

    main: float
    writers: float
    device: int
    bytes: int
    file: float

    @property
    def seconds(self) -> float:
        """Seconds with WRITERS threads, if nothing overlaps with the network."""
        moved = self.bytes / BYTES_PER_SECOND + self.device / DEVICE_BYTES_PER_SECOND
        return self.main + self.writers / WRITERS + moved


def build(config: TrainConfig, name: str, size: int) -> TglModel:
    """Make a model of a published size, on torch's meta device."""
    backbone = build_backbone(sam21_preset(name, size))
    settings = config.model_config(), backbone, TEXT_DIM, config.segmenter_config()
    return TglModel(*settings, keep_original=True)


def discs(count: int, height: int, width: int) -> Tensor:
    """Bool (count, H, W): a disc that moves, with a ragged edge as masks of networks have."""
    rows, columns = np.ogrid[:height, :width]
    angle = np.arctan2(rows - height / 2, columns - width / 2)
    masks = []
    for number in range(count):
        middle = width * (0.3 + 0.4 * number / max(1, count - 1))
        radius = height / 5 * (1 + 0.1 * np.sin(9 * angle) + 0.03 * np.sin(60 * angle))
        masks.append((rows - height / 2) ** 2 + (columns - middle) ** 2 < radius**2)
    return torch.from_numpy(np.stack(masks))


def host_cost(height: int, width: int) -> HostCost:
    """Measure the way of a mask from the device's memory to its file."""
    shape = VideoShape(FRAMES, 1, 0.5, height=height, width=width)
    job, routes = sample_job(shape)
    masks = discs(FRAMES, height, width)
    guided, times = np.stack([route.guided for route in routes]), np.arange(FRAMES)
    tracks = plan_tracks(guided, times, per_moment=True)
    items = [tracks[0].item(frame) for frame in range(FRAMES)]
    one = torch.ones(FRAMES, 1)
    decoded = Decoded(torch.zeros(FRAMES, 1, 1, 1), one, torch.zeros(FRAMES, 1, 1), one[:, 0])
    main = whole = 0.0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(WRITERS) as threads:
        for number in range(ROUNDS + 1):  # the first round starts threads and fills caches
            writer = MaskWriter(Path(folder), threads)
            taken = _taken_from(masks)
            start = time.process_time(), time.thread_time()
            assembler = MaskAssembler(job.video, job.expressions, tracks, writer, gate=True)
            with mock.patch.object(mask_assembler, "packed_masks", taken):
                assembler.add(items, decoded)
                assembler.finish()
            handed = time.thread_time()
            writer.wait()
            if number:
                main += handed - start[1]
                whole += time.process_time() - start[0]
        sizes = [path.stat().st_size for path in Path(folder).rglob("*.png")]
    count = ROUNDS * FRAMES
    copied = height * -(-width // 8)
    device = height * width * DEVICE_BYTES_PER_PIXEL
    times = main / count, (whole - main) / count
    return HostCost(*times, device, copied, float(np.mean(sizes)))


def _taken_from(masks: Tensor) -> object:
    """Stands for the work of the device: gives packed masks and their areas in turn."""
    bits = torch.from_numpy(np.packbits(masks.numpy(), axis=-1))
    areas = masks.flatten(1).sum(dim=1)
    done = [0]

    def packed(logits: Tensor, height: int, width: int, **settings: object) -> object:
        own = slice(done[0], done[0] + len(logits))
        done[0] = own.stop
        return bits[own], areas[own]  # views: the copy from the device is counted in bytes

    return packed


def print_training(name: str, size: int, tflops: float) -> None:
    """Print the table of a training step."""
    config = TrainConfig()
    device = ShapeDevice(precision=BF16)
    model = device.model(partial(build, config, name, size))
    parts = parts_of(model)
    weights, trained = sum(p.bytes for p in parts), sum(p.trained for p in parts)
    print(f"\n{name} at {size} px: {sum(p.parameters for p in parts) / 1e6:.1f} M parameters with")
    print(f"the copy to track with, {trained / 1e6:.1f} M trained, {weights / GIGA:.2f} GB")
    print(f"training step, {config.batch} clips of {config.clip_frames} frames, {BF16}:")
    print("sentences  encoder  forward  backward    all TFLOP   TFLOP per  peak GB  ms at")
    print(f"per clip                                              sentence           {tflops:g}")
    for sentences in SENTENCES_PER_CLIP:
        cost = step_cost(model, config, device, StepShape(config.batch, sentences))
        flops = [part / TERA for part in (cost.encoder, cost.forward, cost.backward, cost.flops)]
        row = f"{sentences:9d}  {flops[0]:7.1f}  {flops[1]:7.1f}  {flops[2]:8.1f}  {flops[3]:11.1f}"
        row += f"  {flops[3] / sentences / config.batch:10.2f}"
        peak = weights + 8 * trained + cost.peak
        print(f"{row}  {peak / GIGA:7.1f}  {flops[3] / tflops * 1e3:5.0f}", flush=True)


def print_inference(name: str, size: int, tflops: float, host: HostCost) -> None:
    """Print the table of propagation."""
    config = TrainConfig()
    device = ShapeDevice(precision=BF16)
    model = device.model(lambda: build(config, name, size).eval())
    print(f"inference, {FRAMES} frames, half of them relevant, {BF16}:")
    print("        E  encoder GFLOP  paths GFLOP per     peak GB  ms per mask  beside it  share")
    print("               per frame  frame and sentence")
    for sentences in SENTENCES_PER_VIDEO:
        shape = VideoShape(FRAMES, sentences, 0.5)
        cost = video_cost(model, PropagateConfig(), device, shape)
        masks = FRAMES * sentences
        network = cost.flops / masks / (tflops * TERA)
        peak = cost.peak + sum(part.bytes for part in parts_of(model))
        row = f"{sentences:9d}  {cost.per_frame / GIGA:13.0f}  {cost.per_sentence / GIGA:18.0f}"
        row += f"  {peak / GIGA:10.1f}  {network * 1e3:11.2f}  {host.seconds * 1e3:9.2f}"
        print(f"{row}  {host.seconds / network:5.0%}", flush=True)


def main() -> None:
    """Measure the host's part, then count each model."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--models", nargs="+", choices=tuple(PUBLISHED), default=None)
    options.add_argument("--size", type=int, default=1024, help="side of the frames, pixels")
    options.add_argument("--tflops", type=float, default=300.0, help="speed of the device")
    options.add_argument("--height", type=int, default=1080, help="of the masks, pixels")
    options.add_argument("--inference", action="store_true", help="leave the training steps out")
    options.add_argument("--width", type=int, default=1920)
    given = options.parse_args()
    torch.set_num_threads(1)
    host = host_cost(given.height, given.width)
    print(f"a mask of {given.width}x{given.height} beside the network, ms:")
    print(f"  {host.main * 1e3:.2f} handing over, {host.writers * 1e3:.2f} PNG of", end=" ")
    print(
        f"{host.file / 1e3:.1f} kB (CPU time; over {WRITERS} threads), {host.bytes / 1e6:.2f} MB",
        end=" ",
    )
    print(f"copied: {host.seconds * 1e3:.2f} in all")
    for name in given.models or ("base-plus", "large"):
        if not given.inference:
            print_training(name, given.size, given.tflops)
        print_inference(name, given.size, given.tflops, host)


if __name__ == "__main__":
    main()
