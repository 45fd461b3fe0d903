"""The bank and what is read of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.memory import (
    MemoryBank,
    collate,
    nearest_frames,
    read_nearest,
    read_session,
)
from stages.core.model.dual_path.tracks import plan_tracks

SIDE = (4, 4)


def filled(frames: list[int], *, prompted: tuple[int, ...] = ()) -> MemoryBank:
    """A bank whose entries hold their frame number."""
    bank = MemoryBank()
    for frame in frames:
        features = torch.full((16, 64), float(frame))
        bank.write(frame, features, torch.full((128,), float(frame)), prompted=frame in prompted)
    return bank


@pytest.mark.parametrize(
    ("frame", "count", "expected"),
    [(5, 2, [4, 6]), (5, 3, [4, 6, 2]), (0, 1, [2]), (9, 10, [9, 6, 4, 2])],
)
def test_nearest_from_both_sides_earlier_first(frame: int, count: int, expected: list[int]) -> None:
    assert nearest_frames([2, 4, 6, 9], frame, count) == expected


def test_positions_are_ranks_of_distance(backbone: Backbone) -> None:
    read = read_nearest(filled([0, 10, 30, 31]), 12, 3, backbone)
    assert [(entry.frame, slot) for entry, slot in read.entries] == [(10, 0), (0, 1), (30, 2)]
    longest = backbone.max_pointers - 1
    ranks = [(entry.frame, offset * longest) for entry, offset in read.pointers]
    assert ranks == [(10, 1), (0, 2), (30, 3), (31, 4)]


def test_more_frames_than_codes_share_the_last_rank(backbone: Backbone) -> None:
    read = read_nearest(filled(list(range(12))), 12, 10, backbone)
    last = backbone.memory_slots - 2
    assert [slot for _, slot in read.entries] == [*range(last), *[last] * (10 - last)]


def test_a_frame_does_not_read_itself(backbone: Backbone) -> None:
    read = read_nearest(filled([3, 4]), 4, 7, backbone)
    assert [entry.frame for entry, _ in read.entries] == [3]


def test_an_empty_bank_reads_nothing(backbone: Backbone) -> None:
    read = read_nearest(MemoryBank(), 0, 7, backbone)
    assert read.shape == (0, 0)
    assert collate([read], backbone, SIDE) is None


def test_writing_a_frame_again_replaces_it() -> None:
    bank = filled([1, 2])
    bank.write(1, torch.zeros(16, 64), torch.zeros(128))
    assert bank.frames == [2, 1]
    assert float(bank.entries[1].features.sum()) == 0


def test_the_session_reads_prompted_frames_and_those_just_passed(backbone: Backbone) -> None:
    bank = filled([0, 3, 4, 5, 9], prompted=(0, 9))
    forward = read_session(bank, 6, 12, backbone, reverse=False)
    assert [(entry.frame, slot) for entry, slot in forward.entries] == [
        (0, -1), (9, -1), (3, 2), (4, 1), (5, 0),
    ]  # fmt: skip
    assert [entry.frame for entry, _ in forward.pointers] == [0, 5, 4, 3]
    backward = read_session(bank, 2, 12, backbone, reverse=True)
    assert [entry.frame for entry, _ in backward.entries] == [0, 9, 5, 4, 3]
    assert [entry.frame for entry, _ in backward.pointers] == [9, 3, 4, 5]


def test_collated_tokens_stand_in_the_order_read(backbone: Backbone) -> None:
    bank = filled([1, 2])
    reads = [read_nearest(bank, frame, 7, backbone) for frame in (0, 3)]
    tokens = collate(reads, backbone, SIDE)
    assert tokens is not None
    splits = backbone.channels // backbone.memory_channels
    assert tuple(tokens.memory.shape) == (2 * 16 + 2 * splits, 2, 64)
    assert tokens.pointer_tokens == 2 * splits
    assert tokens.memory[:32:16, 0, 0].tolist() == [1, 2]
    assert tokens.memory[:32:16, 1, 0].tolist() == [2, 1]
    assert tokens.memory[32::splits, 1, 0].tolist() == [2, 1]


def test_items_that_read_different_numbers_do_not_collate(backbone: Backbone) -> None:
    bank = filled([1, 2])
    reads = [read_nearest(bank, 0, 1, backbone), read_nearest(bank, 0, 2, backbone)]
    with pytest.raises(ValueError, match="read different numbers of memories"):
        collate(reads, backbone, SIDE)


@pytest.mark.parametrize("writing", [True, False])
def test_what_is_forgotten_is_never_read(backbone: Backbone, writing: bool) -> None:
    """Every unguided frame, and the next guided one, read the same from the smaller bank."""
    generator = np.random.default_rng(0)
    most = max(3, backbone.max_pointers)
    for _ in range(20):
        guided = generator.random(120) < 0.8
        times = np.cumsum(generator.integers(1, 4, 120))
        track = plan_tracks(guided[None], times, per_moment=False)[0]
        done = len(track.guided) // 2 if writing else len(track.guided)
        track.bank = filled([int(times[place]) for place in track.guided[:done]])
        readers = [*track.others, *track.guided[done : done + 1]]
        before = [read_nearest(track.bank, int(times[p]), 3, backbone) for p in readers]
        size = len(track.bank)
        track.drop_unread(most)
        assert [read_nearest(track.bank, int(times[p]), 3, backbone) for p in readers] == before
        assert len(track.bank) <= size


def test_a_long_moment_is_forgotten_but_for_its_ends() -> None:
    guided = np.ones(300, bool)
    guided[:10] = False
    track = plan_tracks(guided[None], np.arange(300), per_moment=False)[0]
    track.bank = filled(list(track.guided[:-1]))  # the last one still reads what comes before it
    track.drop_unread(16)
    assert track.bank.frames == [*range(10, 26), *range(283, 299)]
    track.bank.write(299, torch.zeros(16, 64), torch.zeros(128))
    track.drop_unread(16)
    assert track.bank.frames == list(range(10, 26))
