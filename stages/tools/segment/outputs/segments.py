"""Moments and masks of `tgl segment --table`, as JSON or Parquet for other programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.directories import write_text_atomic
from schemas.layouts import mask_path
from stages.core.index.index import Video
from stages.core.media.frames import read_frame
from stages.core.media.rle import encode
from stages.core.media.spans import span_mask
from stages.tools.segment.outputs.results import SentenceResult
from stages.tools.segment.request import JSON

FORMAT = "tgl-segments"
VERSION = 1
SCHEMA = pa.schema(
    {
        "video_id": pa.string(),
        "sentence": pa.string(),
        "frame": pa.int32(),
        "name": pa.string(),
        "in_moment": pa.bool_(),
        "relevance": pa.float32(),
        "area": pa.int64(),
        "height": pa.int32(),
        "width": pa.int32(),
        "counts": pa.binary(),
    }
)
"""Columns of the Parquet table, a row per sentence and frame; `counts` is compressed COCO RLE."""


def write_segments(path: Path, video: Video, results: list[SentenceResult], preds: Path) -> None:
    """Write the results of a video as JSON or Parquet, by the suffix of `path`.

    Args:
        preds: folder of the masks.
    """
    if path.suffix == JSON:
        write_text_atomic(path, json.dumps(_document(video, results, preds)) + "\n")
        return
    with segments_writer(path) as writer:
        for result in results:
            rows = segment_rows(
                video.video_id,
                [result.expression.text] * video.num_frames,
                range(video.num_frames),
                video.frame_names,
                in_moment=span_mask(result.moments, video.num_frames),
                relevance=result.relevance,
                masks=_masks(video, result, preds),
            )
            writer.write_table(rows)


def segments_writer(path: Path) -> AbstractContextManager[pq.ParquetWriter]:
    """Open a Parquet table of segments; damage of a page is noticed when it is read."""
    return pq.ParquetWriter(path, SCHEMA, compression="zstd", write_page_checksum=True)


def segment_rows(
    video_id: str,
    sentences: Sequence[str],
    frames: Sequence[int],
    names: Sequence[str],
    *,
    in_moment: Sequence[bool] | np.ndarray,
    relevance: Sequence[float | None] | np.ndarray,
    masks: Iterable[np.ndarray],
) -> pa.Table:
    """Make N rows of the Parquet table.

    Args:
        sentences, frames, names: sentence, number and name of the frame of each row.
        in_moment, relevance: of the frame for the sentence, (N,).
        masks: N of bool (H, W).
    """
    encoded = [(int(mask.sum()), *mask.shape, encode(mask)["counts"]) for mask in masks]
    areas, heights, widths, counts = zip(*encoded, strict=True)
    columns = {
        "video_id": [video_id] * len(encoded),
        "sentence": sentences,
        "frame": frames,
        "name": names,
        "in_moment": in_moment,
        "relevance": relevance,
        "area": areas,
        "height": heights,
        "width": widths,
        "counts": counts,
    }
    return pa.table(columns, schema=SCHEMA)


def _document(video: Video, results: list[SentenceResult], preds: Path) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "frame_unit": "index",
        "video": video.video_id,
        "height": video.height,
        "width": video.width,
        "fps": video.fps,
        "frames": list(video.frame_names),
        "sentences": [
            {
                "sentence": result.expression.text,
                "moments": result.moments,
                "visible": result.visible,
                "relevance": result.relevance,
                "masks": [_text_rle(mask) for mask in _masks(video, result, preds)],
            }
            for result in results
        ],
    }


def _text_rle(mask: np.ndarray) -> dict[str, Any] | None:
    """COCO RLE of a mask with its counts as text; None for an empty one."""
    rle = encode(mask)
    counts = rle["counts"].decode("ascii")
    return {"size": list(rle["size"]), "counts": counts} if mask.any() else None


def _masks(video: Video, result: SentenceResult, preds: Path) -> Iterator[np.ndarray]:
    """Masks of a sentence, bool (H, W) per frame."""
    name = result.expression.expression_id
    for frame in video.frame_names:
        yield read_frame(mask_path(preds, video.video_id, name, frame))[:, :, 0] > 0
