"""Finding motion words by a list of English verbs, matched by stem, and by a part-of-speech tagger.

The list alone misses rare verbs, and takes some nouns ("a turn", "the climb") for verbs. A small
tagger takes some verbs for nouns ("the cat that jumps"), so it adds to the list and does not
replace it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from stages.core.model.text_encoders.encoding import Encoded

SOURCE = "list of motion verbs"

Tagger = Callable[[str], list[tuple[int, int]]]
"""From a sentence to the ranges of its verbs, as (start, end) in characters."""

_VERBS = """
accelerate advance approach arrive ascend back beat bend bite blow bob bounce bow brake break
bring brush bump burst carry cast catch charge chase cheer chew circle clap clean climb close
collapse come cook cover crash crawl cross crouch cut dance dart dash depart descend dip disappear
dive dodge drag drift drink drive drop duck eat emerge enter escape exit fade fall feed fight fill
flap flee flip float flow fly fold follow gallop gather get give glide go grab graze grow hang
hatch head hide hit hold hop hover hug hunt hurry inch jog join jump kick kiss kneel knock land
laugh lead lean leap leave lick lie lift limp lower lunge lurch march meet melt merge migrate
mount move nod open orbit overtake pace paddle paint park pass pat pause peck peel perch pet pick
pivot play plunge poke pop pounce pour press proceed pull punch push put race raise reach rear
recede recoil remain repeat rest retreat return reverse ride rise rock roll rotate rub run rush
sail scale scatter scoot scratch scurry shake shift shoot shove show shrink shuffle sink sit skate
ski skip slap sleep slide slip slither slow smile snap sniff soar speed spin splash split spray
spread spring sprint squat squeeze stand start steer step stir stop stretch stride strike stroll
struggle stumble surf sway sweep swerve swim swing switch take talk tap tear throw tilt tip toss
touch tow trail travel trot trudge tumble turn twirl twist vanish vault wade wag wait walk wander
wash wave weave wheel wiggle wobble work wrestle zoom
""".split()  # noqa: SIM905 (a list of 240 words is easier to read as text)

_IRREGULAR = {
    "ate": "eat", "bent": "bend", "bit": "bite", "blew": "blow", "brought": "bring",
    "came": "come", "caught": "catch", "drank": "drink", "drove": "drive", "fell": "fall",
    "fed": "feed", "flew": "fly", "fought": "fight", "gave": "give", "got": "get", "went": "go",
    "grew": "grow", "held": "hold", "hid": "hide", "knelt": "kneel", "laid": "lie", "lay": "lie",
    "leapt": "leap", "led": "lead", "left": "leave", "lying": "lie", "met": "meet", "ran": "run",
    "rode": "ride", "rose": "rise", "sank": "sink", "sat": "sit", "shook": "shake",
    "shot": "shoot", "shrank": "shrink", "shrunk": "shrink", "slept": "sleep", "slid": "slide",
    "sped": "speed", "spun": "spin", "sprang": "spring", "stood": "stand", "strode": "stride",
    "struck": "strike", "swam": "swim", "swept": "sweep", "swung": "swing", "threw": "throw",
    "took": "take", "tore": "tear", "wove": "weave",
}  # fmt: skip
_ENDINGS = ("ing", "ed", "es", "s")
_SHORTEST_STEM = 2
_DOUBLED = re.compile(r"([bdglmnprt])\1$")
_LETTERS = re.compile(r"[^a-z]")


def stem(word: str) -> str:
    """Strip the ending of an English verb: running, runs, ran -> run."""
    text = _LETTERS.sub("", word.lower())
    text = _IRREGULAR.get(text, text)
    for ending in _ENDINGS:
        rest = text.removesuffix(ending)
        if rest != text and len(rest) >= _SHORTEST_STEM and any(c in "aeiouy" for c in rest):
            text = _DOUBLED.sub(r"\1", rest)
            break
    text = text[:-1] + "y" if text.endswith("i") and len(text) > _SHORTEST_STEM else text
    return text.removesuffix("e") if len(text) > _SHORTEST_STEM + 1 else text


_STEMS = frozenset(stem(verb) for verb in _VERBS)


def motion_mask(sentence: str, encoded: Encoded, tagger: Tagger | None = None) -> list[bool]:
    """For each token, whether it is part of a motion word."""
    spans = _motion_spans(sentence)
    if tagger is not None:
        spans += tagger(sentence)
    return [_inside(token, spans) for token in encoded.ranges]


def _motion_spans(sentence: str) -> list[tuple[int, int]]:
    return [m.span() for m in re.finditer(r"[^\W\d_]+", sentence) if stem(m[0]) in _STEMS]


def _inside(token: tuple[int, int], spans: Sequence[tuple[int, int]]) -> bool:
    start, end = token
    return end > start and any(start < b and a < end for a, b in spans)
