"""Sentences about a scene, with the referents and moments that make them true.

A description is a class of objects (by colour and shape, one of them, or neither) and a kind of
action. Its referents are all members of the class that do the action at some time; each one's
moments are exactly the spans of that action. Descriptions that could be argued about are never
used: no other member of the class does anything that the words might also mean.
"""

from dataclasses import dataclass

import numpy as np

from stages.tools.toy.config import ToyConfig
from stages.tools.toy.looks import Look
from stages.tools.toy.motions import KINDS, compatible
from stages.tools.toy.phrases import phrase
from stages.tools.toy.scene import Scene, SceneObject

GENERIC_SHARE = 0.2
"""Share of the expressions that leave out the colour, the shape or both."""
PHRASE_TRIES = 20


@dataclass(frozen=True)
class Description:
    """A class of objects (empty colour or shape: any) and what its referents do."""

    colour: str
    shape: str
    kind: str

    def fits(self, look: Look) -> bool:
        """Whether an object of this look belongs to the class."""
        return self.colour in ("", look.colour) and self.shape in ("", look.shape)

    @property
    def generic(self) -> bool:
        """Whether the words leave colour or shape open."""
        return not (self.colour and self.shape)


@dataclass(frozen=True)
class ToyExpression:
    """A sentence and its truth: spans [start, end) in frames by the referent's place in the
    scene."""

    text: str
    description: Description
    moments: dict[int, tuple[tuple[int, int], ...]]


def spans_of(thing: SceneObject, kind: str) -> tuple[tuple[int, int], ...]:
    """The spans in which an object does an action of this kind, in order of time."""
    return tuple((action.start, action.end) for action in thing.actions if action.kind == kind)


def resolve(description: Description, scene: Scene) -> dict[int, tuple[tuple[int, int], ...]]:
    """Spans by referent (its place in the scene); empty where nothing fits the words."""
    return {
        place: spans_of(thing, description.kind)
        for place, thing in enumerate(scene.objects)
        if description.fits(thing.look) and spans_of(thing, description.kind)
    }


def is_clear(description: Description, scene: Scene) -> bool:
    """Whether the sentence is beyond dispute and needs its motion words.

    Members of the class exist, none does what the words might also mean, and where there are
    referents one look-alike of a referent is none.
    """
    members = [p for p, thing in enumerate(scene.objects) if description.fits(thing.look)]
    kinds = {action.kind for p in members for action in scene.objects[p].actions}
    if not members or not all(compatible(description.kind, kind) for kind in kinds):
        return False
    referents = resolve(description, scene)
    looks = {scene.objects[p].look for p in referents}
    others = {scene.objects[p].look for p in members if p not in referents}
    return not referents or bool(looks & others)


def draw_expressions(
    scene: Scene, config: ToyConfig, rng: np.random.Generator
) -> list[ToyExpression]:
    """Expressions of a clip, different sentences, the shares of the settings met where the scene
    allows it."""
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
    """Which pool the next expression should come from: one, several or none."""
    point = rng.random()
    if point < config.no_target:
        return "none"
    return "several" if point < config.no_target + config.several else "one"


def _pools(scene: Scene) -> dict[str, list[Description]]:
    """All clear descriptions of a scene by their number of referents."""
    pools: dict[str, list[Description]] = {"one": [], "several": [], "none": []}
    looks = sorted({(thing.look.colour, thing.look.shape) for thing in scene.objects})
    classes = {(colour, shape) for colour, shape in looks}
    classes |= {(colour, "") for colour, _ in looks} | {("", shape) for _, shape in looks}
    classes.add(("", ""))
    done = {action.kind for thing in scene.objects for action in thing.actions}
    for colour, shape in sorted(classes):
        for kind in KINDS:
            description = Description(colour, shape, kind)
            if not is_clear(description, scene):
                continue
            number = len(resolve(description, scene))
            if number:
                pools["one" if number == 1 else "several"].append(description)
            elif not description.generic:
                # What another object does tempts more than what nobody does: listed twice, drawn
                # twice as often.
                pools["none"].extend([description] * (2 if kind in done else 1))
    return pools


def _any(pools: dict[str, list[Description]]) -> list[Description]:
    return [description for pool in pools.values() for description in pool]


def _pick(pool: list[Description], rng: np.random.Generator) -> Description:
    """One description; generic ones only as often as GENERIC_SHARE says, where both sorts are
    there."""
    generic = [d for d in pool if d.generic]
    exact = [d for d in pool if not d.generic]
    sort = generic if generic and (not exact or rng.random() < GENERIC_SHARE) else exact
    return sort[rng.integers(len(sort))]


def _word(
    description: Description, scene: Scene, rng: np.random.Generator, taken: set[str]
) -> ToyExpression | None:
    """The expression in words not yet taken in this clip; None if all that come up are."""
    moments = resolve(description, scene)
    for _ in range(PHRASE_TRIES):
        text = phrase(description.colour, description.shape, description.kind, len(moments), rng)
        if text not in taken:
            return ToyExpression(text, description, moments)
    return None
