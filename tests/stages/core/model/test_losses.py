"""Losses against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from schemas.errors import ConfigError
from stages.core.model.clip_output import ClipOutput
from stages.core.model.config import LossConfig
from stages.core.model.losses import clip_losses, relevance_loss

SIDE = 8
HALF = 0.5


def output(candidates: Tensor, **fields: Tensor) -> ClipOutput:
    """A clip's output whose first candidate is chosen; candidates (E, T, M, s, s)."""
    e, t, m = candidates.shape[:3]
    zeros = torch.zeros(e, t)
    known = {
        "mask_logits": candidates[:, :, 0],
        "candidates": candidates,
        "iou": torch.ones(e, t, m),
        "object_score_logits": zeros,
        "relevance_logits": zeros,
        "heatmap_logits": torch.zeros(e, t, 2, 2),
        "guided": torch.ones(e, t, dtype=torch.bool),
    }
    return ClipOutput(**(known | fields))


def half() -> Tensor:
    """(1, 1, 8, 8) the left half."""
    target = torch.zeros(1, 1, SIDE, SIDE)
    target[..., : SIDE // 2] = 1
    return target


def test_the_right_answer_costs_nothing() -> None:
    logits = (half() * 2 - 1) * 100
    visible = torch.full((1, 1), 100.0)
    terms = clip_losses(
        output(logits.unsqueeze(2), object_score_logits=visible), half(), None, LossConfig()
    )
    for name in ("mask", "dice", "iou", "object"):
        assert float(terms[name]) == pytest.approx(0, abs=1e-6), name


def test_undecided_logits_cost_what_the_formulas_say() -> None:
    out = output(torch.zeros(1, 1, 1, SIDE, SIDE))
    terms = clip_losses(out, half(), torch.ones(1, 1).bool(), LossConfig())
    assert float(terms["mask"]) == pytest.approx(0.5 * 0.25 * math.log(2))
    overlap, size = 0.5 * 32, 0.5 * 64 + 32
    assert float(terms["dice"]) == pytest.approx(1 - (2 * overlap + 1) / (size + 1))
    assert float(terms["object"]) == pytest.approx(math.log(2))
    assert float(terms["relevance"]) == pytest.approx(math.log(2))
    bce = clip_losses(out, half(), None, LossConfig(mask_loss="bce"))
    assert float(bce["mask"]) == pytest.approx(math.log(2))


def test_the_total_is_the_weighted_sum() -> None:
    out = output(torch.randn(1, 2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)))
    config = LossConfig(mask_weight=3, dice_weight=2, iou_weight=0, heatmap_weight=0.5)
    targets = half().expand(1, 2, -1, -1)
    terms = clip_losses(out, targets, torch.zeros(1, 2).bool(), config)
    weights = {"mask": 3, "dice": 2, "object": 0.25, "relevance": 0.5, "heatmap": 0.5}
    expected = sum(float(terms[name]) * weight for name, weight in weights.items())
    assert float(terms["total"]) == pytest.approx(expected)


def test_only_the_best_candidate_learns() -> None:
    good, bad = (half() * 2 - 1) * 2, (1 - half() * 2) * 2
    candidates = torch.stack([bad, good], dim=2).requires_grad_()
    clip_losses(output(candidates), half(), None, LossConfig())["total"].backward()
    assert candidates.grad is not None
    assert float(candidates.grad[0, 0, 0].abs().sum()) == 0
    assert float(candidates.grad[0, 0, 1].abs().sum()) > 0


def test_without_relevance_labels_no_moment_is_seen() -> None:
    relevance = torch.zeros(1, 1, requires_grad=True)
    out = output(torch.zeros(1, 1, 1, SIDE, SIDE), relevance_logits=relevance)
    terms = clip_losses(out, half(), None, LossConfig())
    assert "relevance" not in terms
    assert not terms["total"].requires_grad


def test_the_heatmap_learns_on_guided_frames_only() -> None:
    heat = torch.zeros(1, 2, 2, 2, requires_grad=True)
    guided = torch.tensor([[True, False]])
    out = output(torch.zeros(1, 2, 1, SIDE, SIDE), heatmap_logits=heat, guided=guided)
    targets = half().expand(1, 2, -1, -1)
    clip_losses(out, targets, None, LossConfig())["heatmap"].backward()
    assert heat.grad is not None
    assert float(heat.grad[0, 0].abs().sum()) > 0
    assert float(heat.grad[0, 1].abs().sum()) == 0


def test_an_empty_target_is_a_sample() -> None:
    out = output(torch.full((1, 1, 1, SIDE, SIDE), -100.0))
    empty = torch.zeros(1, 1, SIDE, SIDE)
    terms = clip_losses(out, empty, None, LossConfig())
    assert float(terms["dice"]) == pytest.approx(0, abs=1e-6)
    assert float(terms["iou"]) == pytest.approx(0, abs=1e-6)
    assert float(terms["object"]) == pytest.approx(math.log(2))


def test_targets_of_another_clip_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(1, 1, H, W\)"):
        clip_losses(output(torch.zeros(1, 1, 1, 8, 8)), torch.zeros(1, 2, 8, 8), None, LossConfig())


def test_negative_weights_are_refused() -> None:
    with pytest.raises(ConfigError):
        LossConfig(dice_weight=-1)


def test_weights_decide_which_frames_the_relevance_loss_counts() -> None:
    torch.manual_seed(0)
    logits = torch.randn(4, 3, requires_grad=True)
    relevant = torch.rand(4, 3) > HALF
    weight = torch.tensor([[1.0, 1.0, 0.5], [0.0] * 3, [0.0] * 3, [2.0, 0.0, 2.0]])
    counted = weight > 0
    loss = relevance_loss(logits, relevant, weight)
    loss.backward()
    assert logits.grad is not None
    assert (logits.grad[~counted] == 0).all()
    assert (logits.grad[counted] != 0).all()
    each = [
        [relevance_loss(logits[i, t], relevant[i, t], None).item() for t in range(3)]
        for i in range(4)
    ]
    expected = each[0][0] + each[0][1] + each[0][2] / 2 + 2 * (each[3][0] + each[3][2])
    assert loss.item() == pytest.approx(expected / 12)
    # Two halves of a batch, as two processes have them, count like the whole.
    halves = [
        relevance_loss(logits[i : i + 2], relevant[i : i + 2], weight[i : i + 2]) for i in (0, 2)
    ]
    assert loss.item() == pytest.approx(sum(half.item() for half in halves) / 2)


def test_the_relevance_loss_of_no_clip_has_a_gradient_of_zero() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    relevance_loss(logits, torch.ones(2, 3).bool(), torch.zeros(2, 3)).backward()
    assert logits.grad is not None
    assert not logits.grad.any()


def test_frames_without_target_are_left_to_the_object_score() -> None:
    candidates = torch.ones(1, 2, 1, SIDE, SIDE, requires_grad=True)
    targets = torch.cat([half(), torch.zeros_like(half())], dim=1)
    terms = clip_losses(
        output(candidates), targets, None, LossConfig(iou_weight=0, mask_terms="visible")
    )
    terms["total"].backward()
    assert candidates.grad is not None
    assert float(candidates.grad[0, 0].abs().sum()) > 0
    assert float(candidates.grad[0, 1].abs().sum()) == 0
    alone = clip_losses(output(candidates[:, :1]), half(), None, LossConfig())
    for name in ("mask", "dice"):
        expected = float(alone[name].detach()) / 2  # of two frames
        assert float(terms[name].detach()) == pytest.approx(expected), name
    counted = clip_losses(output(candidates), targets, None, LossConfig(mask_terms="frame"))
    assert (counted["dice"] > terms["dice"]).item()


def test_a_batch_without_any_target_has_no_mask_loss() -> None:
    candidates = torch.ones(1, 2, 1, SIDE, SIDE, requires_grad=True)
    visible = LossConfig(mask_terms="visible")
    terms = clip_losses(output(candidates), torch.zeros(1, 2, SIDE, SIDE), None, visible)
    assert terms["mask"].item() == terms["dice"].item() == 0
    terms["total"].backward()  # a gradient of zero, not none


def test_dice_over_the_clip_is_one_ratio() -> None:
    targets = torch.cat([half(), torch.zeros_like(half())], dim=1)
    config = LossConfig(mask_terms="clip")
    terms = clip_losses(output(torch.zeros(1, 2, 1, SIDE, SIDE)), targets, None, config)
    overlap, size = 0.5 * 32, 0.5 * 128 + 32
    assert float(terms["dice"]) == pytest.approx(1 - (2 * overlap + 1) / (size + 1))
    empty = clip_losses(output(torch.zeros(1, 2, 1, SIDE, SIDE)), targets * 0, None, config)
    assert float(empty["dice"]) == 0
    assert float(empty["mask"]) > 0


def test_masks_are_compared_at_a_larger_side() -> None:
    """A boundary between the decoder's pixels is right at its own side only."""
    logits = (half() * 2 - 1) * 100
    targets = torch.zeros(1, 1, 4 * SIDE, 4 * SIDE)
    targets[..., : 2 * SIDE] = 1
    fine = targets.clone()
    fine[..., 2 * SIDE : 2 * SIDE + 1] = 1
    own = [clip_losses(output(logits.unsqueeze(2)), t, None, LossConfig()) for t in (targets, fine)]
    large = clip_losses(output(logits.unsqueeze(2)), fine, None, LossConfig(loss_side=4 * SIDE))
    assert float(own[0]["dice"]) == pytest.approx(0, abs=1e-6)
    expected = 1 - (2 * 512 + 1) / (512 + 544 + 1)
    assert float(large["dice"]) == pytest.approx(expected, abs=2e-3)
    assert float(large["dice"]) > 0.01
