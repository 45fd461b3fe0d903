"""What objects do: actions with spans, and the poses that follow from them.

Positions are fractions of the frame (x to the right, y down), time is in frames. Outside its
actions an object rests exactly: nothing drifts, so that a sentence about a motion is false there
without doubt. Inside a span [start, end) every frame differs from both of its neighbours; the poses
of frames start - 1 and end are rest poses.
"""

from dataclasses import dataclass, field

import numpy as np

DIRECTIONS: dict[str, tuple[int, int]] = {
    "left": (-1, 0),
    "right": (1, 0),
    "up": (0, -1),
    "down": (0, 1),
}
KINDS = (*DIRECTIONS, "jump", "spin", "grow", "shrink", "leave")

# A jump goes up for a while, and who leaves and returns travels both ways: next to them, "moves up"
# would be arguable.
ARGUABLE: dict[str, frozenset[str]] = {
    "jump": frozenset({"up", "down"}),
    "leave": frozenset({"left", "right", "up", "down"}),
}

DISTANCE = (0.24, 0.42)
JUMP_HEIGHT = (0.16, 0.24)
FRAMES_A_HOP = 4
SPIN_STEP = (0.30, 0.44)
"""Radians a frame: seen well, and under half of the star's symmetry angle (0.63), so the sense is
unmistakable."""
GROWTH = (1.45, 1.7)
LEAVE_MARGIN = 0.03
LEAVE_SHARE = 0.36
"""Share of the span spent on the way out, and again on the way back; the rest is spent out of
sight."""


@dataclass(frozen=True)
class Action:
    """One motion of one object.

    Fields: kind (one of KINDS), span [start, end) in frames, amount (fraction of the frame for left
    ... down, jump and leave; radians in all for spin; factor for grow and shrink), exit (leave
    only: the direction of the edge).
    """

    kind: str
    start: int
    end: int
    amount: float = 0.0
    exit: str = ""

    @property
    def length(self) -> int:
        """Frames of the span."""
        return self.end - self.start

    def meets(self, other: "Action", gap: int = 0) -> bool:
        """Whether the spans share a frame or lie closer than `gap` frames."""
        return self.start < other.end + gap and other.start < self.end + gap


@dataclass
class Track:
    """Poses over time, each (T,): centre x and y (fractions of the frame), scale (factor), angle
    (radians)."""

    x: np.ndarray
    y: np.ndarray
    scale: np.ndarray
    angle: np.ndarray = field(repr=False)

    @classmethod
    def resting(cls, frames: int, x: float, y: float, angle: float) -> "Track":
        """A track of an object that does nothing."""
        return cls(np.full(frames, x), np.full(frames, y), np.ones(frames), np.full(frames, angle))

    def apply(self, action: Action) -> None:
        """Add an action: what it changes stays changed after its span (a jump and a leave end where
        they began)."""
        done = progress(action, len(self.x))
        if action.kind in DIRECTIONS:
            dx, dy = DIRECTIONS[action.kind]
            self.x += dx * action.amount * done
            self.y += dy * action.amount * done
        elif action.kind == "jump":
            hops = max(1, round((action.length + 1) / FRAMES_A_HOP))
            self.y -= action.amount * np.abs(np.sin(np.pi * hops * done))
        elif action.kind == "spin":
            self.angle += action.amount * done
        elif action.kind == "leave":
            dx, dy = DIRECTIONS[action.exit]
            away = np.clip(np.minimum(done, 1 - done) / LEAVE_SHARE, 0, 1)
            self.x += dx * action.amount * away
            self.y += dy * action.amount * away
        else:
            self.scale *= action.amount**done


def progress(action: Action, frames: int) -> np.ndarray:
    """How much of an action is done at each frame, (T,) in [0, 1]: 0 before and 1 after, strictly
    between inside."""
    frame = np.arange(frames)
    return np.clip((frame - action.start + 1) / (action.length + 1), 0, 1)


def draw_amount(kind: str, length: int, rng: np.random.Generator) -> float:
    """A visible amount for an action of a length in frames; `leave` gets its amount from its place
    instead."""
    if kind in DIRECTIONS:
        return rng.uniform(*DISTANCE)
    if kind == "jump":
        return rng.uniform(*JUMP_HEIGHT)
    if kind == "spin":
        return rng.uniform(*SPIN_STEP) * (length + 1) * (1 if rng.random() < 1 / 2 else -1)
    if kind == "grow":
        return rng.uniform(*GROWTH)
    return 1 / rng.uniform(*GROWTH)


def compatible(first: str, second: str) -> bool:
    """Whether look-alikes may do both without either sentence becoming arguable."""
    return second not in ARGUABLE.get(first, ()) and first not in ARGUABLE.get(second, ())
