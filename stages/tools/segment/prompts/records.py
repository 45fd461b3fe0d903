"""Prompts as the user gives them, and the objects that they belong to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

_MOST_DIGITS = 6


@dataclass(frozen=True)
class Box:
    """A box around an object, in pixels of the video from its upper left corner.

    Attributes:
        x0, y0, x1, y1: left, top, right and bottom edge.
        frame: number of the frame, from 0.
        name: of the object; prompts with one name are one object.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    frame: int = 0
    name: str | None = None

    def __str__(self) -> str:
        numbers = (self.x0, self.y0, self.x1, self.y1)
        return f"--box {_typed(self.name, numbers, self.frame)}"


@dataclass(frozen=True)
class Point:
    """A point in an object, or beside it, in pixels of the video from its upper left corner.

    Attributes:
        x, y: of the point.
        frame: number of the frame, from 0.
        name: of the object; prompts with one name are one object.
        inside: the point is part of the object; False for a point that is not.
    """

    x: float
    y: float
    frame: int = 0
    name: str | None = None
    inside: bool = True

    def __str__(self) -> str:
        option = "--point" if self.inside else "--not-point"
        return f"{option} {_typed(self.name, (self.x, self.y), self.frame)}"


@dataclass(frozen=True)
class MaskImage:
    """A mask of one object or several on one frame.

    Attributes:
        mask: an image file, or an array (H, W): 0 is the background, and every other colour or
            number an object.
        frame: number of the frame, from 0.
        name: of the object; of several, a number is added.
    """

    mask: Path | np.ndarray
    frame: int = 0
    name: str | None = None

    def __str__(self) -> str:
        named = "" if self.name is None else f"{self.name}:"
        shown = self.mask if isinstance(self.mask, Path) else "ARRAY"
        return f"--mask {named}{shown}@{self.frame}"


Prompt = Box | Point | MaskImage


def _typed(name: str | None, numbers: Sequence[float], frame: int) -> str:
    named = "" if name is None else f"{name}:"
    return f"{named}{','.join(f'{number:.{_MOST_DIGITS}g}' for number in numbers)}@{frame}"


@dataclass(frozen=True)
class ObjectMask:
    """The mask of one object on one frame.

    Attributes:
        pixels: bool (H, W).
        source: the prompt that it comes from.
    """

    pixels: np.ndarray
    source: MaskImage

    @property
    def frame(self) -> int:
        """Number of the frame."""
        return self.source.frame

    def __str__(self) -> str:
        return str(self.source)


@dataclass(frozen=True)
class PromptedObject:
    """An object and all of its prompts.

    Attributes:
        name: in the legend and in the tables.
    """

    name: str
    prompts: tuple[Box | Point | ObjectMask, ...]

    @property
    def frames(self) -> tuple[int, ...]:
        """The prompted frames, ascending."""
        return tuple(sorted({prompt.frame for prompt in self.prompts}))

    def on(self, frame: int) -> tuple[Box | None, tuple[Point, ...], np.ndarray | None]:
        """The box, the points and the mask on a frame."""
        here = [prompt for prompt in self.prompts if prompt.frame == frame]
        box = next((prompt for prompt in here if isinstance(prompt, Box)), None)
        mask = next((prompt.pixels for prompt in here if isinstance(prompt, ObjectMask)), None)
        return box, tuple(prompt for prompt in here if isinstance(prompt, Point)), mask


def group_objects(
    boxes: Sequence[Box],
    points: Sequence[Point],
    masks: Sequence[tuple[MaskImage, Mapping[int, np.ndarray]]],
) -> tuple[PromptedObject, ...]:
    """Group prompts into objects: those of one name are one, each other is an object of its own.

    Args:
        masks: each image with the masks, bool (H, W), of its objects by number.

    Raises:
        ConfigError: a point outside an object tells not of which; an object has two boxes, two
            masks, or a mask beside others on a frame, or on a frame only points outside it.
    """
    found: dict[str, list[Box | Point | ObjectMask]] = {}
    given: list[Box | Point] = [*boxes, *(point for point in points if point.inside)]
    taken = {prompt.name for prompt in (*given, *(image for image, _ in masks))}
    fresh = _fresh_names({name for name in taken if name is not None})
    for prompt in given:
        found.setdefault(prompt.name or next(fresh), []).append(prompt)
    for image, numbered in masks:
        for number, pixels in numbered.items():
            found.setdefault(_mask_name(image, number, len(numbered), fresh), []).append(
                ObjectMask(pixels, image)
            )
    for point in points:
        if not point.inside:
            found[_owner(point, found)].append(point)
    objects = tuple(PromptedObject(name, tuple(prompts)) for name, prompts in found.items())
    for one in objects:
        _require_one_meaning(one)
    return objects


def _fresh_names(taken: set[str]) -> Iterator[str]:
    """Names for objects without one: `object 1`, `object 2`, ..."""
    number = 0
    while True:
        number += 1
        if f"object {number}" not in taken:
            yield f"object {number}"


def _mask_name(image: MaskImage, number: int, count: int, fresh: Iterator[str]) -> str:
    if image.name is None:
        return next(fresh)
    return image.name if count == 1 else f"{image.name} {number}"


def _owner(point: Point, objects: dict[str, list[Box | Point | ObjectMask]]) -> str:
    """The object that a point outside it belongs to: the one of its name, or the only one."""
    if point.name is None and len(objects) == 1:
        return next(iter(objects))
    if point.name is None:
        raise ConfigError(
            "does not say of which object" if objects else "belongs to no object",
            where=point,
            hint="name the object in front: --not-point NAME:x,y, and in its other prompts too"
            if objects
            else "say where the object is with --box, --point or --mask",
        )
    if point.name not in objects:
        raise ConfigError(
            f"no object is called {point.name!r}",
            where=point,
            hint=f"say where it is, such as --point {point.name}:x,y",
        )
    return point.name


def _require_one_meaning(one: PromptedObject) -> None:
    """Raise ConfigError where the prompts of an object on a frame exclude each other."""
    for frame in one.frames:
        here = [prompt for prompt in one.prompts if prompt.frame == frame]
        masks = [prompt for prompt in here if isinstance(prompt, ObjectMask)]
        boxes = [prompt for prompt in here if isinstance(prompt, Box)]
        if masks and len(here) > 1:
            other = next(prompt for prompt in reversed(here) if prompt is not masks[0])
            raise ConfigError(
                f"{one.name!r} has a mask on frame {frame} already, which says all of it",
                where=other,
                hint="leave one of them out",
            )
        if len(boxes) > 1:
            raise ConfigError(
                f"{one.name!r} has another box on frame {frame}",
                where=boxes[1],
                hint="give two objects two names",
            )
        if all(isinstance(prompt, Point) and not prompt.inside for prompt in here):
            raise ConfigError(
                f"nothing says where {one.name!r} is on frame {frame}",
                where=here[0],
                hint="add a --point or a --box on the same frame",
            )
