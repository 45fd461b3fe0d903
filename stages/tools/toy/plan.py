"""Appearances, actions and spans of a clip's objects, before they get positions."""

from dataclasses import dataclass

import numpy as np

from stages.tools.toy.appearance import ROUND, Appearance, draw_appearance
from stages.tools.toy.config import ToyConfig
from stages.tools.toy.motions import KINDS, Action, compatible

FEWEST_OBJECTS = 4
GROUP = 3
SPAN = (0.15, 0.30)
"""Length of most spans as a share of the clip: short, so that moments matter."""
LONG_SPAN = (0.30, 0.42)
LONG_SHARE = 0.12
LONG_KINDS = ("leave",)
REST_BETWEEN = 2
REPEAT_SHARE = 0.15
SECOND_SHARE = 0.4
TOGETHER_SHARE = 0.65
IDLE_SHARE = 0.2
SPAN_TRIES = 40


@dataclass(frozen=True)
class Role:
    """An object's appearance and its actions in order of time, still without amounts."""

    appearance: Appearance
    actions: tuple[Action, ...]


def draw_roles(config: ToyConfig, rng: np.random.Generator) -> list[Role]:
    """Draw the roles of a clip's objects: groups of two look-alikes, of three in the first group.

    In TOGETHER_SHARE of the groups of three, two look-alikes do the same in disjoint spans and the
    third does something else: the case that needs moments most.
    """
    fewest = min(FEWEST_OBJECTS, config.objects)
    total = int(rng.integers(fewest, config.objects + 1))
    roles: list[Role] = []
    appearances: tuple[Appearance, ...] = ()
    while len(roles) < total:
        left = total - len(roles)
        size = min(GROUP if not roles else GROUP - 1, left)
        appearance = draw_appearance(rng, config.style, appearances)
        appearances = (*appearances, appearance)
        roles.extend(_draw_group(config, rng, appearance, size))
    return roles


def _draw_group(
    config: ToyConfig, rng: np.random.Generator, appearance: Appearance, size: int
) -> list[Role]:
    """Draw the roles of `size` look-alikes; no action makes the sentence of another arguable."""
    firsts = _first_kinds(rng, appearance, size)
    used = {kind for kind in firsts if kind}
    plans: list[list[Action]] = []
    for kind in firsts:
        actions: list[Action] = []
        if kind:
            rivals = [a for plan in plans for a in plan if a.kind == kind]
            _add(actions, kind, config, rng, rivals)
        if kind and rng.random() < SECOND_SHARE:
            repeat = rng.random() < REPEAT_SHARE and kind != "leave"
            second = kind if repeat else _draw_kind(rng, appearance, used)
            if second:
                used.add(second)
                _add(actions, second, config, rng, [])
        plans.append(sorted(actions, key=lambda action: action.start))
    return [Role(appearance, tuple(plan)) for plan in plans]


def _first_kinds(rng: np.random.Generator, appearance: Appearance, size: int) -> list[str]:
    """Draw a kind of action for each look-alike of a group, empty for one that rests."""
    kinds: list[str] = []
    used: set[str] = set()
    if size == GROUP and rng.random() < TOGETHER_SHARE:
        kinds = [_draw_kind(rng, appearance, used)] * 2
        used.add(kinds[0])
    while len(kinds) < size:
        idle = kinds and "" not in kinds and rng.random() < IDLE_SHARE
        kinds.append("" if idle else _draw_kind(rng, appearance, used))
        used.add(kinds[-1])
    order = rng.permutation(size)
    return [kinds[i] for i in order]


def _draw_kind(rng: np.random.Generator, appearance: Appearance, used: set[str]) -> str:
    """Draw a kind that is compatible with those used; empty if none is left."""
    free = [
        kind
        for kind in KINDS
        if kind not in used
        and all(compatible(kind, other) for other in used)
        and not (kind == "spin" and appearance.shape in ROUND)
    ]
    return free[rng.integers(len(free))] if free else ""


def _add(
    actions: list[Action],
    kind: str,
    config: ToyConfig,
    rng: np.random.Generator,
    rivals: list[Action],
) -> None:
    """Append an action in a span clear of the object's own and of the rivals', if one is found."""
    for _ in range(SPAN_TRIES):
        start, end = draw_span(kind, config, rng)
        action = Action(kind, start, end)
        own = any(action.meets(other, REST_BETWEEN) for other in actions)
        if not own and not any(action.meets(other) for other in rivals):
            actions.append(action)
            return


def draw_span(kind: str, config: ToyConfig, rng: np.random.Generator) -> tuple[int, int]:
    """Draw a span [start, end) in frames; `late` is the share that starts in the second half."""
    long = kind in LONG_KINDS or rng.random() < LONG_SHARE
    share = rng.uniform(*(LONG_SPAN if long else SPAN))
    length = max(2, round(share * config.frames))
    half = config.frames // 2
    if rng.random() < config.late:
        start = int(rng.integers(half, max(half + 1, config.frames - length + 1)))
    else:
        start = int(rng.integers(1, half))
    return start, min(start + length, config.frames)
