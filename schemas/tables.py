"""All tables of tgl: name, version, columns, key and the command that makes each.

Units: `frame`, `start_frame` and `end_frame` are positions in the video's own frame list, spans are
half-open; sizes are pixels; times are seconds. Ids are strings as the data set writes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa


@dataclass(frozen=True)
class TableSpec:
    """The specification of a table.

    Attributes:
        name: also in the Parquet footer.
        version: raised when columns change meaning; other versions are refused.
        schema: columns in order; a field that is not nullable must not be null.
        key: columns whose combination is unique, () if rows may repeat.
        rebuild: the command that makes the table, named in errors.
        optional: columns that a foreign file may lack; they are read as null.
    """

    name: str
    version: int
    schema: pa.Schema
    key: tuple[str, ...]
    rebuild: str
    optional: frozenset[str] = field(default_factory=frozenset)


def _schema(**columns: pa.DataType | tuple[pa.DataType, bool]) -> pa.Schema:
    """A schema of columns by name; a (type, True) pair marks a nullable column."""
    fields = []
    for name, kind in columns.items():
        dtype, nullable = kind if isinstance(kind, tuple) else (kind, False)
        fields.append(pa.field(name, dtype, nullable=nullable))
    return pa.schema(fields)


def _nullable(dtype: pa.DataType) -> tuple[pa.DataType, bool]:
    return dtype, True


_ID = pa.string()
_FRAME = pa.int32()
_PIXELS = pa.int32()

FRAMES = TableSpec(
    name="frames",
    version=1,
    schema=_schema(
        video_id=_ID,
        frame=_FRAME,
        name=pa.string(),
        path=pa.string(),
        pts_seconds=_nullable(pa.float64()),
        width=_PIXELS,
        height=_PIXELS,
        bytes=pa.int64(),
        sha256=pa.string(),
    ),
    key=("video_id", "frame"),
    rebuild="tgl extract-frames",
)

VIDEOS = TableSpec(
    name="videos",
    version=1,
    schema=_schema(
        video_id=_ID,
        num_frames=_FRAME,
        height=_PIXELS,
        width=_PIXELS,
        fps=_nullable(pa.float64()),
        frame_names=pa.list_(pa.string()),
        frame_suffix=pa.string(),
        frames_dir=pa.string(),
    ),
    key=("video_id",),
    rebuild="tgl build-moments",
)

EXPRESSIONS = TableSpec(
    name="expressions",
    version=1,
    schema=_schema(
        video_id=_ID,
        expression_id=_ID,
        expression=pa.string(),
        object_ids=pa.list_(pa.string()),
        anno_ids=pa.list_(pa.string()),
    ),
    key=("video_id", "expression_id"),
    rebuild="tgl build-moments",
)

MOMENTS = TableSpec(
    name="moments",
    version=1,
    schema=_schema(
        video_id=_ID,
        expression_id=_ID,
        anno_id=_nullable(_ID),
        start_frame=_FRAME,
        end_frame=_FRAME,
        source=pa.string(),
        score=_nullable(pa.float32()),
    ),
    key=("video_id", "expression_id", "anno_id", "start_frame"),
    rebuild="tgl build-moments",
    optional=frozenset({"source", "score"}),
)
"""Spans of frames, half-open. A row from 0 to 0 says that the sentence is never true of the
referent; a sentence without rows has no known moment."""

ANNOTATIONS = TableSpec(
    name="annotations",
    version=1,
    schema=_schema(
        video_id=_ID,
        expression_id=_ID,
        annotator=pa.string(),
        status=pa.string(),
        flag=pa.bool_(),
        note=_nullable(pa.string()),
        seconds=pa.float64(),
        actions=pa.int32(),
        never=pa.list_(_ID),
        sources=pa.list_(pa.string()),
    ),
    key=("video_id", "expression_id"),
    rebuild="tgl annotate",
)
"""An annotator's work on each sentence of an index: `status` is todo or done, `seconds` the time
spent, `actions` their number, `never` the referents that are never what a sentence says, which have
no row in the moments table, `sources` who or what marked each referent (all of them together if
the sentence has none), empty until they are marked."""

MASKS = TableSpec(
    name="masks",
    version=1,
    schema=_schema(
        anno_id=_ID,
        frame=_FRAME,
        height=_PIXELS,
        width=_PIXELS,
        counts=pa.binary(),
        area=pa.int64(),
    ),
    key=("anno_id", "frame"),
    rebuild="tgl build-moments",
)

TEXTS = TableSpec(
    name="texts",
    version=1,
    schema=_schema(
        text_id=_ID,
        expression=pa.string(),
        tokens=pa.list_(pa.string()),
        embeddings=pa.list_(pa.float16()),
        dim=pa.int32(),
        pooled=pa.list_(pa.float16()),
        motion=pa.list_(pa.bool_()),
    ),
    key=("text_id",),
    rebuild="tgl precompute-text",
)

TEXTS_BF16 = TableSpec(
    name="texts_bf16",
    version=1,
    schema=_schema(
        text_id=_ID,
        expression=pa.string(),
        tokens=pa.list_(pa.string()),
        embeddings=pa.list_(pa.uint16()),
        dim=pa.int32(),
        pooled=pa.list_(pa.uint16()),
        motion=pa.list_(pa.bool_()),
    ),
    key=("text_id",),
    rebuild="tgl precompute-text",
)
"""As TEXTS, with the bits of bfloat16 in unsigned integers: Parquet has no such type."""

CANDIDATES = TableSpec(
    name="candidates",
    version=1,
    schema=_schema(
        video_id=_ID,
        expression_id=_ID,
        frame=_FRAME,
        rank=pa.int32(),
        x0=pa.float32(),
        y0=pa.float32(),
        x1=pa.float32(),
        y1=pa.float32(),
        score=pa.float32(),
        phrase=_nullable(pa.string()),
        counts=_nullable(pa.binary()),
        source=pa.string(),
    ),
    key=("video_id", "expression_id", "frame", "rank"),
    rebuild="tgl ground",
    optional=frozenset({"phrase", "counts", "source"}),
)
"""Candidate boxes of a sentence on a frame, best first (rank 0): x0, y0, x1, y1 in pixels of the
video, half-open; `counts` is the compressed COCO RLE of a candidate's mask at the video's size."""

TRACKS = TableSpec(
    name="tracks",
    version=1,
    schema=_schema(
        video_id=_ID,
        expression_id=_ID,
        anno_id=_ID,
        score=pa.float32(),
        candidates=pa.int32(),
        seed_frame=_FRAME,
        visible_frames=_FRAME,
        quality=pa.float32(),
    ),
    key=("video_id", "expression_id", "anno_id"),
    rebuild="tgl track",
)
"""Tracks that a sentence's candidates became: the best score of these candidates and their number,
the frame that the track was first prompted on, and the track's quality from 0 to 1."""

OBJECTS = TableSpec(
    name="objects",
    version=1,
    schema=_schema(
        video_id=_ID,
        expression_id=_ID,
        anno_id=_ID,
        number=pa.int32(),
        score=_nullable(pa.float32()),
        visible_frames=_FRAME,
    ),
    key=("video_id", "expression_id", "anno_id"),
    rebuild="tgl assemble",
)
"""Tracks that a sentence's masks are made of: the pixel value of each in palette images, from 1 on,
its judge's score, and the number of frames that show it."""

PROPAGATION = TableSpec(
    name="propagation",
    version=1,
    schema=_schema(
        video_id=_ID,
        expression_id=_ID,
        frame=_FRAME,
        route=pa.string(),
        relevance=_nullable(pa.float32()),
        object_score=_nullable(pa.float32()),
        mask_area=pa.int64(),
    ),
    key=("video_id", "expression_id", "frame"),
    rebuild="tgl propagate",
)

SCORES = TableSpec(
    name="scores",
    version=1,
    schema=_schema(
        video_id=_ID,
        expression_id=_ID,
        expression=_nullable(pa.string()),
        J=pa.float64(),
        F=pa.float64(),
        JF=pa.float64(),
        frames=_FRAME,
        referents=pa.int32(),
        J_relevant=_nullable(pa.float64()),
        F_relevant=_nullable(pa.float64()),
        J_irrelevant=_nullable(pa.float64()),
        F_irrelevant=_nullable(pa.float64()),
        relevant_frames=_nullable(_FRAME),
        span_tiou=_nullable(pa.float64()),
        presence_tiou=_nullable(pa.float64()),
        J_recall=_nullable(pa.float64()),
        F_recall=_nullable(pa.float64()),
        J_decay=_nullable(pa.float64()),
        F_decay=_nullable(pa.float64()),
        predicted_frames=_nullable(_FRAME),
        fault_frames=_nullable(_FRAME),
        average_precision=_nullable(pa.float64()),
        key_frame_hit=_nullable(pa.bool_()),
    ),
    key=("video_id", "expression_id"),
    rebuild="tgl score",
)

SCORE_FRAMES = TableSpec(
    name="score_frames",
    version=1,
    schema=_schema(
        video_id=_ID,
        expression_id=_ID,
        frame=_FRAME,
        J=pa.float64(),
        F=pa.float64(),
        intersection=pa.int64(),
        union=pa.int64(),
        predicted_area=_nullable(pa.int64()),
        true_area=_nullable(pa.int64()),
        predicted_edge=_nullable(pa.int64()),
        true_edge=_nullable(pa.int64()),
        precise=_nullable(pa.int64()),
        recalled=_nullable(pa.int64()),
        relevant=_nullable(pa.bool_()),
        fault=_nullable(pa.string()),
    ),
    key=("video_id", "expression_id", "frame"),
    rebuild="tgl score",
)

AGREEMENT = TableSpec(
    name="agreement",
    version=1,
    schema=_schema(
        one=pa.string(),
        other=pa.string(),
        video_id=_ID,
        expression_id=_ID,
        expression=pa.string(),
        judged_by=pa.string(),
        by_referent=_nullable(pa.bool_()),
        lanes=_nullable(pa.int32()),
        frames=_nullable(pa.int64()),
        spans_of_one=_nullable(pa.int32()),
        spans_of_other=_nullable(pa.int32()),
        matched_spans=_nullable(pa.int32()),
        frame_agreement=_nullable(pa.float64()),
        kappa=_nullable(pa.float64()),
        alpha=_nullable(pa.float64()),
        frame_iou=_nullable(pa.float64()),
        span_tiou=_nullable(pa.float64()),
        f1_50=_nullable(pa.float64()),
        f1_70=_nullable(pa.float64()),
        start_difference=_nullable(pa.float64()),
        end_difference=_nullable(pa.float64()),
    ),
    key=("one", "other", "video_id", "expression_id"),
    rebuild="tgl describe INDEX --against OTHER --table",
)
"""Agreement of two sets of moments about a sentence: `judged_by` is both, one or other, and
without both nothing is compared; `frames` counts those of all lanes, edges differ by the median of
so many frames; a figure that is undefined is null."""

HISTORY = TableSpec(
    name="history",
    version=1,
    schema=_schema(
        step=pa.int64(),
        name=pa.string(),
        value=pa.float64(),
    ),
    key=("step", "name"),
    rebuild="tgl train",
)

ALL_TABLES: tuple[TableSpec, ...] = (
    FRAMES,
    VIDEOS,
    EXPRESSIONS,
    MOMENTS,
    ANNOTATIONS,
    MASKS,
    TEXTS,
    TEXTS_BF16,
    CANDIDATES,
    TRACKS,
    OBJECTS,
    PROPAGATION,
    SCORES,
    SCORE_FRAMES,
    AGREEMENT,
    HISTORY,
)
