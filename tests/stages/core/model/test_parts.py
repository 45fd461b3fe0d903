"""Preprocessing, text batches, tracks, adapter blocks and presets."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from schemas.errors import ConfigError
from stages.core.index.texts import TextEmbedding
from stages.core.model.backbones.backbone import Backbone, Prompts
from stages.core.model.backbones.families import build_backbone
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.backbones.preprocess import preprocess
from stages.core.model.backbones.presets import toy_preset
from stages.core.model.device import pick_device
from stages.core.model.layers import Attention
from stages.core.model.segmenter import plan_tracks
from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def test_preprocessing_normalises_bytes() -> None:
    frames = np.full((2, 6, 4, 3), 255, np.uint8)
    pixels = preprocess(frames, 32)
    assert tuple(pixels.shape) == (2, 3, 32, 32)
    for channel in range(3):
        expected = (1 - MEAN[channel]) / STD[channel]
        assert torch.allclose(pixels[:, channel], torch.tensor(expected))


def test_preprocessing_resizes_bytes_not_floats() -> None:
    """Every value is a whole byte before normalisation."""
    frames = np.random.default_rng(0).integers(0, 256, (1, 37, 53, 3), np.uint8)
    pixels = preprocess(frames, 32)
    std, mean = (torch.tensor(value).view(1, 3, 1, 1) for value in (STD, MEAN))
    levels = (pixels * std + mean) * 255
    assert float((levels - levels.round()).abs().max()) < 1e-3


def test_preprocessing_refuses_other_layouts() -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \(T, H, W, 3\)"):
        preprocess(np.zeros((2, 3, 8, 8), np.uint8), 32)


def test_sentences_are_padded() -> None:
    sentences = [
        TextEmbedding(("a",) * n, np.full((n, 4), n, np.float32), np.full(4, n), np.arange(n) == 1)
        for n in (2, 3)
    ]
    batch = TextBatch.of(sentences)
    assert batch.padding.tolist() == [[False, False, True], [False] * 3]
    assert batch.motion.tolist() == [[False, True, False]] * 2
    assert batch.tokens[0, :, 0].tolist() == [2, 2, 0]
    assert batch.pooled[:, 0].tolist() == [2, 3]
    assert batch.dim == 4


def test_tracks_per_moment_and_per_sentence() -> None:
    relevant = np.array([[1, 0, 1, 1], [0, 0, 0, 0]], bool)
    apart = plan_tracks(relevant, per_moment=True)
    assert [(t.expression, t.guided, t.others) for t in apart] == [
        (0, (0,), (1, 2, 3)),
        (0, (2, 3), (0, 1)),
        (1, (), (0, 1, 2, 3)),
    ]
    together = plan_tracks(relevant, per_moment=False)
    assert [(t.expression, t.guided, t.others) for t in together] == [
        (0, (0, 2, 3), (1,)),
        (1, (), (0, 1, 2, 3)),
    ]
    assert len({id(track.bank) for track in apart + together}) == 5


@torch.no_grad()
def test_a_block_with_its_halo_is_what_the_whole_clip_gives(
    make_model: Callable[..., TglModel], text: TextBatch
) -> None:
    model = make_model(adapter_layers=2, temporal_radius=2)
    generator = torch.Generator().manual_seed(0)
    features = model.encode(torch.randn(24, 3, 64, 64, generator=generator))
    whole, _ = model.look(features, text)
    first, last, halo = 10, 14, model.adapter.halo
    assert halo == 2 * 2 + 4
    part = slice(first - halo, last + halo)
    block, _ = model.look(features[part], text, times=torch.arange(24)[part])
    inner = block.tokens[:, halo:-halo]
    assert (inner - whole.tokens[:, first:last]).abs().max() <= 1e-5
    assert (block.tokens[:, 0] - whole.tokens[:, first - halo]).abs().max() > 1e-5


def test_features_are_indexed_joined_and_rebuilt(backbone: Backbone, pixels: Tensor) -> None:
    with torch.no_grad():
        features = backbone.encode(pixels)
    joined = FrameFeatures.cat([features[:2], features[[2, 3, 4, 5]]])
    assert len(joined) == 6
    assert all(torch.equal(joined.as_tensors()[n], t) for n, t in features.as_tensors().items())
    rebuilt = FrameFeatures.from_tensors(features.as_tensors())
    assert torch.equal(rebuilt.coarse, features.coarse)
    assert features.nbytes == 6 * features[:1].nbytes
    with pytest.raises(ValueError, match="fine has shape"):
        FrameFeatures(features.coarse, features.middle, features.coarse, features.position)


def test_pixels_of_another_size_are_refused(backbone: Backbone) -> None:
    with pytest.raises(ValueError, match=r"expected \(N, 3, 64, 64\)"):
        backbone.encode(torch.zeros(1, 3, 32, 32))


def test_a_mask_excludes_clicks() -> None:
    mask, box = torch.zeros(1, 64, 64), torch.zeros(1, 4)
    with pytest.raises(ValueError, match="either a mask"):
        Prompts(mask=mask, boxes=box)
    with pytest.raises(ValueError, match="either a mask"):
        Prompts()
    with pytest.raises(ValueError, match="come together"):
        Prompts(points=torch.zeros(1, 1, 2))


def test_random_backbones_share_one_position_matrix() -> None:
    sam = build_backbone(toy_preset(32)).sam
    own = sam.prompt_encoder.shared_embedding.positional_embedding
    assert torch.equal(own, sam.shared_image_embedding.positional_embedding)


def test_preset_sizes() -> None:
    with pytest.raises(ConfigError, match="no multiple of 32"):
        toy_preset(100)


def test_an_unknown_device_is_one_line() -> None:
    with pytest.raises(ConfigError, match="no device 'abacus'"):
        pick_device("abacus")


def test_training_mode_keeps_the_encoder_in_eval(make_model: Callable[..., TglModel]) -> None:
    model = make_model().train()
    assert model.adapter.training
    assert not model.backbone.sam.vision_encoder.training
    assert not model.gate
    assert model.eval().gate
    assert make_model(object_gate="always").train().gate
    assert not make_model(object_gate="never").eval().gate


def test_config_needs_no_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys, stages.core.model.config, stages.propagate.config;"
        "print([m for m in ('torch', 'transformers', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reading_few_words_folds_the_projections() -> None:
    """The folded arithmetic of inference against the plain one, padding included."""
    torch.manual_seed(0)
    attention = Attention(16, 2)
    x, words = torch.randn(3, 9, 16), torch.randn(3, 5, 16)
    mask = torch.tensor([[True] * 5, [True] * 2 + [False] * 3, [True] + [False] * 4])
    with torch.no_grad():
        plain = attention.train()(x, words, mask=mask)
        folded = attention.eval()(x, words, mask=mask)
        # With more words than channels there is nothing to gain: the same path in both modes.
        many, all_there = torch.randn(3, 40, 16), torch.ones(3, 40, dtype=torch.bool)
        same = attention(x, many, mask=all_there)
        assert torch.equal(same, attention.train()(x, many, mask=all_there))
    assert not torch.equal(folded, plain)
    assert torch.allclose(folded, plain, atol=1e-6)
