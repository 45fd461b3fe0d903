"""Losses of a window: relevance as inference computes it, with a gradient in the head alone."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from train_mini import SIZE, small

from stages.core.model.backbones.families import load_backbone
from stages.core.model.tgl import TglModel
from stages.train.config import TrainInputs
from stages.train.data.dataset import ClipDataset
from stages.train.data.features import ClipFeatures
from stages.train.data.mixture import ClipMixture, Shares
from stages.train.data.windows import WindowDataset
from stages.train.learner import ClipBatch, ClipLearner, WindowBatch
from stages.train.loading.batch import LoadedClips

CPU = torch.device("cpu")


def test_the_context_loss_is_that_of_the_whole_window(inputs: TrainInputs, backbone: Path) -> None:
    config = small()
    torch.manual_seed(0)
    model = TglModel(config.model_config(), load_backbone(backbone), 16)
    learner = ClipLearner(model, config.loss_config(), mdp=True, use_relevance=True).train()
    clips = ClipDataset(inputs.index, inputs.text, config, size=SIZE)
    features = ClipFeatures(model.encode_frames, CPU)
    window = WindowDataset(ClipMixture([clips], Shares.of([1])), length=8, seed=0, size=SIZE)[0]
    loaded = LoadedClips.of([clips.clip(0, 0)])
    batch = ClipBatch.of(loaded, features.of_batch(loaded))
    longer = WindowBatch.of(window, features.of_window(window), CPU)
    alone = learner(batch, adapter_only=True)
    terms = learner(batch, longer, adapter_only=True)
    assert float(terms["total"].detach()) == pytest.approx(float(alone["total"].detach()))
    assert all(module.training for module in model.adapter.modules())

    logits = model.relevance(longer.features, longer.text)
    expected = F.binary_cross_entropy_with_logits(logits, window.relevant.float())
    assert float(terms["context"].detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    terms["context"].backward()
    moved = {name for name, p in model.named_parameters() if p.grad is not None}
    heads = {n for n, _ in model.named_parameters() if n.startswith("adapter.relevance_")}
    assert moved == heads
