"""Turns of several indexes: shares that hold everywhere, and orders that only numbers decide."""

from pathlib import Path

import pytest
import torch
from train_mini import SENTENCES, SIZE, VIDEO_IDS, small

from stages.train.config import TrainInputs
from stages.train.data.dataset import ClipDataset
from stages.train.data.mixture import ClipMixture, Shares
from stages.train.loading.loader import BatchNumbers, load_batches

COUNT = len(SENTENCES) * len(VIDEO_IDS)


@pytest.mark.parametrize("weights", [(3, 1), (1, 1, 1), (0.7, 0.3), (5, 2, 1), (1, 1000), (4,)])
def test_shares_hold_within_every_stretch(weights: tuple[float, ...]) -> None:
    shares = Shares.of(weights)
    total = sum(weights)
    for start in range(0, 2000, 97):
        for length in (1, 8, 50, 400):
            before, after = shares.counts(start), shares.counts(start + length)
            assert sum(after) - sum(before) == length
            for weight, one, two in zip(weights, before, after, strict=True):
                # Each level of the division rounds once at both ends.
                assert abs(two - one - length * weight / total) < len(weights)


def test_every_clip_is_the_next_of_one_index() -> None:
    shares = Shares.of((5, 2, 0.5))
    met = [0, 0, 0]
    for number in range(500):
        member, position = shares.turn(number)
        assert position == met[member]
        met[member] += 1
    assert shares.turn(0) == (0, 0)
    assert met == [334, 133, 33]


def test_weights_by_sentences_end_all_epochs_together() -> None:
    shares = Shares.of((60, 7, 13))
    for epoch in range(4):
        assert shares.counts(80 * epoch) == (60 * epoch, 7 * epoch, 13 * epoch)


def test_weights_are_taken_as_decimals() -> None:
    assert Shares.of((0.1, 0.2)) == Shares.of((1, 2))
    assert Shares.of((0.1, 0.2, 0.3)).counts(6) == (1, 2, 3)


@pytest.mark.parametrize("weights", [(), (1, 0), (-1, 2)])
def test_weights_must_be_positive(weights: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="positive"):
        Shares.of(weights)


def members(inputs: TrainInputs, stills: Path) -> list[ClipDataset]:
    return [
        ClipDataset(folder, inputs.text, small(), size=SIZE, member=number)
        for number, folder in enumerate((inputs.index, stills))
    ]


def test_each_index_keeps_its_own_epochs(inputs: TrainInputs, stills: Path) -> None:
    """The first index's order is that of a run without the second."""
    mixture = ClipMixture(members(inputs, stills), Shares.of((3, 1)))
    samples = [mixture[number][0] for number in range(4 * COUNT)]
    orders = [[s for s in samples if s.member == member] for member in (0, 1)]
    assert [len(order) for order in orders] == [3 * COUNT, COUNT]
    alone = ClipDataset(inputs.index, inputs.text, small(), size=SIZE)
    for position, sample in enumerate(orders[0]):
        assert (sample.video_id, sample.expression_id) == alone.expression(position).key
    keys = [(sample.video_id, sample.expression_id) for sample in orders[1]]
    assert len(set(keys)) == COUNT
    assert keys != [alone.expression(position).key for position in range(COUNT)]


def test_one_index_is_itself(inputs: TrainInputs) -> None:
    alone = ClipDataset(inputs.index, inputs.text, small(), size=SIZE)
    mixture = ClipMixture([alone], Shares.of((7,)))
    for number in (0, 5, COUNT + 1):
        assert torch.equal(mixture[number][0].pixels, alone[number].pixels)
        assert torch.equal(mixture[number][0].targets, alone[number].targets)


def test_workers_ranks_and_resuming_change_nothing(inputs: TrainInputs, stills: Path) -> None:
    mixture = ClipMixture(members(inputs, stills), Shares.of((1, 1)))
    alone = [mixture[number][0] for number in range(12)]
    batches = load_batches(mixture, BatchNumbers(0, 3, 4, 0, 1), 1, list)
    helped = [clip[0] for batch in batches for clip in batch]
    ranks = [
        list(load_batches(mixture, BatchNumbers(1, 3, 2, rank, 2), 0, list)) for rank in (0, 1)
    ]
    resumed = [clip[0] for pair in zip(*ranks, strict=True) for batch in pair for clip in batch]
    for one, two in zip([*alone, *alone[4:]], [*helped, *resumed], strict=True):
        assert (one.member, one.video_id, one.still) == (two.member, two.video_id, two.still)
        assert torch.equal(one.pixels, two.pixels)
        assert torch.equal(one.targets, two.targets)


def test_a_clip_of_several_indexes_is_named_with_its_own(inputs: TrainInputs, stills: Path) -> None:
    mixture = ClipMixture(members(inputs, stills), Shares.of((1, 1)))
    assert mixture.describe(mixture[1][0].name).endswith(f" of {stills}")
    first = ClipMixture(members(inputs, stills)[:1], Shares.of((1,)))
    assert first.describe(first[0][0].name).startswith("video ")
    assert " of " not in first.describe(first[0][0].name)
