"""The stage that tracks the objects of the user's own prompts: the tracker alone, both ways."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F
from torch import Tensor

from schemas.layouts import PROPAGATION_TABLE
from schemas.parquet import concatenate
from schemas.tables import PROPAGATION
from schemas.vocabulary import PROMPTED, PROPAGATED
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result, Stage
from stages.core.engine.workspace import Workspace
from stages.core.index.frame_files import require_unchanged
from stages.core.index.index import Expression, Index, Video
from stages.core.index.mask_writer import MaskWriter
from stages.core.index.propagation_rows import PropagationRows
from stages.core.model import budgets
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.families import load_backbone
from stages.core.model.backbones.records import Prompts
from stages.core.model.device import autocast, pick_device
from stages.core.model.masks import enlarge_masks
from stages.core.model.tracking.engine import TrackedObjects
from stages.core.model.tracking.objects import track_objects
from stages.core.model.video_features import VideoFeatures
from stages.tools.segment.prompts.config import PromptConfig, PromptInputs
from stages.tools.segment.prompts.records import PromptedObject

MASK_COVER = 0.5
"""Covered share from which a pixel of a mask that is scaled down belongs to it, as in SAM 2."""


def run(
    config: PromptConfig,
    inputs: PromptInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Track every object from its prompts, forward and backward."""
    index = Index.open(inputs.index)
    (video,) = index.videos.values()
    device = pick_device(runtime.device)
    backbone = load_backbone(inputs.tracker, image_size=config.image_size)
    backbone.eval().to(device)
    if runtime.compile:
        backbone.compile_parts()
    require_unchanged(video)
    total = video.num_frames * len(inputs.objects)
    with (
        _features(backbone, video, config, runtime, device) as features,
        ThreadPoolExecutor(1) as writers,
        progress.task("track", total, "mask") as task,
        torch.inference_mode(),
        autocast(runtime.precision, device),
    ):
        masks = _ObjectMasks(index.expressions, video, inputs.objects, out, writers)
        prompts = [_prompts(one, video, backbone.image_size, device) for one in inputs.objects]
        for found in track_objects(backbone, features, prompts):
            masks.add(found)
            task.advance(len(found.objects))
        masks.wait()
    out.write_table(PROPAGATION_TABLE, masks.table(), PROPAGATION)
    counts = {"videos": 1, "objects": len(inputs.objects), "masks": total}
    return Result(counts, threads=torch.get_num_threads())


STAGE = Stage(
    "segment",
    1,
    PromptConfig,
    PromptInputs,
    run,
    memory_hint="use a smaller --image-size, or a smaller --tracker",
    network=True,
)


@contextmanager
def _features(
    backbone: Backbone, video: Video, config: PromptConfig, runtime: Runtime, device: torch.device
) -> Iterator[VideoFeatures]:
    with ThreadPoolExecutor(runtime.workers) as decoders:
        features = VideoFeatures(
            video,
            backbone.encode_frames,
            size=backbone.image_size,
            device=device,
            budget=budgets.feature_bytes(config.feature_memory, device),
            chunk=config.chunk_frames,
            decoders=decoders,
        )
        try:
            yield features
        finally:
            features.close()


def _prompts(
    one: PromptedObject, video: Video, side: int, device: torch.device
) -> dict[int, Prompts]:
    """The prompts of an object by frame, as the backbone takes them.

    Args:
        side: S, the side of the backbone's square image.
    """
    scale = np.array([side / video.width, side / video.height], np.float32)
    found = {}
    for frame in one.frames:
        box, points, mask = one.on(frame)
        if mask is not None:
            found[frame] = Prompts(mask=_square_mask(mask, side).to(device))
            continue
        corners, places, labels = None, None, None
        if box is not None:
            edges = np.array([[box.x0, box.y0], [box.x1, box.y1]], np.float32) * scale
            corners = torch.from_numpy(edges.reshape(1, 4)).to(device)
        if points:
            at = np.array([[point.x, point.y] for point in points], np.float32) * scale
            places = torch.from_numpy(at[None]).to(device)  # (1, P, 2)
            labels = torch.tensor([[int(point.inside) for point in points]], device=device)
        found[frame] = Prompts(points=places, labels=labels, boxes=corners)
    return found


def _square_mask(mask: np.ndarray, side: int) -> Tensor:
    """A mask, bool (H, W), on the backbone's image as SAM 2's processor scales it: (1, S, S)."""
    pixels = torch.from_numpy(mask)[None, None].float()
    scaled = F.interpolate(
        pixels, size=(side, side), mode="bilinear", align_corners=False, antialias=True
    )
    return (scaled[0] >= MASK_COVER).float()


class _ObjectMasks:
    """Writes the masks of objects as they come, and keeps the numbers for the table.

    Args:
        expressions: one per object, in order.
        out: the artifact.
        writers: a thread that encodes and writes.
    """

    def __init__(
        self,
        expressions: Sequence[Expression],
        video: Video,
        objects: Sequence[PromptedObject],
        out: Workspace,
        writers: ThreadPoolExecutor,
    ):
        self._expressions = expressions
        self._video = video
        self._objects = objects
        self._writer = MaskWriter(out.path, writers)
        shape = (len(objects), video.num_frames)
        self._scores = np.full(shape, np.nan, np.float32)
        self._areas = np.zeros(shape, np.int64)

    def add(self, found: TrackedObjects) -> None:
        """Take the masks of some objects on a frame; what the user drew stays as it is."""
        scores = found.decoded.object_score.float().cpu().numpy()
        for row, number in enumerate(found.objects):
            drawn = self._objects[number].on(found.frame)[2]
            if drawn is None:
                logits = found.gated_logits[row : row + 1]
                mask = enlarge_masks(logits, self._video.height, self._video.width)[0].cpu().numpy()
            else:
                mask = drawn
            self._scores[number, found.frame] = scores[row]
            self._areas[number, found.frame] = int(mask.sum())
            self._writer.write(self._video, self._expressions[number], found.frame, mask)

    def wait(self) -> None:
        """Wait until all masks are on disk."""
        self._writer.wait()

    def table(self) -> pa.Table:
        """Rows of the propagation table for all objects."""
        frames = range(self._video.num_frames)
        return concatenate(
            [
                PropagationRows(
                    self._video.video_id,
                    [expression.expression_id] * len(frames),
                    frames,
                    [PROMPTED if frame in one.frames else PROPAGATED for frame in frames],
                    np.full(len(frames), np.nan),
                    self._scores[number],
                    self._areas[number],
                ).table(unknown_relevance=True)
                for number, (one, expression) in enumerate(
                    zip(self._objects, self._expressions, strict=True)
                )
            ],
            PROPAGATION,
        )
