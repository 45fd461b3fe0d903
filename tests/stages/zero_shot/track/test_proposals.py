"""Candidates of one frame: which of them are one object."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from stages.core.media.rle import encode
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.families import load_backbone
from stages.core.model.tracking.sources import ClipFeatures
from stages.zero_shot.track.proposals import Candidate, find_proposals

SIZE = (12, 16)
BOX = (2.0, 3.0, 6.0, 7.0)


@pytest.fixture
def backbone(tracker: Path) -> Backbone:
    return load_backbone(tracker).eval()


@pytest.fixture
def source(backbone: Backbone) -> ClipFeatures:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        return ClipFeatures(backbone.encode(torch.randn(1, 3, 64, 64, generator=generator)))


def boxed(row: int, box: tuple[float, float, float, float], score: float) -> Candidate:
    return Candidate(row, 0, box, score)


def test_equal_boxes_are_drawn_once(
    backbone: Backbone, source: ClipFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn, decode = [], backbone.decode

    def counted(coarse, *args, **settings):  # type: ignore[no-untyped-def]
        drawn.append(len(coarse))
        return decode(coarse, *args, **settings)

    monkeypatch.setattr(backbone, "decode", counted)
    near = (2.0, 3.0, 6.1, 7.0)
    candidates = [boxed(0, BOX, 0.2), boxed(1, near, 0.9), boxed(2, (9.0, 1.0, 15.0, 4.0), 0.5)]
    found = find_proposals(backbone, source, [candidates], SIZE, same_object=1.01)
    assert drawn == [2]
    assert [(item.rows, item.score) for item in found.items if 1 in item.rows] == [([1, 0], 0.9)]


def test_masks_that_overlap_are_one_object(backbone: Backbone, source: ClipFeatures) -> None:
    candidates = [boxed(0, BOX, 0.2), boxed(1, (9.0, 1.0, 15.0, 4.0), 0.5)]
    apart = find_proposals(backbone, source, [candidates], SIZE, same_object=1.01)
    one = find_proposals(backbone, source, [candidates], SIZE, same_object=0.0)
    assert len(apart.items) == 2
    assert apart.items[0].weight >= apart.items[1].weight
    [item] = one.items
    assert sorted(item.rows) == [0, 1]
    assert item.score == 0.5
    assert torch.equal(item.mask, apart.items[0].mask)  # the surer one is kept


def test_a_box_is_scaled_to_the_square_image(backbone: Backbone, source: ClipFeatures) -> None:
    found = find_proposals(backbone, source, [[boxed(0, BOX, 0.2)]], SIZE, same_object=0.7)
    assert found.items[0].prompt.boxes is not None
    expected = [2 * 64 / 16, 3 * 64 / 12, 6 * 64 / 16, 7 * 64 / 12]
    assert found.items[0].prompt.boxes[0].tolist() == pytest.approx(expected)


def test_a_mask_is_taken_as_it_is(
    backbone: Backbone, source: ClipFeatures, square_mask: Callable
) -> None:
    candidate = Candidate(0, 0, BOX, 0.2, encode(square_mask(2)))
    found = find_proposals(backbone, source, [[candidate]], SIZE, same_object=0.7)
    mask = found.items[0].prompt.mask
    assert mask is not None
    assert mask.shape == (1, 64, 64)
    assert mask[0, 16:37, 8:24].mean() > 0.95  # rows 3 to 7 of 12, columns 2 to 6 of 16
    assert mask.sum() < 1.1 * 21.3 * 16


def test_nothing_drawn_is_counted(
    backbone: Backbone, source: ClipFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = backbone.sam.mask_decoder.pred_obj_score_head.proj_out
    with torch.no_grad():
        head.bias.sub_(1000)
    found = find_proposals(
        backbone, source, [[boxed(0, BOX, 0.2), boxed(1, BOX, 0.1)], []], SIZE, same_object=0.7
    )
    assert not found.items
    assert found.without_mask == 2
