"""`tgl references`: trivial predictions made of true masks, video by video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from schemas.errors import CorruptInput
from schemas.layouts import mask_path
from stages.core.datasets.objects import KnownObject, read_objects, referents_as_objects
from stages.core.engine.digest import text_digest
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result, Stage
from stages.core.engine.workspace import Workspace
from stages.core.index.index import Index, Video
from stages.core.index.masks import MaskStore
from stages.core.media.mask_png import write_mask
from stages.core.media.rle import Rle, decode
from stages.tools.references.choice import choose
from stages.tools.references.config import ReferencesConfig, ReferencesInputs


@dataclass(frozen=True)
class VideoReferences:
    """Files and counts of one video."""

    files: list[Path]
    expressions: int
    empty: int

    def rows(self) -> pa.Table:
        """Return the counts as the unit stores them."""
        return pa.table({"expressions": [self.expressions], "empty": [self.empty]})


def run(
    config: ReferencesConfig,
    inputs: ReferencesInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Write `<video>/<expression id>/<frame>.png` for every frame of every expression."""
    inputs.check(config)
    index = Index.open(inputs.index)
    objects = (
        referents_as_objects(index)
        if inputs.objects is None
        else read_objects(inputs.objects, index)
    )
    key = text_digest(repr(sorted(inputs.digests().items())))
    totals = {"videos": 0, "expressions": 0, "empty predictions": 0}
    with progress.task(f"references, {config.kind}", len(index.videos), "video") as task:
        for video in index.videos.values():
            rows = out.finished(video.video_id, key)
            if rows is None:
                made = write_video(index, video, objects.get(video.video_id, []), config, out.path)
                rows = made.rows()
                out.finish(video.video_id, key, rows, made.files)
            totals["videos"] += 1
            totals["expressions"] += rows["expressions"][0].as_py()
            totals["empty predictions"] += rows["empty"][0].as_py()
            task.advance()
    return Result(totals)


def write_video(
    index: Index,
    video: Video,
    objects: Sequence[KnownObject],
    config: ReferencesConfig,
    root: Path,
) -> VideoReferences:
    """Write the predictions for all expressions of a video below `root`."""
    expressions = index.expressions_of(video.video_id)
    files: list[Path] = []
    empty = 0
    for expression in expressions:
        chosen = choose(expression, objects, config)
        empty += not chosen
        for name, mask in zip(video.frame_names, union(index.masks, chosen, video), strict=True):
            path = mask_path(root, video.video_id, expression.expression_id, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_mask(path, mask)
            files.append(path)
    return VideoReferences(files, len(expressions), empty)


def union(masks: MaskStore, anno_ids: Sequence[str], video: Video) -> Iterator[np.ndarray]:
    """Yield the union of the objects' visible masks, bool (H, W), frame by frame.

    Raises:
        CorruptInput: a mask has another size than its video.
    """
    tracks = {anno_id: masks.frames_of(anno_id) for anno_id in anno_ids}
    for frame in range(video.num_frames):
        total = np.zeros((video.height, video.width), bool)
        for anno_id, track in tracks.items():
            if frame in track:
                total |= _decoded(track[frame], video, f"{anno_id}, frame {frame}")
        yield total


def _decoded(rle: Rle, video: Video, name: str) -> np.ndarray:
    """Decode a mask of a video to bool (H, W)."""
    where = f"{video.video_id}, object {name}"
    height, width = rle["size"]
    if (height, width) != (video.height, video.width):
        raise CorruptInput(
            f"the mask is {width}x{height}, its video {video.width}x{video.height}", where=where
        )
    return decode(rle, where=where).astype(bool)


STAGE = Stage(
    name="references", version=1, config=ReferencesConfig, inputs=ReferencesInputs, run=run
)
