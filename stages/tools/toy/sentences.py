"""Sentences about a scene, with the referents and moments that make them true.

A description is a class of objects (by colour and shape, one of them, or neither) and a kind of
action. Its referents are all members of the class that do the action at some time; each one's
moments are exactly the spans of that action. Arguable descriptions are never used: no other member
of the class does anything that the words might also mean.
"""

from dataclasses import dataclass

import numpy as np

from stages.tools.toy.appearance import Appearance
from stages.tools.toy.config import ToyConfig
from stages.tools.toy.motions import KINDS, compatible
from stages.tools.toy.phrases import phrase
from stages.tools.toy.scene import Scene, SceneObject

GENERIC_SHARE = 0.2
"""Share of the expressions that leave out the colour, the shape or both."""
PHRASE_TRIES = 20


@dataclass(frozen=True)
class Description:
    """A class of objects (empty colour or shape: any) and the action of its referents."""

    colour: str
    shape: str
    kind: str

    def fits(self, appearance: Appearance) -> bool:
        """Whether an object of this appearance belongs to the class."""
        return self.colour in ("", appearance.colour) and self.shape in ("", appearance.shape)

    @property
    def generic(self) -> bool:
        """Whether the words leave colour or shape open."""
        return not (self.colour and self.shape)


@dataclass(frozen=True)
class ToyExpression:
    """A sentence and its spans [start, end) in frames, by the referent's number in the scene."""

    text: str
    description: Description
    moments: dict[int, tuple[tuple[int, int], ...]]


def action_spans(obj: SceneObject, kind: str) -> tuple[tuple[int, int], ...]:
    """Spans of an object's actions of this kind, in order of time."""
    return tuple((action.start, action.end) for action in obj.actions if action.kind == kind)


def resolve(description: Description, scene: Scene) -> dict[int, tuple[tuple[int, int], ...]]:
    """Spans by the referent's number in the scene; empty without referents."""
    return {
        number: action_spans(obj, description.kind)
        for number, obj in enumerate(scene.objects)
        if description.fits(obj.appearance) and action_spans(obj, description.kind)
    }


def is_clear(description: Description, scene: Scene) -> bool:
    """Whether a sentence is unambiguous and needs its motion words.

    The class has members, none does anything that the words might also mean, and a referent, if
    any, has a look-alike that is not one.
    """
    members = [p for p, obj in enumerate(scene.objects) if description.fits(obj.appearance)]
    kinds = {action.kind for p in members for action in scene.objects[p].actions}
    if not members or not all(compatible(description.kind, kind) for kind in kinds):
        return False
    referents = resolve(description, scene)
    appearances = {scene.objects[p].appearance for p in referents}
    others = {scene.objects[p].appearance for p in members if p not in referents}
    return not referents or bool(appearances & others)


def draw_expressions(
    scene: Scene, config: ToyConfig, rng: np.random.Generator
) -> list[ToyExpression]:
    """Draw a clip's expressions, all different, in the configured shares where possible."""
    pools = _pools(scene)
    expressions: list[ToyExpression] = []
    used: set[Description] = set()
    for _ in range(config.expressions):
        want = _want(config, rng)
        order = [want, *(kind for kind in pools if kind != want)]
        pool = next((pools[kind] for kind in order if set(pools[kind]) - used), None)
        fresh = [d for d in pool if d not in used] if pool else []
        description = _pick(fresh, rng) if fresh else _pick(pools[want] or _any(pools), rng)
        used.add(description)
        expression = _word(description, scene, rng, {e.text for e in expressions})
        if expression is not None:
            expressions.append(expression)
    return expressions


def _want(config: ToyConfig, rng: np.random.Generator) -> str:
    """Draw the pool of the next expression: one, several or none."""
    point = rng.random()
    if point < config.no_target:
        return "none"
    return "several" if point < config.no_target + config.several else "one"


def _pools(scene: Scene) -> dict[str, list[Description]]:
    """All clear descriptions of a scene by number of referents."""
    pools: dict[str, list[Description]] = {"one": [], "several": [], "none": []}
    exact = {(obj.appearance.colour, obj.appearance.shape) for obj in scene.objects}
    classes = exact | {(colour, "") for colour, _ in exact} | {("", shape) for _, shape in exact}
    classes.add(("", ""))
    done = {action.kind for obj in scene.objects for action in obj.actions}
    for colour, shape in sorted(classes):
        for kind in KINDS:
            description = Description(colour, shape, kind)
            if not is_clear(description, scene):
                continue
            number = len(resolve(description, scene))
            if number:
                pools["one" if number == 1 else "several"].append(description)
            elif not description.generic:
                # Actions that another object does are harder: listed twice, drawn twice as often.
                pools["none"].extend([description] * (2 if kind in done else 1))
    return pools


def _any(pools: dict[str, list[Description]]) -> list[Description]:
    return [description for pool in pools.values() for description in pool]


def _pick(pool: list[Description], rng: np.random.Generator) -> Description:
    """Draw a description, where possible a generic one with a share of GENERIC_SHARE."""
    generic = [d for d in pool if d.generic]
    exact = [d for d in pool if not d.generic]
    sort = generic if generic and (not exact or rng.random() < GENERIC_SHARE) else exact
    return sort[rng.integers(len(sort))]


def _word(
    description: Description, scene: Scene, rng: np.random.Generator, taken: set[str]
) -> ToyExpression | None:
    """Draw words that are not taken in this clip; None after too many tries."""
    moments = resolve(description, scene)
    for _ in range(PHRASE_TRIES):
        text = phrase(description.colour, description.shape, description.kind, len(moments), rng)
        if text not in taken:
            return ToyExpression(text, description, moments)
    return None
