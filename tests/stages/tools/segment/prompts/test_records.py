"""Prompts and the objects that they belong to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from schemas.errors import ConfigError
from stages.tools.segment.prompts.records import (
    Box,
    MaskImage,
    Point,
    PromptedObject,
    group_objects,
)

BOX, POINT = Box(1, 2, 30, 40), Point(5, 6)
NOT = Point(7, 8, inside=False)
MASK = MaskImage(Path("m.png"))


def pixels() -> np.ndarray:
    return np.ones((4, 4), bool)


def names(objects: tuple[PromptedObject, ...]) -> list[str]:
    return [one.name for one in objects]


def test_each_prompt_without_a_name_is_an_object() -> None:
    found = group_objects([BOX, BOX], [POINT], [(MASK, {1: pixels(), 7: pixels()})])
    assert names(found) == [f"object {number}" for number in (1, 2, 3, 4, 5)]
    assert [len(one.prompts) for one in found] == [1] * 5


def test_prompts_of_one_name_are_one_object() -> None:
    box, later = Box(1, 2, 30, 40, name="dog"), Box(3, 4, 30, 40, frame=9, name="dog")
    point = Point(5, 6, name="dog")
    found = group_objects([box, later, BOX], [point, Point(1, 1, name="cat")], [])
    assert names(found) == ["dog", "object 1", "cat"]
    assert found[0].frames == (0, 9)
    assert found[0].on(0) == (box, (point,), None)
    assert found[0].on(9) == (later, (), None)


def test_fresh_names_avoid_the_given_ones() -> None:
    found = group_objects([Box(1, 2, 3, 4, name="object 1"), BOX], [], [])
    assert names(found) == ["object 1", "object 2"]


def test_several_objects_of_a_named_mask_get_its_numbers() -> None:
    image = MaskImage(Path("m.png"), 3, "fish")
    found = group_objects([], [], [(image, {2: pixels(), 5: pixels()})])
    assert names(found) == ["fish 2", "fish 5"]
    assert names(group_objects([], [], [(image, {2: pixels()})])) == ["fish"]
    mask = found[0].on(3)[2]
    assert mask is not None
    assert mask.all()


def test_a_point_outside_belongs_to_the_only_object_or_the_named_one() -> None:
    (found,) = group_objects([BOX], [NOT], [])
    assert found.on(0) == (BOX, (NOT,), None)
    dog, cat = Box(1, 2, 3, 4, name="dog"), Box(1, 2, 3, 4, name="cat")
    named = Point(7, 8, name="cat", inside=False)
    assert group_objects([dog, cat], [named], [])[1].prompts == (cat, named)
    for boxes, point, message in (
        ([dog, cat], NOT, "does not say of which object; name the object in front"),
        ([], NOT, "belongs to no object; say where the object is with --box"),
        ([dog], Point(7, 8, name="cow", inside=False), "no object is called 'cow'"),
    ):
        with pytest.raises(ConfigError, match=f"^--not-point .*: {message}"):
            group_objects(boxes, [point], [])


def test_prompts_that_exclude_each_other() -> None:
    dog = Box(1, 2, 3, 4, name="dog")
    image = MaskImage(Path("m.png"), name="dog")
    with pytest.raises(ConfigError, match=r"^--box dog:1,2,3,4@0: 'dog' has a mask on frame 0"):
        group_objects([dog], [], [(image, {1: pixels()})])
    with pytest.raises(ConfigError, match=r"^--box .*: 'dog' has another box on frame 0"):
        group_objects([dog, dog], [], [])
    far = Point(7, 8, frame=5, name="dog", inside=False)
    with pytest.raises(ConfigError, match=r"^--not-point .*: nothing says where 'dog' is on fr"):
        group_objects([dog], [far], [])
