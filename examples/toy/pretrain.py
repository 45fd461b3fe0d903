"""Pretrain the tiny SAM 2 of the toy pipeline from random weights, on one CPU core.

On moving shapes it learns what SAM 2's published weights can do on real videos: segment the object
that a mask, a box or a few clicks point at in one frame, and track it through the clip by memory.
Neither sentences nor moments are used. Clips are made on the fly and are never those of the data
set's splits.

    python examples/toy/pretrain.py runs/pretrain --minutes 60
    python examples/toy/pretrain.py runs/pretrain --evaluate valid --clips 60
    python examples/toy/pretrain.py runs/pretrain --export stages/core/model/toy_backbone

The first command can be interrupted and rerun; it writes OUT/state.pt every few minutes and the
averaged weights to OUT/backbone, a folder that `tgl train --backbone` takes. The second one prints
the propagation IoU of OUT/backbone on a split. The third one copies OUT/backbone at half precision.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from windows import (
    FRESH_EVERY,
    LEAST_AREA,
    PHASES,
    TRACK_FRAMES,
    ClipPool,
    TrackBatch,
    draw_prompts,
)

from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.families import build_backbone, load_backbone
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.backbones.preprocess import normalise
from stages.core.model.backbones.presets import toy_preset
from stages.core.model.backbones.prompted import PromptedTracker, TrackedFrame
from stages.core.model.backbones.records import Prompts
from stages.core.model.loading.weights import CONFIG_NAME, WEIGHTS_NAME, read_weights
from stages.tools.toy.clip import ToyClip, make_clip
from stages.tools.toy.config import ToyConfig

GATE_FROM = 0.3
"""Share of the training after which absent objects blank their memory, as at inference."""
PEAK_RATE, LAST_RATE = 5e-4, 5e-6
BETAS = (0.9, 0.98)
WARM_UP_STEPS = 200
WEIGHT_DECAY, GRADIENT_NORM = 0.01, 1.0
LAYER_SCALE, CODE_DEVIATION, NECK_GAIN = 0.1, 0.02, 0.25
AVERAGE_DECAY = 0.998
PIXEL_WEIGHT = 3.0
FIRST_FOREGROUND, BALANCED_FROM = 5.0, 0.15
"""Objects are small: the weight of a foreground pixel falls from this to 1 by that share."""
IOU_WEIGHT, OBJECT_WEIGHT = 0.5, 0.5
SAVE_SECONDS = 120
CHECK_SECONDS = 480
CHECK_CLIPS = 10
LOG_STEPS = 25


def track(
    backbone: Backbone, features: FrameFeatures, frames: Tensor, prompts: Prompts, *, gate: bool
) -> Iterator[TrackedFrame]:
    """Track B objects frame by frame from prompts on the first of their frames (B, T)."""
    tracker = PromptedTracker(backbone, TRACK_FRAMES, gate)
    for time_index in range(frames.shape[1]):
        given = prompts if time_index == 0 else None
        yield tracker.step(time_index, features[frames[:, time_index]], given)


@dataclass(frozen=True)
class Score:
    """Loss and IoU of predictions, both scalars."""

    loss: Tensor
    iou: Tensor


def batch_score(
    backbone: Backbone, tracks: TrackBatch, prompts: Prompts, *, foreground: float, gate: bool
) -> Score:
    """Mean scores over all predictions but those of frames prompted with their mask."""
    features = backbone.encode(tracks.pixels)
    predictions = track(backbone, features, tracks.frames, prompts, gate=gate)
    scores = [
        frame_score(prediction, tracks.masks[:, prediction.frame], foreground)
        for prediction in predictions
        if not (prediction.prompted and prompts.mask is not None)
    ]
    return Score(
        torch.stack([score.loss for score in scores]).mean(),
        torch.stack([score.iou for score in scores]).mean(),
    )


def frame_score(prediction: TrackedFrame, masks: Tensor, foreground: float) -> Score:
    """Score one frame's predictions against masks (B, S, S).

    Every candidate learns the whole object: toy objects have no parts that a prompt could mean.

    Args:
        foreground: weight of a foreground pixel.
    """
    decoded = prediction.decoded
    logits = F.interpolate(
        decoded.candidates, size=masks.shape[-2:], mode="bilinear", align_corners=False
    )  # (B, M, S, S)
    target = masks.unsqueeze(1).expand_as(logits)
    entropy = F.binary_cross_entropy_with_logits(
        logits, target, pos_weight=torch.tensor(foreground)
    )
    probability = logits.sigmoid()
    overlap = (probability * target).sum((2, 3))
    total = (probability + target).sum((2, 3))
    dice = 1 - (2 * overlap + 1) / (total + 1)
    with torch.no_grad():
        true_iou = iou(logits > 0, target > 0)
    present = masks.flatten(1).any(1).float()
    loss = (
        PIXEL_WEIGHT * entropy
        + dice.mean()
        + IOU_WEIGHT * (decoded.iou - true_iou).abs().mean()
        + OBJECT_WEIGHT * F.binary_cross_entropy_with_logits(decoded.object_score, present)
    )
    return Score(loss, true_iou.mean())


def iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU of boolean masks (..., S, S), (...,); 1 where both are empty."""
    union = (first | second).sum((-2, -1)).float()
    both = (first & second).sum((-2, -1)).float()
    return torch.where(union > 0, both / union.clamp(min=1), torch.ones_like(union))


@torch.no_grad()
def evaluate(backbone: Backbone, config: ToyConfig, split: str, clips: int) -> dict[str, float]:
    """Mean IoU of objects that are tracked from their true mask in the first clearly visible frame.

    The mean is over the frames after the prompted one; an absent object without a mask counts as 1.
    `iou_visible` leaves out frames in which the object is hidden.
    """
    backbone.eval()
    every: list[Tensor] = []
    shown: list[Tensor] = []
    for index in range(clips):
        values, visible = _evaluate_clip(backbone, make_clip(config, split, index))
        every.append(values)
        shown.append(values[visible])
    values, visible = torch.cat(every), torch.cat(shown)
    return {
        "clips": clips,
        "frames": len(values),
        "iou": values.mean().item(),
        "iou_visible": visible.mean().item(),
    }


def _evaluate_clip(backbone: Backbone, clip: ToyClip) -> tuple[Tensor, Tensor]:
    """IoU and visibility, both (frames,), of all objects after their prompts."""
    features = backbone.encode(normalise(torch.from_numpy(clip.frames).permute(0, 3, 1, 2)))
    masks = torch.from_numpy(np.stack(list(clip.masks.values())))  # (B, T, S, S)
    first = [int((track.flatten(1).sum(1) >= LEAST_AREA).int().argmax()) for track in masks]
    values, visible = [], []
    for start in sorted(set(first)):
        truth = masks[[row for row, frame in enumerate(first) if frame == start], start:]
        frames = torch.arange(start, masks.shape[1]).expand(len(truth), -1)
        prompts = Prompts(mask=truth[:, 0].float())
        for prediction in track(backbone, features, frames, prompts, gate=True):
            if not prediction.prompted:
                size = truth.shape[-2:]
                logits = prediction.gated_logits[:, None]
                logits = F.interpolate(logits, size=size, mode="bilinear")
                values.append(iou(logits[:, 0] > 0, truth[:, prediction.frame]))
                visible.append(truth[:, prediction.frame].flatten(1).any(1))
    return torch.cat(values), torch.cat(visible)


@torch.no_grad()
def start_weights(backbone: Backbone) -> None:
    """Reinitialise the weights at scales with which a model this narrow learns from the start.

    transformers draws all weights with a deviation of 0.02, meant for wide pretrained models: masks
    are then products of vanishing numbers, and training stalls. Queries and keys of the decoder
    start equal, so that a prompt attends to its own position from the first step; image features
    start small beside position encodings for the same reason. Encodings and layer scales that start
    at zero get small values.
    """
    for module in backbone.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in backbone.sam.mask_decoder.modules():
        if hasattr(module, "q_proj"):
            module.k_proj.weight.copy_(module.q_proj.weight)
    for convolution in backbone.sam.vision_encoder.neck.convs:
        convolution.weight.mul_(NECK_GAIN)
    for name, parameter in backbone.named_parameters():
        if name.endswith(".scale"):
            parameter.fill_(LAYER_SCALE)
        elif not parameter.any() and not name.endswith(".bias"):
            nn.init.trunc_normal_(parameter, std=CODE_DEVIATION)


class Pretraining:
    """State of a run: weights, their running average, optimiser, steps and seconds so far."""

    def __init__(self, out: Path, size: int, seed: int, minutes: float):
        torch.manual_seed(seed)
        self.out, self.size, self.seed, self.seconds = out, size, seed, minutes * 60
        self.backbone = build_backbone(toy_preset(size))
        start_weights(self.backbone)
        self.average = build_backbone(toy_preset(size))
        self.average.load_state_dict(self.backbone.state_dict())
        self.optimiser = torch.optim.AdamW(
            self.backbone.parameters(), lr=PEAK_RATE, betas=BETAS, weight_decay=WEIGHT_DECAY
        )
        self.step, self.elapsed = 0, 0.0
        self.history: list[dict[str, float]] = []
        if self.state_file.exists():
            self._resume()

    @property
    def state_file(self) -> Path:
        return self.out / "state.pt"

    @property
    def share(self) -> float:
        """Share of the time that is used, 0 to 1."""
        return min(1.0, self.elapsed / self.seconds)

    def run(self) -> None:
        """Train until the time is used up."""
        pool = ClipPool(self.size, self.seed, self.step)
        started = time.monotonic() - self.elapsed
        saved = checked = self.elapsed
        scores: list[Score] = []
        while self.share < 1:
            scores.append(self._train(pool))
            self.elapsed = time.monotonic() - started
            if self.step % LOG_STEPS == 0:
                loss = np.mean([score.loss.item() for score in scores])
                overlap = np.mean([score.iou.item() for score in scores])
                print(
                    f"{self.step} {self.elapsed:.0f}s loss {loss:.4f} iou {overlap:.3f}",
                    flush=True,
                )
                scores.clear()
            if self.elapsed - checked > CHECK_SECONDS:
                checked = self.elapsed
                self._check()
            if self.elapsed - saved > SAVE_SECONDS:
                saved = self.elapsed
                self.save()
        self._check()
        self.save()

    def _train(self, pool: ClipPool) -> Score:
        """One optimiser step."""
        phase = [phase for phase in PHASES if self.share >= phase.start][-1]
        tracks = pool.batch(phase)
        prompts = draw_prompts(tracks.masks[:, 0], phase.masks, pool.rng)
        self.backbone.train()
        late = min(1.0, self.share / BALANCED_FROM)
        foreground = FIRST_FOREGROUND + late * (1 - FIRST_FOREGROUND)
        gate = self.share >= GATE_FROM
        score = batch_score(self.backbone, tracks, prompts, foreground=foreground, gate=gate)
        self.optimiser.zero_grad(set_to_none=True)
        score.loss.backward()
        nn.utils.clip_grad_norm_(self.backbone.parameters(), GRADIENT_NORM)
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate()
        self.optimiser.step()
        self.step += 1
        self._average()
        if self.step % FRESH_EVERY == 0:
            pool.renew()
        return Score(score.loss.detach(), score.iou)

    def _rate(self) -> float:
        """Learning rate: linear warm-up in steps, then a cosine in time."""
        cosine = LAST_RATE + (PEAK_RATE - LAST_RATE) * (1 + math.cos(math.pi * self.share)) / 2
        return cosine * min(1.0, (self.step + 1) / WARM_UP_STEPS)

    @torch.no_grad()
    def _average(self) -> None:
        """Move the average towards the weights, faster at the beginning."""
        decay = min(AVERAGE_DECAY, self.step / (self.step + 10))
        pairs = zip(self.average.parameters(), self.backbone.parameters(), strict=True)
        for average, weight in pairs:
            average.lerp_(weight, 1 - decay)

    def _check(self) -> None:
        config = ToyConfig(seed=self.seed, size=self.size, frames=TRACK_FRAMES)
        figures = evaluate(self.average, config, "dev", CHECK_CLIPS)
        self.history.append({"step": self.step, "seconds": self.elapsed, **figures})
        print(json.dumps(self.history[-1]), flush=True)

    def save(self) -> None:
        """Write the state to a temporary file and move it; then write the averaged weights."""
        state: dict[str, Any] = {
            "backbone": self.backbone.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "elapsed": self.elapsed,
            "history": self.history,
        }
        temporary = self.state_file.with_suffix(".partial")
        torch.save(state, temporary)
        temporary.replace(self.state_file)
        self.average.sam.save_pretrained(self.out / "backbone")
        text = "".join(json.dumps(row) + "\n" for row in self.history)
        (self.out / "history.jsonl").write_text(text)

    def _resume(self) -> None:
        state = torch.load(self.state_file, weights_only=True)
        self.backbone.load_state_dict(state["backbone"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.elapsed = state["step"], state["elapsed"]
        self.history = state["history"]


def export(source: Path, target: Path) -> None:
    """Copy weights at half precision; loading them gives single precision again."""
    target.mkdir(parents=True, exist_ok=True)
    half = {name: value.half().contiguous() for name, value in read_weights(source).items()}
    save_file(half, target / WEIGHTS_NAME, metadata={"format": "pt"})
    shutil.copyfile(source / CONFIG_NAME, target / CONFIG_NAME)


def main() -> None:
    """Parse, then train or evaluate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the run's state and weights")
    parser.add_argument("--minutes", type=float, default=60.0, help="training time in all")
    parser.add_argument(
        "--size", type=int, default=128, help="width and height of the clips in pixels"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--evaluate", metavar="SPLIT", help="only evaluate OUT/backbone on a split")
    parser.add_argument("--export", metavar="FOLDER", type=Path, help="only copy OUT/backbone")
    parser.add_argument("--clips", type=int, default=40, help="clips to evaluate on")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.evaluate:
        config = ToyConfig(seed=options.seed, size=options.size, frames=TRACK_FRAMES)
        backbone = load_backbone(options.out / "backbone")
        print(json.dumps(evaluate(backbone, config, options.evaluate, options.clips)))
        return
    if options.export:
        export(options.out / "backbone", options.export)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    Pretraining(options.out, options.size, options.seed, options.minutes).run()


if __name__ == "__main__":
    main()
