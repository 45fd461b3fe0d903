"""Nouns for classes of objects, verbs for actions, and the patterns that join them."""

import numpy as np

VERBS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "left": (
        ("moves left", "move left", "moving left"),
        ("goes to the left", "go to the left", "going to the left"),
        ("slides leftwards", "slide leftwards", "sliding leftwards"),
    ),
    "right": (
        ("moves right", "move right", "moving right"),
        ("goes to the right", "go to the right", "going to the right"),
        ("slides rightwards", "slide rightwards", "sliding rightwards"),
    ),
    "up": (
        ("moves up", "move up", "moving up"),
        ("rises", "rise", "rising"),
        ("goes upwards", "go upwards", "going upwards"),
    ),
    "down": (
        ("moves down", "move down", "moving down"),
        ("sinks", "sink", "sinking"),
        ("goes downwards", "go downwards", "going downwards"),
    ),
    "jump": (
        ("jumps", "jump", "jumping"),
        ("hops", "hop", "hopping"),
        ("leaps", "leap", "leaping"),
    ),
    "spin": (
        ("spins", "spin", "spinning"),
        ("rotates", "rotate", "rotating"),
        ("turns in place", "turn in place", "turning in place"),
    ),
    "grow": (
        ("grows", "grow", "growing"),
        ("gets bigger", "get bigger", "getting bigger"),
        ("becomes larger", "become larger", "becoming larger"),
    ),
    "shrink": (
        ("shrinks", "shrink", "shrinking"),
        ("gets smaller", "get smaller", "getting smaller"),
        ("becomes smaller", "become smaller", "becoming smaller"),
    ),
    "leave": (
        ("leaves and returns", "leave and return", "leaving and returning"),
        ("goes away and comes back", "go away and come back", "going away and coming back"),
        ("disappears and reappears", "disappear and reappear", "disappearing and reappearing"),
    ),
}
"""By kind of action: third person, plural and participle of each way to put it."""

ONE: tuple[str, ...] = (
    "the {noun} that {third}",
    "the {noun} {participle}",
    "{noun} {participle}",
    "a {noun} {participle}",
    "the {noun} which {third}",
    "the only {noun} that {third}",
)
SEVERAL: tuple[str, ...] = (
    "the {nouns} that {plural}",
    "the {nouns} {participle}",
    "{nouns} {participle}",
    "all {nouns} that {plural}",
    "every {noun} that {third}",
)
COUNTED: tuple[str, ...] = ("the {number} {nouns} that {plural}", "{number} {nouns} {participle}")
NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight"}
COUNTED_SHARE = 0.2
PLURALS = {"cross": "crosses"}


def phrase(colour: str, shape: str, kind: str, referents: int, rng: np.random.Generator) -> str:
    """Draw a sentence about a class of objects and an action.

    A sentence without referents is worded like one with one or several, so that its form does not
    tell.
    """
    shape = shape or "object"
    noun = f"{colour} {shape}".strip()
    nouns = f"{colour} {PLURALS.get(shape, shape + 's')}".strip()
    third, plural, participle = VERBS[kind][rng.integers(len(VERBS[kind]))]
    if referents > 1 or (referents == 0 and rng.random() < 1 / 4):
        counted = referents > 1 and rng.random() < COUNTED_SHARE
        patterns = COUNTED if counted else SEVERAL
    else:
        patterns = ONE
    pattern = patterns[rng.integers(len(patterns))]
    return _article(
        pattern.format(
            noun=noun,
            nouns=nouns,
            third=third,
            plural=plural,
            participle=participle,
            number=NUMBERS.get(referents, str(referents)),
        )
    )


def _article(text: str) -> str:
    """Correct `a orange star` to `an orange star`."""
    vowel = text.startswith("a ") and text[2] in "aeiou"
    return f"an {text[2:]}" if vowel else text
