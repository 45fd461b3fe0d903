"""Sharing keys and values changes no number."""

from __future__ import annotations

import pytest
import torch

from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.memory import MemoryBank, collate, collate_shared, read_nearest
from stages.core.model.backbones.records import MemoryTokens

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
