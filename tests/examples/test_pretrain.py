"""The pretraining script of the toy backbone, on a few small clips."""

import importlib
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.core.model.backbones.families import load_backbone
from stages.tools.toy.config import ToyConfig

FOLDER = Path(__file__).parents[2] / "examples" / "toy"
SIZE = 32


@pytest.fixture(scope="module")
def pretrain():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        script, windows = importlib.import_module("pretrain"), importlib.import_module("windows")
        patch.setattr(windows, "POOL_CLIPS", 3)
        patch.setattr(windows, "LEAST_AREA", 8)
        patch.setattr(script, "LEAST_AREA", 8)
        yield script
        for name in ("pretrain", "windows"):
            sys.modules.pop(name)


@pytest.fixture(scope="module")
def windows(pretrain):
    return sys.modules["windows"]


@pytest.fixture(scope="module")
def run(pretrain, tmp_path_factory):
    return pretrain.Pretraining(tmp_path_factory.mktemp("run"), SIZE, 0, minutes=60)


def test_windows_have_frames_and_masks_of_objects_visible_in_the_first(windows):
    phase = windows.Phase(0.0, frames=3, clips=4, objects=2, masks=1.0)
    tracks = windows.ClipPool(SIZE, 0, 0).batch(phase)
    count = 3 * phase.clips
    assert tracks.pixels.shape == (count, 3, SIZE, SIZE)
    assert tracks.masks.shape == (len(tracks.frames), 3, SIZE, SIZE)
    assert (tracks.masks[:, 0].flatten(1).sum(1) >= windows.LEAST_AREA).all()
    assert tracks.frames.min() == 0
    assert tracks.frames.max() == count - 1


def test_prompts_lie_on_their_objects(windows):
    masks = torch.zeros(2, SIZE, SIZE)
    masks[0, 5:9, 10:20] = 1
    masks[1, 20:30, 2:6] = 1
    rng = np.random.default_rng(0)
    points = torch.stack([windows._clicks(mask, 4, rng) for mask in masks])
    for mask, clicks in zip(masks, points, strict=True):
        assert all(mask[int(y), int(x)] == 1 for x, y in clicks)
    box = windows._box(masks[0], rng)
    assert torch.allclose(box, torch.tensor([10.0, 5.0, 20.0, 9.0]), atol=1.01)


def test_iou_counts_empty_against_empty_as_one(pretrain):
    empty, full = torch.zeros(4, 4, dtype=torch.bool), torch.ones(4, 4, dtype=torch.bool)
    half = full.clone()
    half[:2] = False
    pairs = [(empty, empty), (empty, full), (half, full)]
    assert [pretrain.iou(a, b).item() for a, b in pairs] == [1.0, 0.0, 0.5]


@pytest.mark.parametrize("kind", ["mask", "box", "points"])
def test_every_kind_of_prompt_teaches_encoder_memory_and_decoder(
    pretrain, windows, run, kind, monkeypatch
):
    monkeypatch.setattr(windows, "BOX_SHARE", float(kind == "box"))
    phase = windows.Phase(0.0, frames=2, clips=2, objects=2, masks=float(kind == "mask"))
    pool = windows.ClipPool(SIZE, 0, 0)
    tracks = pool.batch(phase)
    prompts = windows.draw_prompts(tracks.masks[:, 0], phase.masks, pool.rng)
    given = {"mask": prompts.mask, "box": prompts.boxes, "points": prompts.points}
    assert [name for name, value in given.items() if value is not None] == [kind]
    run.backbone.train()
    run.backbone.zero_grad()
    score = pretrain.batch_score(run.backbone, tracks, prompts, foreground=2.0, gate=False)
    score.loss.backward()
    assert math.isfinite(score.loss.item())
    sam = run.backbone.sam
    for part in (sam.vision_encoder, sam.memory_attention, sam.mask_decoder, sam.memory_encoder):
        moved = [p.grad.abs().sum() for p in part.parameters() if p.grad is not None]
        assert sum(moved) > 0


def test_a_run_resumes_from_its_state_and_exports_what_train_loads(pretrain, windows, run):
    pool = windows.ClipPool(SIZE, 0, 0)
    for _ in range(2):
        run._train(pool)
    run.save()
    again = pretrain.Pretraining(run.out, SIZE, 0, minutes=60)
    assert again.step == run.step
    for name, value in run.backbone.state_dict().items():
        assert torch.equal(value, again.backbone.state_dict()[name])
    exported = load_backbone(run.out / "backbone")
    for name, value in run.average.state_dict().items():
        assert torch.equal(value, exported.state_dict()[name])


def test_evaluation_is_a_share_and_repeats(pretrain, run):
    config = ToyConfig(size=SIZE, frames=16)
    first = pretrain.evaluate(run.average, config, "dev", 1)
    assert first == pretrain.evaluate(run.average, config, "dev", 1)
    assert 0 <= first["iou_visible"] <= 1
    assert first["frames"] > 0


def test_an_export_is_half_as_large_and_loads_the_same(pretrain, run, tmp_path):
    run.save()
    source = run.out / "backbone"
    pretrain.export(source, tmp_path / "toy")
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (source, tmp_path / "toy")]
    assert sizes[1] < 0.6 * sizes[0]
    whole, half = load_backbone(source).state_dict(), load_backbone(tmp_path / "toy").state_dict()
    for name, value in whole.items():
        assert half[name].dtype == value.dtype
        assert torch.allclose(half[name], value, rtol=1e-3, atol=1e-6)
