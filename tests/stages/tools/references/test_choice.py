"""Choosing the objects of a trivial prediction."""

import pytest

from stages.core.datasets.objects import KnownObject
from stages.core.index.index import Expression
from stages.tools.references.choice import choose, look_alikes
from stages.tools.references.config import ReferencesConfig

OBJECTS = [
    KnownObject("1", "red circle"),
    KnownObject("2", "red circle"),
    KnownObject("3", "blue circle"),
    KnownObject("4", "red cross"),
    KnownObject("5"),
]


def sentence(text: str, *annos: str, number: str = "0") -> Expression:
    return Expression("v", number, text, annos, annos)


def ids(things: list[KnownObject]) -> list[str]:
    return [thing.anno_id for thing in things]


def test_look_alikes_share_a_referents_category():
    assert ids(look_alikes(sentence("the red circle that jumps", "2"), OBJECTS)) == ["1", "2"]
    assert ids(look_alikes(sentence("what jumps", "2", "4"), OBJECTS)) == ["1", "2", "4"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the red circle that spins", ["1", "2"]),
        ("All RED circles that spin", ["1", "2"]),
        ("two red crosses spinning", ["4"]),
        ("the red thing that spins", []),
        ("a reddish circled thing", []),
        ("", []),
    ],
)
def test_without_referents_the_nouns_decide(text, expected):
    assert ids(look_alikes(sentence(text), OBJECTS)) == expected


def test_all_objects_are_all():
    config = ReferencesConfig(kind="all-objects")
    assert choose(sentence("x"), OBJECTS, config) == ["1", "2", "3", "4", "5"]


def test_the_random_object_depends_on_seed_and_expression_alone():
    config = ReferencesConfig(kind="one-at-random", seed=3)
    numbers = [str(n) for n in range(60)]
    first = [choose(sentence("x", number=n), OBJECTS, config) for n in numbers]
    again = [choose(sentence("y", "1", number=n), OBJECTS[::-1], config) for n in numbers]
    other = ReferencesConfig(kind="one-at-random", seed=4)
    assert first == again
    assert {anno for (anno,) in first} == {"1", "2", "3", "4", "5"}
    assert first != [choose(sentence("x", number=n), OBJECTS, other) for n in numbers]


def test_a_video_without_objects_gets_nothing():
    for kind in ("all-objects", "one-at-random", "look-alikes"):
        assert choose(sentence("x"), [], ReferencesConfig(kind=kind)) == []
