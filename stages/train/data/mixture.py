"""Several indexes in one training: which of them gives the next clip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from torch.utils.data import Dataset

from stages.train.data.dataset import ClipDataset, Sample, SentenceName


@dataclass(frozen=True)
class Shares:
    """Numbers of clips of K indexes, in proportion to their weights.

    The indexes take turns as evenly as whole clips allow, so the weights hold within every stretch
    of a run, not on average only. The turn of a clip is a function of its number.

    Attributes:
        weights: K positive whole numbers.
    """

    weights: tuple[int, ...]

    @staticmethod
    def of(weights: Sequence[float]) -> Shares:
        """Shares in the ratio of positive numbers, taken as they are written in decimals.

        Raises:
            ValueError: there are none, or one is not positive.
        """
        exact = [Fraction(str(weight)) for weight in weights]
        if not exact or min(exact) <= 0:
            raise ValueError(f"weights must be positive, found {list(weights)}")
        whole = math.lcm(*(weight.denominator for weight in exact))
        return Shares(tuple(int(weight * whole) for weight in exact))

    def counts(self, number: int) -> tuple[int, ...]:
        """Clips of each index among the first `number` clips; they sum to it."""
        counts, clips, rest = [], number, sum(self.weights)
        for weight in self.weights:
            count = -(-clips * weight // rest)  # rounded up: the first index begins
            counts.append(count)
            clips -= count
            rest -= weight
        return tuple(counts)

    def turn(self, number: int) -> tuple[int, int]:
        """(index, number of earlier clips of that index) of the clip with a number (from 0)."""
        before, after = self.counts(number), self.counts(number + 1)
        member = next(k for k, count in enumerate(before) if after[k] > count)
        return member, before[member]


class ClipMixture(Dataset[tuple[Sample, ...]]):
    """All clips of a run by their number, from one or more indexes.

    Args:
        members: one per index; each goes through its own sentences, epoch after epoch.
        shares: how often each of them has its turn.
    """

    def __init__(self, members: Sequence[ClipDataset], shares: Shares):
        if len(members) != len(shares.weights):
            raise ValueError(f"{len(members)} indexes, {len(shares.weights)} weights")
        self.members = tuple(members)
        self.shares = shares

    def __getitem__(self, number: int) -> tuple[Sample, ...]:
        member, position = self.shares.turn(number)
        return self.members[member].clip(number, position)

    def describe(self, name: SentenceName) -> str:
        """Video and sentence, and their index if there are several."""
        named = f"video {name.video_id} expression {name.expression_id}"
        if len(self.members) == 1:
            return named
        return f"{named} of {self.members[name.member].index_folder}"
