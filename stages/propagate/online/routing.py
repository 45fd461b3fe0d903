"""Routing of a stream: the schedule of its frames, and the moments of each sentence.

Everything here is causal: the route of a frame depends on the frames that had come when it was
routed, and never changes later.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stages.core.media.spans import drop_short, fill_gaps
from stages.core.model.adapter.adapter import Adapter
from stages.propagate.config import PropagateConfig

LARGEST_STEP = 16
"""Most frames of one step, however long the delay is: they are in memory together."""
DELAY_PARTS = 4
"""One part of the delay in so many is for looking ahead, and one for steps: docs/inference.md."""


@dataclass(frozen=True)
class Schedule:
    """Division of a delay.

    Frames are taken in steps. A frame is routed when at least ``ahead`` frames after it have come.
    For the rest of the delay unguided frames wait for a moment that follows them.

    Attributes:
        delay: most frames that come between a frame and its mask.
        ahead: fewest frames after a frame when it is routed (none are left at the stream's end).
        step: frames that are taken together.
    """

    delay: int
    ahead: int
    step: int

    @classmethod
    def of(cls, delay: int, reach: int) -> Schedule:
        """A quarter of the delay for looking ahead, a quarter for steps, half for waiting.

        Args:
            delay: frames.
            reach: frames after a frame that its route depends on; more are of no use.
        """
        ahead = min(-(-delay // DELAY_PARTS), reach)
        return cls(delay, ahead, min(1 + delay // DELAY_PARTS, LARGEST_STEP))

    def routed(self, arrived: int) -> int:
        """Return how many of the first frames are routed when ``arrived`` have come."""
        return max(0, arrived - self.ahead)

    def finished(self, arrived: int) -> int:
        """Return how many of the first frames have left when ``arrived`` have come."""
        return max(0, arrived - self.delay + self.step - 1)


def smoothing_reach(config: PropagateConfig) -> int:
    """Frames on each side that filling gaps and dropping short spans depend on."""
    return config.fill_gaps + config.drop_specks + 1


def route_reach(adapter: Adapter, config: PropagateConfig) -> int:
    """Frames on each side that the predicted route of a frame depends on."""
    return adapter.halo + adapter.config.relevance_radius + smoothing_reach(config)


class MomentFinder:
    """Routes one sentence's frames, in order.

    The rule is that of offline routing for a video that ends with the newest frame. So a gap is
    filled if its end has come, and a moment begins when enough of its frames have.

    Args:
        config: thresholds.
        known: (T,) bool, the moment where it is known beforehand; None to predict it.

    Attributes:
        source: of the routes: all, predicted, annotated or file.
    """

    def __init__(self, config: PropagateConfig, known: np.ndarray | None = None):
        predicted = known is None and config.moments != "all"
        self.source = "predicted" if predicted else config.moments
        self._config = config
        self._known = known
        self._best = 0.0

    def decide(self, relevance: np.ndarray, first: int, start: int, end: int) -> np.ndarray:
        """Return whether the frames ``start`` to ``end`` are guided, (end - start,) bool.

        Args:
            relevance: (w,) probabilities of the frames from ``first`` to the newest, which reach
                back at least ``smoothing_reach`` frames before ``start``, or to the beginning.
            first: number of the first of them.
            start, end: frames to decide on.
        """
        if self._known is not None:
            return self._known[start:end]
        if self._config.moments == "all":
            return np.ones(end - start, bool)
        self._best = max(self._best, float(relevance.max()))
        if self._best < self._config.least_target(0.0):
            return np.zeros(end - start, bool)
        passed = relevance >= self._config.relevance_threshold
        guided = drop_short(fill_gaps(passed, self._config.fill_gaps), self._config.drop_specks)
        return guided[start - first : end - first]

    @property
    def longest_break(self) -> int:
        """Unguided frames after which a moment still goes on."""
        return 0 if self._known is not None else self._config.fill_gaps


def moment_finder(
    config: PropagateConfig, known: np.ndarray | None, *, has_target: bool, frames: int
) -> MomentFinder:
    """The finder of a sentence of an index; see ``choose_route``.

    Args:
        config: what to route by.
        known: (T,) bool, the moment from the index or a file; None if nothing is known.
        has_target: the index names a referent (only ``annotated`` uses it).
        frames: T.
    """
    if config.moments in ("all", "predicted"):
        return MomentFinder(config)
    if known is not None:
        return MomentFinder(config, known)
    if config.moments == "annotated" and not has_target:
        return MomentFinder(config, np.zeros(frames, bool))
    return MomentFinder(config)
