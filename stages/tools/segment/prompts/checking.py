"""Prompts checked against the video, before anything is tracked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from schemas.errors import ConfigError
from stages.tools.segment.prompts.mask_images import objects_of
from stages.tools.segment.prompts.records import (
    Box,
    MaskImage,
    ObjectMask,
    Point,
    Prompt,
    PromptedObject,
    group_objects,
)


def prompted_objects(
    prompts: Sequence[Prompt], size: tuple[int, int], frames: int | None = None
) -> tuple[PromptedObject, ...]:
    """The objects of prompts for a video.

    Args:
        size: (height, width) of the video.
        frames: of the video; None while they are not counted.

    Raises:
        ConfigError: a prompt lies outside the video, a mask has another size or is empty, or
            prompts contradict each other.
        CorruptInput, MissingInput: a mask image cannot be read.
    """
    for prompt in prompts:
        if isinstance(prompt, Box):
            _require_inside(prompt, *size)
        elif isinstance(prompt, Point):
            _require_on_frame(prompt, *size)
        if frames is not None and not 0 <= prompt.frame < frames:
            raise ConfigError(
                f"the video has no frame {prompt.frame}, its last one is {frames - 1}",
                where=prompt,
            )
    masks = [prompt for prompt in prompts if isinstance(prompt, MaskImage)]
    return group_objects(
        [prompt for prompt in prompts if isinstance(prompt, Box)],
        [prompt for prompt in prompts if isinstance(prompt, Point)],
        [(mask, objects_of(mask, size)) for mask in masks],
    )


def renumbered(
    objects: Sequence[PromptedObject], frames: Sequence[int]
) -> tuple[PromptedObject, ...]:
    """The same objects in a video of some of the frames only.

    Args:
        frames: the numbers of these frames, every prompted one among them.
    """
    place = {frame: number for number, frame in enumerate(frames)}

    def moved(prompt: Box | Point | ObjectMask) -> Box | Point | ObjectMask:
        if isinstance(prompt, ObjectMask):
            return replace(prompt, source=replace(prompt.source, frame=place[prompt.frame]))
        return replace(prompt, frame=place[prompt.frame])

    return tuple(
        PromptedObject(one.name, tuple(moved(prompt) for prompt in one.prompts)) for one in objects
    )


def _require_inside(box: Box, height: int, width: int) -> None:
    if not (box.x0 < box.x1 and box.y0 < box.y1):
        raise ConfigError("has no area", where=box)
    if min(box.x0, box.y0) < 0 or box.x1 > width or box.y1 > height:
        raise ConfigError(f"reaches beyond the video's {width}x{height} pixels", where=box)


def _require_on_frame(point: Point, height: int, width: int) -> None:
    if not (0 <= point.x < width and 0 <= point.y < height):
        raise ConfigError(f"lies outside the video's {width}x{height} pixels", where=point)
