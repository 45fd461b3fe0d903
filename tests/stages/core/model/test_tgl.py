"""The model as a whole: batching, switches, gradients, and the untrained adapter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from schemas.errors import SchemaMismatch
from stages.core.model import budgets
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.backbones.memory import MemoryBank, collate, read_nearest
from stages.core.model.clip_output import ClipOutput
from stages.core.model.config import LossConfig
from stages.core.model.dual_path.segmenter import Results, Segmenter
from stages.core.model.dual_path.tracks import Item
from stages.core.model.losses import clip_losses
from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel

TOLERANCE = 1e-5
Make = Callable[..., TglModel]
FIELDS = ("mask_logits", "object_score_logits", "relevance_logits", "heatmap_logits")


def difference(one: ClipOutput, other: ClipOutput) -> float:
    """Largest difference over the outputs that do not depend on the number of candidates."""
    return max(
        float((getattr(one, name) - getattr(other, name)).abs().max().detach()) for name in FIELDS
    )


def rows(out: ClipOutput, expression: int) -> ClipOutput:
    """One sentence's output."""
    names = out.__dataclass_fields__
    return ClipOutput(**{name: getattr(out, name)[[expression]] for name in names})


@pytest.mark.parametrize("per_moment", [True, False])
@pytest.mark.parametrize("mdp", [True, False])
@pytest.mark.parametrize("irrelevant_memory", ["none", "confident", "all"])
@torch.no_grad()
def test_sentences_in_a_batch_equal_one_by_one(
    make_model: Make,
    pixels: Tensor,
    text: TextBatch,
    relevant: Tensor,
    per_moment: bool,
    mdp: bool,
    irrelevant_memory: str,
) -> None:
    model = make_model(irrelevant_memory=irrelevant_memory, confident_score=0.0)
    features = model.encode(pixels)
    together = model.clip(features, text, relevant, mdp=mdp, per_moment=per_moment)
    for row in range(len(text)):
        alone = model.clip(features, text[[row]], relevant[[row]], mdp=mdp, per_moment=per_moment)
        assert difference(rows(together, row), alone) <= TOLERANCE


@torch.no_grad()
def test_clips_in_a_batch_equal_clip_by_clip(
    make_model: Make, pixels: Tensor, text: TextBatch, relevant: Tensor
) -> None:
    """The training layout: every sentence has its own frames and times."""
    model = make_model()
    clips = [model.encode(pixels.roll(row, 0)) for row in range(3)]
    times = torch.tensor([[0, 1, 2, 3, 4, 5], [2, 4, 6, 8, 10, 12], [0, 1, 5, 6, 20, 21]])
    together = model.clip(
        FrameFeatures.cat(clips), text, relevant, frames=torch.arange(18).view(3, 6), times=times
    )
    for row, clip in enumerate(clips):
        alone = model.clip(clip, text[[row]], relevant[[row]], times=times[row])
        assert difference(rows(together, row), alone) <= TOLERANCE


@torch.no_grad()
def test_an_untrained_adapter_is_sam_2(make_model: Make, pixels: Tensor, text: TextBatch) -> None:
    """Guided and unguided masks are those of SAM 2 without prompts, by hand."""
    model = make_model(trained=False)
    features = model.encode(pixels)
    relevant = torch.tensor([[False, True, True, False, False, False]])
    out = model.clip(features, text[[0]], relevant)
    backbone, bank = model.backbone, MemoryBank()
    for frame in (1, 2, 0, 3, 4, 5):
        read = read_nearest(bank, frame, model.segmenter.memory_frames, backbone)
        memory = collate([read], backbone, tuple(features.coarse.shape[-2:]))
        decoded = backbone.segment(features[[frame]], memory)
        assert (decoded.mask_logits[0] - out.mask_logits[0, frame]).abs().max() <= TOLERANCE
        assert (decoded.object_score[0] - out.object_score_logits[0, frame]).abs() <= TOLERANCE
        if relevant[0, frame]:
            tokens = backbone.remember(
                features.coarse[[frame]],
                decoded.mask_logits,
                decoded.object_score,
                gate=True,
                binarise=False,
            )
            bank.write(frame, tokens[0], backbone.pointer(decoded, gate=True)[0])


@torch.no_grad()
def test_a_trained_adapter_changes_guided_masks_only_through_text(
    make_model: Make, pixels: Tensor, text: TextBatch, relevant: Tensor
) -> None:
    model = make_model()
    features = model.encode(pixels)
    none = torch.zeros_like(relevant)
    unguided = model.clip(features, text, none)
    assert (unguided.mask_logits[0] - unguided.mask_logits[2]).abs().max() <= TOLERANCE
    guided = model.clip(features, text, ~none)
    assert (guided.mask_logits[0] - guided.mask_logits[2]).abs().max() > TOLERANCE


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Frames in the order in which they are written to memory banks."""
    written: list[int] = []
    original = MemoryBank.write

    def spy(self: MemoryBank, frame: int, *args: Tensor, **kwargs: bool) -> None:
        written.append(frame)
        original(self, frame, *args, **kwargs)

    monkeypatch.setattr(MemoryBank, "write", spy)
    return written


@torch.no_grad()
def test_irrelevant_frames_never_change_the_bank(
    make_model: Make,
    pixels: Tensor,
    text: TextBatch,
    written: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Other pixels in the unguided frames leave the masks of all others as they are."""
    model = make_model(object_gate="never")
    relevant = torch.tensor([[False, True, True, False, False, False]])
    # The adapter depends on neighbouring frames by design: only the paths are compared.
    monkeypatch.setattr(type(model.adapter), "embed_frames", _constant_embedding)
    before = model.clip(model.encode(pixels), text[[0]], relevant)
    assert written == [1, 2]
    changed = pixels.clone()
    changed[3] = -changed[3]
    after = model.clip(model.encode(changed), text[[0]], relevant)
    same = [0, 1, 2, 4, 5]
    moved = (before.mask_logits - after.mask_logits).abs().amax(dim=(0, 2, 3))
    assert moved[same].max() <= TOLERANCE
    assert moved[3] > TOLERANCE


def _constant_embedding(
    adapter: torch.nn.Module, features: FrameFeatures, frames: Tensor, *_: Tensor
) -> Tensor:
    """(V, T, d, h, h) of ones."""
    width = adapter.config.adapter_width
    return torch.ones(*frames.shape, width, *features.coarse.shape[-2:])


@torch.no_grad()
def test_confident_irrelevant_frames_are_written_when_asked(
    make_model: Make, pixels: Tensor, text: TextBatch, written: list[int]
) -> None:
    relevant = torch.tensor([[False, False, True, False, False, False]])
    model = make_model(irrelevant_memory="confident", confident_score=-100.0)
    model.clip(model.encode(pixels), text[[0]], relevant)
    assert written == [2, 1, 3, 0, 4, 5]
    written.clear()
    written.clear()
    model = make_model(irrelevant_memory="confident", confident_score=100.0)
    model.clip(model.encode(pixels), text[[0]], relevant)
    assert written == [2]
    written.clear()
    model = make_model(irrelevant_memory="all", confident_score=100.0)
    model.clip(model.encode(pixels), text[[0]], relevant)
    assert written == [2, 1, 3, 0, 4, 5]


@torch.no_grad()
def test_memories_that_no_frame_will_read_are_dropped_while_all_are_written(
    make_model: Make, pixels: Tensor, text: TextBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The masks stay as they are, and the bank stays small."""
    sizes: list[int] = []
    write = MemoryBank.write

    def spy(bank: MemoryBank, *args: Any, **kwargs: Any) -> None:
        write(bank, *args, **kwargs)
        sizes.append(len(bank))

    monkeypatch.setattr(MemoryBank, "write", spy)
    monkeypatch.setattr(budgets, "WRITES_PER_CLEANUP", 1)
    model = make_model(irrelevant_memory="all", memory_frames=2)
    monkeypatch.setattr(type(model.backbone), "max_pointers", 2)
    relevant = torch.zeros(1, 18, dtype=torch.bool)
    relevant[0, 7] = True
    features = model.encode(pixels.repeat(3, 1, 1, 1))
    dropped = model.clip(features, text[[0]], relevant)
    few = max(sizes)
    sizes.clear()
    monkeypatch.setattr(budgets, "WRITES_PER_CLEANUP", 1000)
    kept = model.clip(features, text[[0]], relevant)
    assert difference(dropped, kept) <= TOLERANCE
    assert (few, max(sizes)) == (5, 18)


@torch.no_grad()
def test_without_mdp_the_agnostic_path_is_never_taken(
    make_model: Make,
    pixels: Tensor,
    text: TextBatch,
    relevant: Tensor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = make_model()
    taken = {"guide": 0, "propagate": 0}

    def spy(name: str) -> Callable[..., Results]:
        plain = getattr(Segmenter, name)

        def counting(self: Segmenter, items: Sequence[Item], *rest: object) -> Results:
            taken[name] += len(items)
            return plain(self, items, *rest)

        return counting

    for name in taken:
        monkeypatch.setattr(Segmenter, name, spy(name))
    features = model.encode(pixels)
    out = model.clip(features, text, relevant, mdp=False)
    assert bool(out.guided.all())
    assert taken == {"guide": relevant.numel(), "propagate": 0}
    model.clip(features, text, relevant, mdp=True)
    assert taken["propagate"] > 0


@torch.no_grad()
def test_moments_apart_are_the_union_of_single_moments(
    make_model: Make, pixels: Tensor, text: TextBatch
) -> None:
    model = make_model(object_gate="never")
    features = model.encode(pixels)
    first = torch.tensor([[False, True, True, False, False, False]])
    second = torch.tensor([[False, False, False, False, True, False]])
    united = model.clip(features, text[[0]], first | second, per_moment=True)
    parts = [model.clip(features, text[[0]], moment) for moment in (first, second)]
    expected = torch.maximum(parts[0].mask_logits, parts[1].mask_logits)
    assert (united.mask_logits - expected).abs().max() <= TOLERANCE
    one_bank = model.clip(features, text[[0]], first | second, per_moment=False)
    assert (united.mask_logits - one_bank.mask_logits).abs().max() > TOLERANCE


def test_gradients_reach_all_that_is_trained_and_nothing_frozen(
    make_model: Make, pixels: Tensor, text: TextBatch, relevant: Tensor
) -> None:
    model = make_model().train()
    targets = torch.zeros(3, 6, 64, 64)
    targets[:, :, 20:36, 10:40] = 1
    visible = targets.flatten(2).any(dim=2)
    out = model.clip(model.encode(pixels), text, relevant, visible=visible)
    clip_losses(out, targets, relevant, LossConfig())["total"].backward()
    groups = model.parameter_groups()
    for name in ("new", "pretrained"):
        idle = [key for key, parameter in groups[name].items() if parameter.grad is None]
        assert groups[name]
        assert not idle
        assert sum(float(parameter.grad.abs().sum()) for parameter in groups[name].values()) > 0
    frozen = groups["frozen"]
    assert any("vision_encoder" in key for key in frozen)
    assert all(parameter.grad is None for parameter in frozen.values())


@torch.no_grad()
def test_the_truth_gates_the_memory_as_the_score_would(
    make_model: Make, pixels: Tensor, text: TextBatch
) -> None:
    model = make_model(per_moment_banks=False)
    features = model.encode(pixels)
    every = torch.ones(3, 6, dtype=torch.bool)
    scored = model.clip(features, text, every)
    shown = scored.object_score_logits > 0
    told = model.clip(features, text, every, visible=shown)
    assert (told.mask_logits - scored.mask_logits).abs().max() <= TOLERANCE
    assert (told.object_score_logits - scored.object_score_logits).abs().max() <= TOLERANCE
    absent = model.clip(features, text, every, visible=~shown)
    assert (absent.mask_logits[:, 0] - told.mask_logits[:, 0]).abs().max() <= TOLERANCE
    assert (absent.mask_logits[:, 1:] - told.mask_logits[:, 1:]).abs().max() > TOLERANCE


def test_an_absent_target_is_remembered_without_its_mask(
    make_model: Make, pixels: Tensor, text: TextBatch
) -> None:
    """No gradient flows from a later frame into the mask of an absent target; its own does."""
    model = make_model(object_gate="truth").train()
    features = model.encode(pixels[:2])
    every = torch.ones(3, 2, dtype=torch.bool)
    for present in (True, False):
        visible = torch.tensor([[present, True]]).expand(3, 2)
        out = model.clip(features, text, every, visible=visible)
        model.zero_grad()
        out.mask_logits[:, 1].sum().backward(retain_graph=True)
        code = model.backbone.sam.no_object_pointer.grad
        assert bool(code.abs().sum() > 0) == (not present)
        model.zero_grad()
        out.mask_logits[:, 0].sum().backward()
        assert float(model.adapter.coarse_out.bias.grad.abs().sum()) > 0


def test_the_last_frames_loss_reaches_earlier_frames_through_the_bank(
    make_model: Make, pixels: Tensor, text: TextBatch
) -> None:
    model = make_model().train()
    relevant = torch.tensor([[True, True, False, False, False, False]])
    out = model.clip(model.encode(pixels), text[[0]], relevant)
    out.mask_logits[0, 5].sigmoid().mean().backward()  # unguided: it knows the text by memory only
    reached = {
        "adapter": model.adapter.coarse_out.weight,
        "prompts": model.adapter.motion_out.weight,
        "memory encoder": model.backbone.sam.memory_encoder.projection.weight,
        "memory attention": model.backbone.sam.memory_attention.layers[0].linear1.weight,
        "decoder": model.backbone.sam.mask_decoder.mask_tokens.weight,
        "pointers": model.backbone.sam.object_pointer_proj.proj_in.weight,
    }
    for name, parameter in reached.items():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name


@torch.no_grad()
def test_text_of_another_width_is_refused_in_one_line(
    make_model: Make, pixels: Tensor, relevant: Tensor
) -> None:
    model = make_model()
    text = TextBatch(
        torch.zeros(3, 2, 5),
        torch.zeros(3, 2, dtype=torch.bool),
        torch.zeros(3, 5),
        torch.zeros(3, 2, dtype=torch.bool),
    )
    with pytest.raises(SchemaMismatch, match="5 numbers per token, the model expects 16"):
        model.clip(model.encode(pixels), text, relevant)


@torch.no_grad()
def test_a_sentence_without_tokens_gives_finite_numbers(
    make_model: Make, pixels: Tensor, text: TextBatch, relevant: Tensor
) -> None:
    model = make_model()
    empty = TextBatch(text.tokens, torch.ones_like(text.padding), text.pooled, text.motion)
    out = model.clip(model.encode(pixels), empty, relevant)
    assert bool(out.mask_logits.isfinite().all())
    assert bool(out.relevance_logits.isfinite().all())


@torch.no_grad()
@pytest.mark.parametrize("words", [1, 2, 3])
def test_padding_changes_no_sentence_however_short(
    make_model: Make, pixels: Tensor, text: TextBatch, relevant: Tensor, words: int
) -> None:
    model = make_model()
    features = model.encode(pixels)
    padding = text.padding.clone()
    padding[:, words:] = True
    motion = text.motion & ~padding
    padded = TextBatch(text.tokens, padding, text.pooled, motion)
    short = TextBatch(text.tokens[:, :words], padding[:, :words], text.pooled, motion[:, :words])
    out = model.clip(features, short, relevant)
    assert difference(out, model.clip(features, padded, relevant)) <= TOLERANCE


@torch.no_grad()
def test_relevance_alone_equals_the_clips(
    make_model: Make, pixels: Tensor, text: TextBatch, relevant: Tensor
) -> None:
    model = make_model()
    features = model.encode(pixels)
    out = model.clip(features, text, relevant)
    assert (model.relevance(features, text) - out.relevance_logits).abs().max() <= TOLERANCE


def test_training_mode_keeps_the_encoder_in_eval(make_model: Make) -> None:
    model = make_model().train()
    assert model.adapter.training
    assert not model.backbone.sam.vision_encoder.training
