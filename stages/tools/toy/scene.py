"""Scenes: positions, amounts and trajectories of a clip's objects.

Look-alikes never touch, so that a viewer can tell them apart; different objects may cross and hide
each other in part, never entirely.
"""

from dataclasses import dataclass, replace

import numpy as np

from schemas.errors import ConfigError
from stages.tools.toy.appearance import EXTENT, Appearance
from stages.tools.toy.config import ToyConfig
from stages.tools.toy.motions import DIRECTIONS, LEAVE_MARGIN, Action, Trajectory, draw_amount
from stages.tools.toy.plan import Role, draw_roles

RADIUS = (0.108, 0.14)
CROWD = 5
"""In clips with more objects than this, radii shrink with the square root of their number."""
EDGE = 0.015
APART = 1.1
APART_AT_START = 0.8
APART_CROSSING = 0.55
COVER = 1.05
"""Smallest distance of two centres in radii of the larger object, so that it hides no small one."""
SMALLEST_SCALE, LARGEST_SCALE = 0.5, 1.9
PLACE_TRIES = 60
SCENE_TRIES = 300


@dataclass(frozen=True)
class SceneObject:
    """One object of a clip; `radius` is a fraction of the frame."""

    appearance: Appearance
    radius: float
    actions: tuple[Action, ...]
    trajectory: Trajectory

    def reach(self) -> np.ndarray:
        """Radius in each frame, (T,), as a fraction of the frame."""
        return self.radius * self.trajectory.scale


@dataclass(frozen=True)
class Scene:
    """The objects of a clip from back to front."""

    objects: tuple[SceneObject, ...]


def draw_scene(config: ToyConfig, rng: np.random.Generator) -> Scene:
    """Draw a scene in which every object has room.

    Raises:
        ConfigError: no room for so many objects.
    """
    for _ in range(SCENE_TRIES):
        placed = _place_all(draw_roles(config, rng), config, rng)
        if placed is not None:
            order = rng.permutation(len(placed))
            return Scene(tuple(placed[i] for i in order))
    raise ConfigError(
        f"no room for {config.objects} objects in {SCENE_TRIES} tries", hint="ask for fewer objects"
    )


def _place_all(
    roles: list[Role], config: ToyConfig, rng: np.random.Generator
) -> list[SceneObject] | None:
    placed: list[SceneObject] = []
    for role in roles:
        candidates = (_draw_object(role, len(roles), config, rng) for _ in range(PLACE_TRIES))
        fitting = next((c for c in candidates if c is not None and _fits(c, placed)), None)
        if fitting is None:
            return None
        placed.append(fitting)
    return placed


def _draw_object(
    role: Role, crowd: int, config: ToyConfig, rng: np.random.Generator
) -> SceneObject | None:
    """Draw an object at a random position; None where it leaves the frame unintendedly."""
    radius = rng.uniform(*RADIUS) * min(1.0, (CROWD / crowd) ** 0.5)
    low, high = EDGE + radius * EXTENT, 1 - EDGE - radius * EXTENT
    x, y = rng.uniform(low, high, size=2)
    trajectory = Trajectory.resting(config.frames, x, y, rng.uniform(0, 2 * np.pi))
    actions = []
    hidden = np.zeros(config.frames, bool)
    for timed in role.actions:
        action = _complete(timed, trajectory, radius, rng)
        trajectory.apply(action)
        actions.append(action)
        if action.kind == "leave":
            hidden[action.start : action.end] = True
    obj = SceneObject(role.appearance, radius, tuple(actions), trajectory)
    return obj if _inside(obj, hidden) else None


def _complete(
    action: Action, trajectory: Trajectory, radius: float, rng: np.random.Generator
) -> Action:
    """Add an action's amount; a leave crosses the nearest edge until just out of sight."""
    if action.kind != "leave":
        return replace(action, amount=draw_amount(action.kind, action.length, rng))
    x, y = trajectory.x[action.start], trajectory.y[action.start]
    room = {"left": x, "right": 1 - x, "up": y, "down": 1 - y}
    edge = min(DIRECTIONS, key=room.__getitem__)
    reach = radius * trajectory.scale[action.start] * EXTENT
    return replace(action, amount=room[edge] + reach + LEAVE_MARGIN, exit=edge)


def _inside(obj: SceneObject, hidden: np.ndarray) -> bool:
    """Whether an object has a valid size and is entirely in view except in frames `hidden` (T,)."""
    margin = obj.reach() * EXTENT + EDGE
    x, y, scale = obj.trajectory.x, obj.trajectory.y, obj.trajectory.scale
    near_edge = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y)) < margin
    valid = scale.min() >= SMALLEST_SCALE and scale.max() <= LARGEST_SCALE
    return bool(valid and not (near_edge & ~hidden).any())


def _fits(obj: SceneObject, placed: list[SceneObject]) -> bool:
    """Whether an object keeps its distance from those placed before it in every frame."""
    for other in placed:
        distance = obj.trajectory.distance(other.trajectory)
        ratio = distance / (obj.reach() + other.reach())
        larger = np.maximum(obj.reach(), other.reach())
        if obj.appearance == other.appearance:
            clear = ratio.min() >= APART
        else:
            uncovered = (distance >= COVER * larger).all()
            clear = ratio[0] >= APART_AT_START and ratio.min() >= APART_CROSSING and uncovered
        if not clear:
            return False
    return True
