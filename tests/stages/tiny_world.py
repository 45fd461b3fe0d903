"""A whole project in miniature: the artifact of every stage, made from two videos of few frames."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from command_line import run_tgl
from tiny_detectors import save_detector
from tiny_selectors import save_selector

from schemas.directories import sha256_file
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as BUILD_MOMENTS
from stages.core.engine.execute import Outcome, execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Inputs, Stage
from stages.core.media.ffmpeg import write_h264
from stages.core.media.rle import encode
from stages.core.model.backbones.families import build_backbone
from stages.core.model.backbones.presets import toy_preset
from stages.core.model.checkpoint import save_checkpoint
from stages.core.model.config import ModelConfig
from stages.core.model.tgl import TglModel
from stages.extract_frames.config import ExtractConfig, ExtractInputs
from stages.extract_frames.stage import STAGE as EXTRACT_FRAMES
from stages.precompute_text.config import TextConfig, TextInputs
from stages.precompute_text.stage import STAGE as PRECOMPUTE_TEXT
from stages.propagate.config import PropagateConfig, PropagateInputs
from stages.propagate.stage import STAGE as PROPAGATE
from stages.score.config import ScoreConfig, ScoreInputs
from stages.score.stage import STAGE as SCORE
from stages.tools.references.config import ReferencesConfig, ReferencesInputs
from stages.tools.references.stage import STAGE as REFERENCES
from stages.tools.render.config import RenderConfig, RenderInputs
from stages.tools.render.stage import STAGE as RENDER
from stages.tools.select_moments.config import SelectConfig, SelectInputs
from stages.tools.select_moments.stage import STAGE as SELECT_MOMENTS
from stages.tools.toy.config import ToyConfig, ToyInputs
from stages.tools.toy.stage import STAGE as TOY
from stages.train.config import TrainConfig, TrainInputs
from stages.train.stage import STAGE as TRAIN
from stages.zero_shot.assemble.config import AssembleConfig, AssembleInputs
from stages.zero_shot.assemble.stage import STAGE as ASSEMBLE
from stages.zero_shot.ground.config import GroundConfig, GroundInputs
from stages.zero_shot.ground.stage import STAGE as GROUND
from stages.zero_shot.track.config import TrackConfig, TrackInputs
from stages.zero_shot.track.stage import STAGE as TRACK

LENGTHS = {"a": 4, "b": 3}
_SIZE = (32, 48)
_SENTENCES = {"a": ["the left one jumps", "two that run"], "b": ["the left one jumps"]}
_TEXT_WIDTH = 16
_IMAGE_SIZE = 64


@dataclass(frozen=True)
class Job:
    """A stage with its settings and inputs, ready to be executed."""

    stage: Stage[Any, Any]
    config: Any
    inputs: Inputs

    def execute(self, out: Path, *, force: bool = False, workers: int = 1) -> Outcome:
        """Run it on the CPU, silently."""
        return execute(
            self.stage,
            self.config,
            self.inputs,
            out,
            runtime=Runtime(workers=workers, device="cpu"),
            progress=SilentProgress(),
            force=force,
        )


@dataclass(frozen=True)
class TinyWorld:
    """Where everything lies."""

    root: Path

    def __getattr__(self, name: str) -> Path:
        """`world.index` is the folder `index`."""
        if name.startswith("_"):
            raise AttributeError(name)
        return self.root / name

    def video(self, name: str) -> Path:
        """A source video."""
        return self.root / "videos" / f"{name}.mp4"

    def copy(self, target: Path) -> TinyWorld:
        """The same world elsewhere, to be damaged; times are kept, since fingerprints see them."""
        shutil.copytree(self.root, target, symlinks=True)
        return TinyWorld(target)

    def job(self, stage: str, **changes: object) -> Job:
        """A stage of this world by its name, with other settings where `changes` names them."""
        made, config, inputs = _PARTS[stage](self)
        return Job(made, replace(config, **changes), inputs)


def snapshot(root: Path) -> dict[str, str]:
    """Every name below `root`, hidden ones too, with its content: any change shows."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"  # noqa: PTH115 (as it stands)
        else:
            found[name] = "folder" if path.is_dir() else sha256_file(path)
    return found


def states(root: Path) -> dict[str, tuple[int, ...]]:
    """Every name below `root` with its inode, size and time of change: no write goes unseen.

    Nobody can set the time of change (ctime), so that this sees what :func:`snapshot` sees, and
    costs less.
    """
    found = {}
    start = len(str(root)) + 1
    for entry in _entries(str(root)):
        status = entry.stat(follow_symlinks=False)
        found[entry.path[start:]] = (
            status.st_ino,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
        )
    return found


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    """Everything below a folder; links are not followed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(entry.path)


def tgl(*arguments: object) -> tuple[int, str, str]:
    """Run the command line in this process; its exit code, stdout and stderr."""
    done = run_tgl(*arguments)
    return done.returncode, done.stdout, done.stderr


def make_world(root: Path) -> TinyWorld:
    """Run every stage once."""
    world = TinyWorld(root)
    for number, name in enumerate(LENGTHS):
        write_video(world.video(name), LENGTHS[name], seed=number)
    _write_dataset(world.dataset / "train")
    save_selector("clip", world.selector)
    save_detector("owlv2", world.detector)
    _write_models(world)
    for stage, folder in OUTPUTS.items():
        world.job(stage).execute(world.root / folder)
    return world


def write_video(path: Path, frames: int, *, seed: int = 0) -> None:
    """A bright square that moves over noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = _SIZE
    ground = np.random.default_rng(seed).integers(0, 90, (height, width, 3), np.uint8)
    images = []
    for frame in range(frames):
        image = ground.copy()
        image[_square(frame)] = (250, 180 - 20 * seed, 40)
        images.append(image)
    write_h264(path, images, _SIZE, 6.0, 0)


def _square(frame: int) -> tuple[slice, slice]:
    """Rows and columns of the bright square."""
    return slice(8, 24), slice(4 + 3 * frame, 20 + 3 * frame)


def _write_dataset(root: Path) -> None:
    """A MeViS split of these videos, without frames of its own."""
    videos, masks, moments = {}, {}, {}
    for number, (name, frames) in enumerate(LENGTHS.items()):
        expressions, spans = {}, {}
        for n, sentence in enumerate(_SENTENCES[name]):
            expressions[str(n)] = {"exp": sentence, "obj_id": [0], "anno_id": [number]}
            spans[str(n)] = {"moments": {str(number): [[0, frames - 1 - n]]}}
        videos[name] = {
            "vid_id": number,
            "frames": [f"{n:05d}" for n in range(frames)],
            "expressions": expressions,
        }
        moments[name] = {"fps": 6.0, "expressions": spans}
        tracks = [np.zeros(_SIZE, np.uint8) for _ in range(frames)]
        for frame, mask in enumerate(tracks):
            mask[_square(frame)] = 1
        masks[str(number)] = [_packed(mask) for mask in tracks]
    root.mkdir(parents=True)
    (root / "meta_expressions.json").write_text(json.dumps({"videos": videos}))
    (root / "mask_dict.json").write_text(json.dumps(masks))
    document = {"format": "tgl-moments", "version": 1, "frame_unit": "index", "videos": moments}
    (root / "moments.json").write_text(json.dumps(document))


def _packed(mask: np.ndarray) -> dict[str, Any]:
    found = encode(mask)
    return {"size": list(map(int, found["size"])), "counts": found["counts"].decode()}


def _write_models(world: TinyWorld) -> None:
    """A random backbone to train, and a random model that finds something everywhere."""
    torch.manual_seed(0)
    build_backbone(toy_preset(_IMAGE_SIZE)).sam.save_pretrained(world.backbone)
    tracker = build_backbone(toy_preset(_IMAGE_SIZE))
    with torch.no_grad():
        tracker.sam.mask_decoder.pred_obj_score_head.proj_out.bias.add_(4.3)
    tracker.sam.save_pretrained(world.tracker)
    config = ModelConfig(adapter_width=16, adapter_heads=2, temporal_radius=2, relevance_radius=3)
    model = TglModel(config, build_backbone(toy_preset(_IMAGE_SIZE)), _TEXT_WIDTH)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
        head = model.backbone.sam.mask_decoder.pred_obj_score_head
        head.proj_out.weight.mul_(20)
        head.proj_out.bias.add_(4.3)
    save_checkpoint(world.model, model, encoder="hash, mean pooling", with_head=False)


OUTPUTS = {
    "toy": "toy",
    "extract-frames": "frames",
    "build-moments": "index",
    "precompute-text": "text",
    "train": "checkpoint",
    "propagate": "preds",
    "score": "scores",
    "select-moments": "chosen",
    "ground": "candidates",
    "track": "tracks",
    "references": "answers",
    "render": "sheets",
    "assemble": "united",
}
"""Where each stage's artifact lies, in an order in which they can be made."""

_SMALL_TRAINING = TrainConfig(
    steps=1,
    batch=1,
    clip_frames=3,
    relevant_frames=2,
    max_stride=1,
    warmup=0,
    track_steps=1,
    adapter_width=16,
    adapter_layers=1,
    adapter_heads=2,
    valid_every=1,
)
_Parts = tuple[Stage[Any, Any], Any, Inputs]
_PARTS: dict[str, Callable[[TinyWorld], _Parts]] = {
    "toy": lambda world: (
        TOY,
        ToyConfig(
            size=32,
            frames=16,
            train_clips=1,
            valid_clips=0,
            dev_clips=0,
            objects=3,
            expressions=1,
            style="plain",
        ),
        ToyInputs(),
    ),
    "extract-frames": lambda world: (
        EXTRACT_FRAMES,
        ExtractConfig(),
        ExtractInputs(tuple(map(world.video, LENGTHS))),
    ),
    "build-moments": lambda world: (
        BUILD_MOMENTS,
        IndexConfig(),
        IndexInputs(world.dataset / "train", world.frames),
    ),
    "precompute-text": lambda world: (
        PRECOMPUTE_TEXT,
        TextConfig(encoder="hash", dim=_TEXT_WIDTH, motion_words="list"),
        TextInputs(world.index),
    ),
    "train": lambda world: (
        TRAIN,
        _SMALL_TRAINING,
        TrainInputs(world.index, world.text, world.backbone, valid=world.index),
    ),
    "propagate": lambda world: (
        PROPAGATE,
        PropagateConfig(),
        PropagateInputs(world.index, world.text, world.model),
    ),
    "score": lambda world: (SCORE, ScoreConfig(), ScoreInputs(world.preds, world.index)),
    "select-moments": lambda world: (
        SELECT_MOMENTS,
        SelectConfig(model=str(world.selector)),
        SelectInputs(world.index, world.selector),
    ),
    "ground": lambda world: (
        GROUND,
        GroundConfig(model=str(world.detector), top_k=3),
        GroundInputs(world.index, world.detector),
    ),
    "track": lambda world: (
        TRACK,
        TrackConfig(),
        TrackInputs(world.index, world.candidates / "candidates.parquet", world.tracker),
    ),
    "references": lambda world: (REFERENCES, ReferencesConfig(), ReferencesInputs(world.index)),
    "render": lambda world: (
        RENDER,
        RenderConfig(format="sheet", cells=2, short_side=64),
        RenderInputs(world.preds, world.index),
    ),
    "assemble": lambda world: (
        ASSEMBLE,
        AssembleConfig(),
        AssembleInputs(world.index, world.index / "moments.parquet"),
    ),
}
_OTHER_SETTINGS: dict[str, dict[str, object]] = {
    "toy": {"seed": 1},
    "extract-frames": {"quality": 9},
    "build-moments": {"moments_from": "visibility"},
    "precompute-text": {"max_tokens": 3},
    "train": {"lr_new": 0.01},
    "propagate": {"object_gate": False, "drop_specks": 0},
    "score": {"pictures": 0},
    "select-moments": {"stride": 2},
    "ground": {"top_k": 2},
    "track": {"max_tracks": 1},
    "references": {"kind": "one-at-random"},
    "render": {"cells": 1},
    "assemble": {"objects": "folders"},
}


def other_settings(world: TinyWorld, stage: str) -> Job:
    """A stage with settings that give another artifact, which takes as long."""
    return world.job(stage, **_OTHER_SETTINGS[stage])
