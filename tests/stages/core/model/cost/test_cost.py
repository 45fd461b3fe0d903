"""Counts without values against the same code with them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from stages.core.model.backbones.families import build_backbone
from stages.core.model.backbones.presets import toy_preset
from stages.core.model.cost.meters import LiveBytes, SavedBytes, count_flops
from stages.core.model.cost.parts import parts_of
from stages.core.model.cost.shapes import ShapeDevice
from stages.core.model.tgl import TglModel
from stages.propagate.config import PropagateConfig
from stages.propagate.dry_run.video import VideoShape, video_cost
from stages.train.config import TrainConfig
from stages.train.dry_run.step import StepShape, step_cost

SIZE, TEXT_DIM = 64, 16
WITHIN = 0.1
CONFIG = TrainConfig(
    clip_frames=2,
    relevant_frames=1,
    adapter_width=16,
    adapter_heads=2,
    adapter_layers=1,
    track_width=8,
    relevance_context=3,
)


class RealDevice:
    """The CPU, with real tensors."""

    device = torch.device("cpu")

    def __init__(self, precision: str = "fp32"):
        self.precision = precision

    def running(self) -> AbstractContextManager[None]:
        return nullcontext()

    def autocast(self) -> AbstractContextManager[object]:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16")


@pytest.fixture(autouse=True)
def _one_thread(one_thread: None) -> None:
    """All tests."""


def _build() -> TglModel:
    torch.manual_seed(0)
    backbone = build_backbone(toy_preset(SIZE))
    return TglModel(CONFIG.model_config(), backbone, TEXT_DIM, keep_original=True)


def _recomputing() -> TglModel:
    model = _build()
    model.backbone.recompute_activations()
    return model


SHAPES = {
    "a clip": (CONFIG, StepShape(1, words=3)),
}
SLOW_SHAPES = {
    "the adapter": (CONFIG, StepShape(2, words=3, adapter_only=True)),
    "a window": (CONFIG, StepShape(1, words=3, windowed=True)),
    "sentences that share frames": (CONFIG, StepShape(2, sentences=2, words=3)),
    "no dual path": (replace(CONFIG, mdp=False), StepShape(1, words=3)),
}


@pytest.mark.parametrize(
    "case", [*SHAPES, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW_SHAPES)]
)
def test_a_step_of_shapes_costs_what_a_real_step_does(case: str) -> None:
    config, shape = (SHAPES | SLOW_SHAPES)[case]
    device = ShapeDevice(gpu=False)
    counted = step_cost(device.model(_build), config, device, shape)
    measured = step_cost(_build(), config, RealDevice(), shape)  # as new, with no tables kept
    assert counted.flops > 0
    for part in ("encoder", "forward", "backward"):
        assert getattr(counted, part) == getattr(measured, part), part
    for part in ("activations", "peak"):
        found, expected = getattr(counted, part), getattr(measured, part)
        assert found == pytest.approx(expected, rel=WITHIN), part


@pytest.mark.slow
def test_several_sentences_share_the_encoder() -> None:
    model = _build()
    one, two = (
        step_cost(model, CONFIG, RealDevice(), StepShape(1, sentences, words=3))
        for sentences in (1, 2)
    )
    assert one.encoder == two.encoder
    assert 1.5 * one.forward < two.forward < 2 * one.forward


@pytest.mark.parametrize(
    ("frames", "sentences", "objects", "precision"),
    [
        (2, 1, 1, "bf16"),
        pytest.param(3, 2, 2, "bf16", marks=pytest.mark.slow),
        pytest.param(3, 2, 0, "fp32", marks=pytest.mark.slow),
    ],
)
def test_a_video_of_shapes_costs_what_a_real_one_does(
    frames: int, sentences: int, objects: int, precision: str
) -> None:
    shape = VideoShape(frames, sentences, 0.5, objects, height=48, width=64)
    config = PropagateConfig(chunk_frames=2)
    device = ShapeDevice(gpu=False, precision=precision)
    counted = video_cost(device.model(lambda: _build().eval()), config, device, shape, words=3)
    measured = video_cost(_build().eval(), config, RealDevice(precision), shape, words=3)
    assert (counted.encoder, counted.sentences, counted.tracking) == (
        measured.encoder,
        measured.sentences,
        measured.tracking,
    )
    assert counted.encoded == shape.frames
    assert (counted.tracking > 0) == (objects > 0)
    assert counted.peak == pytest.approx(measured.peak, rel=WITHIN)


@pytest.mark.slow
@pytest.mark.parametrize("gpu", [True, False])
def test_recomputed_activations_are_counted(gpu: bool) -> None:
    device, shape = ShapeDevice(gpu=gpu), StepShape(1, words=3)
    kept = step_cost(device.model(_build), CONFIG, device, shape)
    again = step_cost(device.model(_recomputing), CONFIG, device, shape)
    assert again.forward == kept.forward
    assert kept.forward / 2 < again.backward - kept.backward < kept.forward
    assert again.activations < kept.activations / 2
    if not gpu:
        measured = step_cost(_recomputing(), CONFIG, RealDevice(), shape)
        assert (again.forward, again.backward) == (measured.forward, measured.backward)


def test_every_parameter_is_in_one_part() -> None:
    real = _build()
    parts = parts_of(real)
    assert sum(part.parameters for part in parts) == sum(p.numel() for p in real.parameters())
    trained = sum(p.numel() for p in real.parameters() if p.requires_grad)
    head = next(part for part in parts if part.name == "track head")
    assert sum(part.trained for part in parts) == trained + head.parameters
    tables = [*real.parameters(), *real.buffers()]
    assert sum(part.bytes for part in parts) == sum(tensor.nbytes for tensor in tables)


def test_meters_on_a_product_whose_cost_is_known() -> None:
    layer = torch.nn.Linear(8, 4)
    saved, live = SavedBytes(layer), LiveBytes(layer.parameters())
    with count_flops() as flops, live, saved.counting():
        x = torch.ones(3, 8)
        y = layer(x)
    assert flops.get_total_flops() == 2 * 3 * 8 * 4
    assert saved.total == x.nbytes  # for the weight's gradient
    assert live.live == x.nbytes + y.nbytes
    del x, y
    saved.release()
    assert live.live == 0
    assert live.peak == (3 * 8 + 3 * 4) * 4


def test_values_are_zero_but_for_those_that_came_from_numpy() -> None:
    known, device = np.array([[True, False]]), ShapeDevice()
    with device.running():
        given, other = torch.from_numpy(known), torch.ones(1, 2)
        assert given.cpu().numpy() is known
        assert other.numpy().tolist() == [[0, 0]]
        assert other.tolist() == [[0, 0]]
    assert torch.from_numpy(known).tolist() == [[True, False]]


def test_nothing_without_values_is_left_behind() -> None:
    """Position tables are kept for the whole process by transformers, and for a model by tgl."""
    device = ShapeDevice()
    with device.running():
        shapes = device.model(_build).encode_frames(torch.zeros(1, 3, SIZE, SIZE).byte())
    found = _build().encode_frames(torch.zeros(1, 3, SIZE, SIZE, dtype=torch.uint8))
    assert type(shapes.position) is not torch.Tensor
    assert type(found.position) is torch.Tensor
    assert found.position.abs().sum().item() > 0
