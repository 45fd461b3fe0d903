"""The true masks of held-out sentences: in order, in threads, and never too many at a time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest
import torch
from train_mini import FRAMES

from schemas.errors import CorruptInput
from stages.core.index.index import Index
from stages.train.config import TrainInputs
from stages.train.data import targets
from stages.train.validation.truth import PackedMasks, true_masks
from stages.train.validation.validate import overlap

SIZE, AHEAD = 20, 2
CPU = torch.device("cpu")


def test_masks_come_in_order_from_other_threads(
    inputs: TrainInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, frames = Index.open(inputs.index), np.array([0, 3, FRAMES - 1])
    wanted = [(index.videos[e.video_id], e, frames) for e in index.expressions]
    made, plain = [], targets.union_mask

    def union_mask(*args: object, **named: object) -> np.ndarray:
        made.append(threading.get_ident())
        return plain(*args, **named)

    expected = [
        targets.ReferentMasks.of(index, video, e.anno_ids).binary(frames, SIZE)
        for video, e, _ in wanted
    ]
    monkeypatch.setattr(targets, "union_mask", union_mask)
    with ThreadPoolExecutor(2) as threads:
        found = []
        for masks in true_masks(index, wanted, SIZE, threads, ahead=AHEAD):
            found.append(masks)
            assert len(made) <= (len(found) + AHEAD) * len(frames)
    assert threading.get_ident() not in made
    for masks, own in zip(found, expected, strict=True):
        assert torch.equal(masks.on(CPU), torch.from_numpy(own).bool())
    assert any(own.any() for own in expected)


def test_a_sentence_whose_masks_are_missing_is_named(inputs: TrainInputs) -> None:
    index = Index.open(inputs.index)
    expression = index.expressions[0]
    video = index.videos[expression.video_id]
    lost = [(video, type(expression)(*expression.key, "x", (), ("nobody",)), np.array([0]))]
    with (
        ThreadPoolExecutor(1) as threads,
        closing(true_masks(index, lost, SIZE, threads, ahead=1)) as masks,
        pytest.raises(CorruptInput, match="no mask of nobody"),
    ):
        next(masks)


def test_overlap_counts_pixels_at_the_side_of_the_truth() -> None:
    truth = np.zeros((3, SIZE, SIZE), np.uint8)
    truth[:2, :10] = 1  # the upper half; nothing in the last frame
    logits = torch.full((3, 5, 5), -1.0)
    logits[:, :, 3:] = 1.0  # the right half or so
    score = torch.tensor([1.0, -1.0, -1.0])
    both, either = overlap(logits, score, PackedMasks.of(truth).on(CPU))
    enlarged = torch.nn.functional.interpolate(
        logits[None], size=(SIZE, SIZE), mode="bilinear", align_corners=False
    )[0, 0]
    right = enlarged.numpy() > 0
    assert both.tolist() == [int((right & (truth[0] > 0)).sum()), 0, 0]
    assert either.tolist() == [int((right | (truth[0] > 0)).sum()), 200, 0]
