"""Settings and inputs of the stage that tracks prompted objects."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.receipts import canonical_json
from stages.core.engine.digest import text_digest, weights_digest
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs
from stages.core.index.frame_files import frame_folders, index_digest
from stages.tools.segment.prompts.records import Box, ObjectMask, Point, PromptedObject


@dataclass(frozen=True)
class PromptConfig(Settings):
    """Settings of the tracker."""

    image_size: int = setting(
        0, "Side in pixels that frames are scaled to; 0 is the tracker's own.", low=0
    )
    feature_memory: float | None = setting(
        None,
        "Gigabytes for features of the video's frames; what does not fit is recomputed. By "
        "default 2, on a GPU up to a quarter of its free memory.",
        low=0,
        affects_result=False,
    )
    chunk_frames: int = setting(
        8, "Frames decoded and encoded together.", low=1, affects_result=False
    )


@dataclass(frozen=True)
class PromptInputs(Inputs):
    """Inputs of the stage.

    Attributes:
        index: of one video; its expressions are the names of the objects, in order.
        tracker: folder of a video model.
        objects: with their prompts by the numbers of the index's frames.
    """

    index: Path
    tracker: Path
    objects: tuple[PromptedObject, ...]

    def digests(self) -> dict[str, str]:
        """Digests of the index with its frames, of the weights, and of the prompts."""
        return {
            "index": index_digest(self.index),
            "tracker": weights_digest(self.tracker),
            "prompts": text_digest(canonical_json([_plain(one) for one in self.objects])),
        }

    def paths(self) -> list[Path]:
        """The inputs, and the frames that the index points to."""
        return [*super().paths(), *frame_folders(self.index)]


def _plain(one: PromptedObject) -> list[Any]:
    """All that an object's masks depend on, as JSON values."""
    return [one.name, [_plain_prompt(prompt) for prompt in one.prompts]]


def _plain_prompt(prompt: Box | Point | ObjectMask) -> list[Any]:
    if isinstance(prompt, ObjectMask):
        return [int(prompt.frame), hashlib.sha256(prompt.pixels.tobytes()).hexdigest()]
    if isinstance(prompt, Box):
        place = [prompt.x0, prompt.y0, prompt.x1, prompt.y1]
    else:
        place = [prompt.x, prompt.y, prompt.inside]
    return [type(prompt).__name__, int(prompt.frame), *map(float, place)]  # perhaps numpy's
