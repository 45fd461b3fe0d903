"""Sharing keys and values changes no number."""

from __future__ import annotations

import pytest
import torch
from tiny_backbones import random_backbone

from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.memory import (
    MemoryBank,
    collate,
    collate_runs,
    collate_shared,
    read_nearest,
)
from stages.core.model.backbones.records import MemoryTokens
from stages.core.model.backbones.steps import attention

TOLERANCE = 1e-5
SIDE = (4, 4)


@pytest.mark.parametrize("owner", [[0, 0, 0, 0], [0, 1, 0, 2], [2, 1, 0, 0], [0, 1, 2, 3]])
@torch.no_grad()
def test_shared_memories_equal_copies(backbone: Backbone, owner: list[int]) -> None:
    generator = torch.Generator().manual_seed(0)
    groups, pointers = max(owner) + 1, 6
    length = 3 * 16 + pointers
    coarse = torch.randn(4, 128, *SIDE, generator=generator)
    position = torch.randn(1, 128, *SIDE, generator=generator)
    memory = torch.randn(length, groups, 64, generator=generator)
    place = torch.randn(length, groups, 64, generator=generator)
    copied = MemoryTokens(memory[:, owner], place[:, owner], pointers)
    copies = backbone.attend(coarse, position, copied)
    tokens = MemoryTokens(memory, place, pointers, tuple(owner))
    shared = backbone.attend(coarse, position, tokens)
    assert (copies - shared).abs().max() <= TOLERANCE


def test_frames_on_one_side_of_a_moment_share_what_they_read(backbone: Backbone) -> None:
    bank = MemoryBank()
    for frame in (10, 11, 12):
        bank.write(frame, torch.full((16, 64), float(frame)), torch.full((128,), float(frame)))
    reads = [read_nearest(bank, frame, 2, backbone) for frame in (1, 20, 4, 30)]
    tokens = collate_shared(reads, backbone, SIDE)
    assert tokens is not None
    assert tokens.owner == (0, 1, 0, 1)
    assert tokens.memory.shape[1] == 2
    apart = collate(reads, backbone, SIDE)
    assert apart is not None
    assert torch.equal(tokens.memory[:, tokens.owner], apart.memory)
    assert torch.equal(tokens.position[:, tokens.owner], apart.position)


def test_nothing_is_shared_where_nothing_is_equal(backbone: Backbone) -> None:
    banks = [MemoryBank(), MemoryBank()]
    for bank in banks:
        bank.write(0, torch.zeros(16, 64), torch.zeros(128))
    tokens = collate_shared([read_nearest(b, 1, 2, backbone) for b in banks], backbone, SIDE)
    assert tokens is not None
    assert tokens.owner == (0, 1)
    assert tokens.memory.shape[1] == 2


@pytest.mark.parametrize("kind", ["sam2", "edgetam"])
@torch.no_grad()
def test_memories_of_different_lengths_equal_runs_by_themselves(kind: str) -> None:
    backbone = random_backbone(kind=kind)
    generator = torch.Generator().manual_seed(0)
    frame = backbone.memory_position(SIDE, torch.zeros(1)).shape[0]
    memories = []
    for items, frames, pointers in ((2, 1, 2), (1, 3, 6), (3, 3, 8)):
        shape = (frames * frame + pointers, items, 64)
        values, places = (torch.randn(shape, generator=generator) for _ in range(2))
        memories.append(MemoryTokens(values, places, pointers))
    coarse = torch.randn(6, 128, *SIDE, generator=generator)
    position = torch.randn(1, 128, *SIDE, generator=generator)
    together = backbone.attend_ragged(coarse, position, memories)
    parts = zip(coarse.split([2, 1, 3]), memories, strict=True)
    apart = torch.cat([backbone.attend(own, position, memory) for own, memory in parts])
    assert (together - apart).abs().max() <= TOLERANCE
    assert (apart[2] - apart[3]).abs().max() > TOLERANCE


def test_reads_of_different_shapes_become_runs(backbone: Backbone) -> None:
    banks = [MemoryBank(), MemoryBank(), MemoryBank()]
    for number, bank in enumerate(banks):
        for frame in range(1 + number // 2):
            bank.write(frame, torch.full((16, 64), float(number)), torch.zeros(128))
    reads = [read_nearest(bank, 5, 2, backbone) for bank in banks]
    runs = collate_runs(reads, backbone, SIDE)
    assert isinstance(runs, list)
    assert [run.memory.shape[1] for run in runs] == [2, 1]
    one = collate_runs(reads[:2], backbone, SIDE)
    assert isinstance(one, MemoryTokens)
    assert one.owner == (0, 1)


@pytest.mark.parametrize("budget", [1, 40_000])
@torch.no_grad()
def test_a_budget_for_scores_changes_nothing(
    backbone: Backbone, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(3, 128, *SIDE, generator=generator)
    position = torch.randn(1, 128, *SIDE, generator=generator)
    memory, place = (torch.randn(54, 3, 64, generator=generator) for _ in range(2))
    tokens = MemoryTokens(memory, place, 6, (0, 1, 2))
    whole = backbone.attend(coarse, position, tokens)
    monkeypatch.setattr(attention, "SCORE_BYTES", budget)
    monkeypatch.setattr(attention, "FEWEST_QUERIES", 3)
    assert (backbone.attend(coarse, position, tokens) - whole).abs().max() <= TOLERANCE


@pytest.mark.parametrize("owner", [(0, 1, 2, 3), (2, 1, 0, 0)])
@torch.no_grad()
def test_items_that_show_one_frame_equal_copies_of_it(
    backbone: Backbone, owner: tuple[int, ...]
) -> None:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(2, 128, *SIDE, generator=generator)
    position = torch.randn(1, 128, *SIDE, generator=generator)
    memory, place = (torch.randn(54, max(owner) + 1, 64, generator=generator) for _ in range(2))
    tokens, rows = MemoryTokens(memory, place, 6, owner), torch.tensor([1, 0, 1, 1])
    shared = backbone.attend(coarse, position, tokens, rows)
    copied = backbone.attend(coarse[rows], position, tokens)
    assert (shared - copied).abs().max() <= TOLERANCE
