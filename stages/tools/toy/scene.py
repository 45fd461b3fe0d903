"""Where everything is: places, amounts and paths of a clip's objects, without accidents.

Look-alikes never touch, so who is who stays clear to a viewer; different objects may cross and hide
each other partly, never wholly.
"""

from dataclasses import dataclass, replace

import numpy as np

from schemas.errors import ConfigError
from stages.tools.toy.config import ToyConfig
from stages.tools.toy.looks import EXTENT, Look
from stages.tools.toy.motions import DIRECTIONS, LEAVE_MARGIN, Action, Track, draw_amount
from stages.tools.toy.plan import Role, draw_roles

RADIUS = (0.108, 0.14)
CROWD = 5
"""Clips with more objects than this have smaller ones, in proportion to the square root."""
EDGE = 0.015
APART = 1.1
APART_AT_START = 0.8
APART_CROSSING = 0.55
COVER = 1.05
"""A centre keeps this many radii of the larger object away from it: no small object is covered."""
SMALLEST_SCALE, LARGEST_SCALE = 0.5, 1.9
PLACE_TRIES = 60
SCENE_TRIES = 300


@dataclass(frozen=True)
class SceneObject:
    """One object of a clip: its look, radius (fraction of the frame), actions and path."""

    look: Look
    radius: float
    actions: tuple[Action, ...]
    track: Track

    def reach(self) -> np.ndarray:
        """Radius at each frame, (T,), fraction of the frame."""
        return self.radius * self.track.scale


@dataclass(frozen=True)
class Scene:
    """The objects of a clip from back to front."""

    objects: tuple[SceneObject, ...]


def draw_scene(config: ToyConfig, rng: np.random.Generator) -> Scene:
    """A scene in which every object has a place.

    Raises: ConfigError, if there is no room for so many objects.
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
    """The object at a random place; None where its path leaves the frame without being meant to."""
    radius = rng.uniform(*RADIUS) * min(1.0, (CROWD / crowd) ** 0.5)
    low, high = EDGE + radius * EXTENT, 1 - EDGE - radius * EXTENT
    x, y = rng.uniform(low, high, size=2)
    track = Track.resting(config.frames, x, y, rng.uniform(0, 2 * np.pi))
    actions = []
    hidden = np.zeros(config.frames, bool)
    for timed in role.actions:
        action = _complete(timed, track, radius, rng)
        track.apply(action)
        actions.append(action)
        if action.kind == "leave":
            hidden[action.start : action.end] = True
    thing = SceneObject(role.look, radius, tuple(actions), track)
    return thing if _inside(thing, hidden) else None


def _complete(action: Action, track: Track, radius: float, rng: np.random.Generator) -> Action:
    """The action with its amount; who leaves takes the nearest edge and goes just out of sight."""
    if action.kind != "leave":
        return replace(action, amount=draw_amount(action.kind, action.length, rng))
    x, y = track.x[action.start], track.y[action.start]
    room = {"left": x, "right": 1 - x, "up": y, "down": 1 - y}
    edge = min(DIRECTIONS, key=room.__getitem__)
    reach = radius * track.scale[action.start] * EXTENT
    return replace(action, amount=room[edge] + reach + LEAVE_MARGIN, exit=edge)


def _inside(thing: SceneObject, hidden: np.ndarray) -> bool:
    """Whether an object of sound size is wholly in the frame, the frames `hidden` (T,) apart."""
    margin = thing.reach() * EXTENT + EDGE
    x, y, scale = thing.track.x, thing.track.y, thing.track.scale
    near_edge = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y)) < margin
    sound = scale.min() >= SMALLEST_SCALE and scale.max() <= LARGEST_SCALE
    return bool(sound and not (near_edge & ~hidden).any())


def _fits(thing: SceneObject, placed: list[SceneObject]) -> bool:
    """Whether an object keeps its distance from those placed before it, at every frame."""
    for other in placed:
        distance = np.hypot(thing.track.x - other.track.x, thing.track.y - other.track.y)
        ratio = distance / (thing.reach() + other.reach())
        larger = np.maximum(thing.reach(), other.reach())
        if thing.look == other.look:
            clear = ratio.min() >= APART
        else:
            uncovered = (distance >= COVER * larger).all()
            clear = ratio[0] >= APART_AT_START and ratio.min() >= APART_CROSSING and uncovered
        if not clear:
            return False
    return True
