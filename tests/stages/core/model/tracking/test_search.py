"""Which proposals of different frames are one object; the tracker is replaced by known masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from stages.core.model.backbones.records import Prompts
from stages.core.model.tracking import search
from stages.core.model.tracking.search import FoundObject, Proposal, find_objects

SIDE = 16
FRAMES = [0, 4, 8, 12]


def square(left: int, top: int = 2) -> Tensor:
    mask = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    mask[top : top + 4, left : left + 4] = True
    return mask


def proposal(frame: int, mask: Tensor, row: int, weight: float = 0.8) -> Proposal:
    prompt = Prompts(boxes=torch.tensor([[float(row), 0.0, 1.0, 1.0]]))
    return Proposal(frame, prompt, mask, weight, [row], 0.5)


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tracks stay where their seed is; the numbers of seeds of each round."""
    sizes: list[int] = []

    def track(
        backbone: object,
        source: object,
        frames: Sequence[int],
        seeds: Sequence[Proposal],
        advance: object,
    ) -> Tensor:
        sizes.append(len(seeds))
        return torch.stack([seed.mask.expand(len(frames), -1, -1) for seed in seeds])

    monkeypatch.setattr(search, "_track", track)
    return sizes


def find(proposals: Sequence[Proposal], **limits: Any) -> search.Search:
    settings: dict[str, Any] = {"join": 0.5, "max_tracks": 9} | limits
    return find_objects(None, None, FRAMES, proposals, **settings)  # type: ignore[arg-type]


@pytest.mark.usefixtures("rounds")
def test_proposals_of_one_place_are_one_object() -> None:
    proposals = [
        proposal(0, square(1), 0),
        proposal(0, square(9), 1),
        proposal(4, square(2), 2),
        proposal(8, square(9), 3),
        proposal(12, square(1), 4),
        proposal(12, square(5, top=10), 5),
    ]
    objects = find(proposals).objects
    assert [found.rows for found in objects] == [[0, 2, 4], [1, 3], [5]]
    assert [found.support for found in objects] == [3 / 4, 2 / 4, 1 / 4]
    assert objects[0].frames == [0, 4, 12]


def test_the_fullest_frame_starts_first(rounds: list[int]) -> None:
    proposals = [
        proposal(0, square(1), 0),
        *(proposal(8, square(left), 1 + left) for left in (1, 6, 11)),
        proposal(12, square(6), 20),
    ]
    objects = find(proposals).objects
    assert rounds == [3]  # the others are explained
    assert {found.seed.frame for found in objects} == {8}


@pytest.mark.usefixtures("rounds")
def test_each_proposal_joins_its_best_track_and_a_rest_follows() -> None:
    proposals = [
        proposal(0, square(1), 0),
        proposal(0, square(3), 1),  # half over the first
        proposal(4, square(1), 2, 0.3),
        proposal(4, square(3), 3, 0.3),
        proposal(4, square(1, top=3), 4, 0.3),  # the first track has a better one
    ]
    objects = find(proposals).objects
    assert sorted(found.rows for found in objects) == [[0, 2, 4], [1, 3]]
    assert all(len(found.frames) == 2 for found in objects)


def test_a_limit_leaves_proposals_untracked(
    rounds: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "SEEDS_PER_TRACK", 2)
    tops = ((1, 0), (6, 0), (11, 0), (1, 6), (6, 6))
    proposals = [proposal(0, square(*place), n, n / 10) for n, place in enumerate(tops)]
    found = find(proposals, max_tracks=1)
    assert rounds == [2]
    assert [item.rows for item in found.objects] == [[4], [3]]
    assert [item.rows for item in found.left] == [[0], [1], [2]]


@pytest.mark.usefixtures("rounds")
def test_after_each_round_the_seeds_to_come_are_estimated() -> None:
    tops = ((1, 0), (6, 0), (1, 6), (6, 6))
    proposals = [
        *(proposal(0, square(*place), n) for n, place in enumerate(tops[:2])),
        *(proposal(4, square(*place), n + 2) for n, place in enumerate(tops[:1])),
        *(proposal(12, square(*tops[2]), n + 3) for n in range(1)),
        *(
            proposal(
                8,
                square(
                    *tops[3],
                ),
                n + 4,
            )
            for n in range(1)
        ),
    ]
    told: list[tuple[int, int]] = []

    def after_round(objects: Sequence[FoundObject], seeds: int) -> None:
        told.append((len(objects), seeds))

    find(proposals, after_round=after_round)
    # Two seeds explain three of five: the other two need 2 / 3 each; then 3 of 4; then nothing.
    assert told == [(2, 2), (3, 1), (4, 0)]


def test_prompts_stay_in_the_unbroken_run_around_the_seed() -> None:
    searched = list(range(8))
    seed = proposal(2, square(1), 0)
    near = [(proposal(1, square(1), 1, 0.5), 0.9), (proposal(3, square(1), 2, 0.9), 0.9)]
    beyond = [(proposal(7, square(1), 3, 1.0), 1.0)]  # after two visible frames without one
    found = FoundObject(seed, [(seed, 1.0), *near, *beyond], visible=searched)
    assert list(found.prompts(1, searched)) == [2]
    assert list(found.prompts(2, searched)) == [2, 3]
    assert list(found.prompts(9, searched)) == [1, 2, 3]
    hidden = FoundObject(seed, [(seed, 1.0), *near, *beyond], visible=[1, 2, 3, 7])
    assert list(hidden.prompts(9, searched)) == [1, 2, 3, 7]  # it was not visible in between
