"""Frames outside a moment are those of the segmenter with the tracked masks in its bank."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tracks_mini import HEIGHT, TRACK_MASKS, WIDTH

from stages.core.media.frames import read_frame
from stages.core.model.backbones.families import load_backbone
from stages.core.model.backbones.memory import MemoryBank, collate, read_nearest
from stages.core.model.masks import enlarge_masks, resize_masks
from stages.zero_shot.assemble.accepted import Accepted
from stages.zero_shot.assemble.config import AssembleConfig
from stages.zero_shot.assemble.dual_path import moment_frames
from stages.zero_shot.assemble.stage import STAGE


def test_a_bank_is_written_on_the_moment_alone(
    run_stage: Callable, tracks, tmp_path: Path, backbone_folder: Path, one_thread: None
) -> None:
    tracks.accept([("a", "0", "a.0", 1, 3, 0.5)])
    inputs = replace(tracks.inputs, backbone=backbone_folder)
    run_stage(STAGE, AssembleConfig(masks="mdp"), inputs, tmp_path / "out")
    folder = tmp_path / "mevis" / "train" / "JPEGImages" / "a"
    expected = by_hand(backbone_folder, [read_frame(p) for p in sorted(folder.iterdir())])
    for frame, mask in enumerate(expected):
        with Image.open(tmp_path / "out" / "a" / "0" / f"{frame:05d}.png") as image:
            assert np.array_equal(np.asarray(image) > 0, mask), frame
    outside = [expected[frame] for frame in (0, 3, 4, 5)]
    assert any(mask.any() for mask in outside)


@torch.inference_mode()
def by_hand(folder: Path, frames: list[np.ndarray]) -> list[np.ndarray]:
    """Masks of the track a.0 with the moment [1, 3), frame by frame."""
    from stages.core.model.backbones.preprocess import resize_frames

    backbone = load_backbone(folder).eval()
    features = backbone.encode_frames(resize_frames(np.stack(frames), backbone.image_size))
    bank, found = MemoryBank(), {}
    for frame in (1, 2):
        mask = torch.from_numpy(TRACK_MASKS["a.0"][frame])[None, None]
        small = (resize_masks(mask, backbone.image_size)[0] >= 0.5).float()
        own = features[torch.tensor([frame])]
        decoded = backbone.read_mask(own, small, gate=True)
        memory = backbone.remember(
            own.coarse, decoded.mask_logits, decoded.object_score, gate=True, binarise=False
        )
        bank.write(frame, memory[0], backbone.pointer(decoded, gate=True)[0])
        found[frame] = TRACK_MASKS["a.0"][frame]
    for frame in (0, 3, 4, 5):
        own = features[torch.tensor([frame])]
        side = (own.coarse.shape[-2], own.coarse.shape[-1])
        tokens = collate([read_nearest(bank, frame, 7, backbone)], backbone, side)
        decoded = backbone.segment(own, tokens, multimask=True)
        mask = enlarge_masks(decoded.mask_logits, HEIGHT, WIDTH)[0].numpy()
        found[frame] = mask & bool(decoded.object_score[0] > 0)
    return [found[frame] for frame in range(6)]


def test_a_track_that_its_moment_does_not_show_is_written_where_it_is_visible() -> None:
    moment = np.array([False, False, True, True, False])
    accepted = Accepted("t", np.full(5, np.nan, np.float32), moment)
    assert moment_frames(accepted, {1: None, 3: None, 9: None}) == (3,)  # type: ignore[dict-item]
    assert moment_frames(accepted, {0: None, 4: None}) == (0, 4)  # type: ignore[dict-item]
