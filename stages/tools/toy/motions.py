"""Actions of objects with their spans, and the poses that follow from them.

Positions are fractions of the frame (x to the right, y down), time is in frames. Outside its
actions an object rests exactly, so that a sentence about a motion is clearly false there. Inside a
span [start, end) every frame differs from both of its neighbours; frames start - 1 and end show
rest poses.
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

# A jump goes up for a while, and an object that leaves and returns travels both ways: beside them,
# "moves up" would be arguable.
ARGUABLE: dict[str, frozenset[str]] = {
    "jump": frozenset({"up", "down"}),
    "leave": frozenset({"left", "right", "up", "down"}),
}

DISTANCE = (0.24, 0.42)
JUMP_HEIGHT = (0.16, 0.24)
FRAMES_PER_HOP = 4
SPIN_STEP = (0.30, 0.44)
"""Radians per frame: well visible, and less than half of the star's symmetry angle (1.26), so that
the direction is clear."""
GROWTH = (1.45, 1.7)
LEAVE_MARGIN = 0.03
LEAVE_SHARE = 0.36
"""Share of the span spent on the way out, and again on the way back; the rest is out of sight."""


@dataclass(frozen=True)
class Action:
    """One motion of one object.

    Attributes:
        kind: one of KINDS.
        start, end: span [start, end) in frames.
        amount: fraction of the frame for directions, jump and leave; radians in all for spin;
            factor for grow and shrink.
        exit: direction of the edge, for leave only.
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
        """Whether the spans share a frame or are less than `gap` frames apart."""
        return self.start < other.end + gap and other.start < self.end + gap


@dataclass
class Trajectory:
    """Poses over time, each (T,): centre x and y (fractions of the frame), scale (factor), angle
    (radians)."""

    x: np.ndarray
    y: np.ndarray
    scale: np.ndarray
    angle: np.ndarray = field(repr=False)

    @classmethod
    def resting(cls, frames: int, x: float, y: float, angle: float) -> "Trajectory":
        """Trajectory of an object at rest."""
        return cls(np.full(frames, x), np.full(frames, y), np.ones(frames), np.full(frames, angle))

    def distance(self, other: "Trajectory") -> np.ndarray:
        """Distance of two centres in each frame, (T,)."""
        return np.hypot(self.x - other.x, self.y - other.y)

    def apply(self, action: Action) -> None:
        """Add an action; its change stays after its span, except that of a jump or a leave."""
        done = progress(action, len(self.x))
        if action.kind in DIRECTIONS:
            dx, dy = DIRECTIONS[action.kind]
            self.x += dx * action.amount * done
            self.y += dy * action.amount * done
        elif action.kind == "jump":
            hops = max(1, round((action.length + 1) / FRAMES_PER_HOP))
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
    """Share of an action done at each frame, (T,): 0 before its span, 1 after, between inside."""
    frame = np.arange(frames)
    return np.clip((frame - action.start + 1) / (action.length + 1), 0, 1)


def draw_amount(kind: str, length: int, rng: np.random.Generator) -> float:
    """Draw a visible amount for an action of `length` frames; that of `leave` follows from its
    position instead."""
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
    """Whether look-alikes may do both without making either sentence arguable."""
    return second not in ARGUABLE.get(first, ()) and first not in ARGUABLE.get(second, ())
