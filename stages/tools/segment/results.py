"""What `tgl segment` found, as spans and masks that other programs read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.directories import write_text_atomic
from schemas.errors import ConfigError
from schemas.layouts import PROPAGATION_TABLE, mask_path
from schemas.printable import printable
from schemas.vocabulary import LANGUAGE
from stages.core.media.spans import Span, spans_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from stages.core.index.index import Expression, Video

FORMAT = "tgl-segments"
VERSION = 1
SUFFIXES = (".json", ".parquet")


@dataclass(frozen=True)
class Answer:
    """One sentence's result.

    Attributes:
        expression: the sentence.
        relevance: probability for each frame that the sentence is true in it.
        moments: half-open spans of the frames that the sentence guided.
        areas: pixels of each frame's mask.
    """

    expression: Expression
    relevance: tuple[float | None, ...]
    moments: tuple[Span, ...]
    areas: tuple[int, ...]

    @property
    def visible(self) -> tuple[Span, ...]:
        """Half-open spans of the frames whose mask is not empty."""
        return tuple(spans_of([area > 0 for area in self.areas]))


def read_answers(index_folder: Path, preds: Path) -> tuple[Video, list[Answer]]:
    """The only video of an index, and what propagate found for its sentences."""
    from schemas.parquet import read_table
    from schemas.tables import PROPAGATION
    from stages.core.index.index import Index

    index = Index.open(index_folder)
    (video,) = index.videos.values()
    table = read_table(preds / PROPAGATION_TABLE, PROPAGATION).sort_by("frame")
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        rows.setdefault(row["expression_id"], []).append(row)
    answers = []
    for expression in index.expressions:
        own = rows[expression.expression_id]
        answers.append(
            Answer(
                expression,
                tuple(row["relevance"] for row in own),
                tuple(spans_of([row["route"] == LANGUAGE for row in own])),
                tuple(row["mask_area"] for row in own),
            )
        )
    return video, answers


def check_suffix(path: Path) -> None:
    """Raise ConfigError unless `path` ends in .json or .parquet."""
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{path.name!r} ends in none of {', '.join(SUFFIXES)}", where="--table")


def write_answers(path: Path, video: Video, answers: list[Answer], preds: Path) -> None:
    """Write spans and masks (compressed COCO RLE) as JSON or Parquet, by the suffix of `path`."""
    if path.suffix == ".json":
        write_text_atomic(path, json.dumps(_document(video, answers, preds)) + "\n")
    else:
        _write_parquet(path, video, answers, preds)


def _document(video: Video, answers: list[Answer], preds: Path) -> dict[str, Any]:
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
                "sentence": answer.expression.text,
                "moments": answer.moments,
                "visible": answer.visible,
                "relevance": answer.relevance,
                "masks": list(_texts(video, answer, preds)),
            }
            for answer in answers
        ],
    }


def _texts(video: Video, answer: Answer, preds: Path) -> Iterator[dict[str, Any] | None]:
    """Masks with their counts as text, None for an empty one."""
    from stages.core.media.rle import encode

    for mask in _masks(video, answer, preds):
        rle = encode(mask)
        counts = rle["counts"].decode("ascii")
        yield {"size": list(rle["size"]), "counts": counts} if mask.any() else None


def _masks(video: Video, answer: Answer, preds: Path) -> Iterator[np.ndarray]:
    from stages.core.media.frames import read_frame

    name = answer.expression.expression_id
    for frame in video.frame_names:
        yield read_frame(mask_path(preds, video.video_id, name, frame))[:, :, 0] > 0


def _write_parquet(path: Path, video: Video, answers: list[Answer], preds: Path) -> None:
    """A row for each sentence and frame."""
    import pyarrow.parquet as pq

    schema = segments_schema()
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
        for answer in answers:
            writer.write_table(_rows(video, answer, preds, schema))


def segments_schema() -> pa.Schema:
    """Columns of the Parquet table."""
    import pyarrow as pa

    return pa.schema(
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


def _rows(video: Video, answer: Answer, preds: Path, schema: pa.Schema) -> pa.Table:
    """One sentence's rows."""
    import pyarrow as pa

    from stages.core.media.rle import encode

    frames = video.num_frames
    rles = [encode(mask) for mask in _masks(video, answer, preds)]
    guided = {frame for start, end in answer.moments for frame in range(start, end)}
    columns = {
        "video_id": [video.video_id] * frames,
        "sentence": [answer.expression.text] * frames,
        "frame": list(range(frames)),
        "name": list(video.frame_names),
        "in_moment": [frame in guided for frame in range(frames)],
        "relevance": list(answer.relevance),
        "area": list(answer.areas),
        "height": [video.height] * frames,
        "width": [video.width] * frames,
        "counts": [rle["counts"] for rle in rles],
    }
    return pa.table(columns, schema=schema)


def describe(video: Video, answer: Answer) -> str:
    """One line for a person: when the sentence holds, and in how many frames something is seen."""
    seen = sum(end - start for start, end in answer.visible)
    return describe_spans(
        answer.expression.text, answer.moments, seen, frames=video.num_frames, fps=video.fps
    )


def describe_spans(
    sentence: str, moments: Sequence[Span], seen: int, *, frames: int, fps: float | None
) -> str:
    """As :func:`describe`, from a sentence's moments and the number of frames with a mask."""
    quoted = f'"{printable(sentence)}"'
    if not seen:
        return f"{quoted}: nothing found"
    if frames == 1:
        return f"{quoted}: found"
    return f"{quoted}: moment {_when(moments, fps)}, mask in {seen} of {frames} frames"


def _when(spans: Sequence[Span], fps: float | None) -> str:
    parts = []
    for start, end in spans:
        frames = f"frame {start}" if end - start == 1 else f"frames {start}-{end - 1}"
        seconds = f" ({start / fps:.1f}-{end / fps:.1f} s)" if fps else ""
        parts.append(frames + seconds)
    return ", ".join(parts)
