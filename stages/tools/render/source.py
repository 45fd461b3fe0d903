"""Predictions joined with their frames, sentences, moments and ground truth."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import ConfigError, CorruptInput, MissingInput
from schemas.layouts import (
    FRAMES_TABLE,
    MASK_SUFFIX,
    MASKS_TABLE,
    PROPAGATION_TABLE,
)
from schemas.parquet import open_parquet, read_table
from schemas.tables import MASKS, PROPAGATION
from schemas.vocabulary import BEST_FRAME, GUIDED, PROMPTED
from schemas.wording import listing, suggestion
from stages.core.datasets.frame_times import FrameTimes
from stages.core.index.index import Expression, Index, Video
from stages.core.index.prediction_folder import frames_of_video, predicted_expressions
from stages.core.media.frames import frame_size
from stages.tools.render.config import RenderConfig, RenderInputs


@dataclass(frozen=True)
class PredictedExpression:
    """The predictions for one expression.

    Attributes:
        masks: folder of its PNGs.
        annotated: bool (T,), the frames of its moments; None where none are known.
        routed: bool (T,), the frames on the language path; None where it is not recorded.
        relevance: float (T,), the probability that the sentence is true in a frame, NaN where it is
            not known; None where none is recorded.
        prompted: it is an object that was prompted by hand; `routed` are the frames in which it
            is visible.
        predicted: else `routed` is the best frame, because no moment was predicted.
        found: whether a mask of it has a pixel; None where that is not recorded.
        anno_ids: its referents' tracks in the masks table.
    """

    expression_id: str
    sentence: str
    masks: Path
    annotated: np.ndarray | None = None
    routed: np.ndarray | None = None
    relevance: np.ndarray | None = None
    prompted: bool = False
    predicted: bool = True
    found: bool | None = None
    anno_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class RenderVideo:
    """A video and the predictions to draw on it.

    Attributes:
        truth: the masks table; None without ground truth.
        times: seconds of each frame where the rate varies; None where it is constant or unknown.
        span: start of the first frame and end of the last one in the source video, in seconds;
            None where it is unknown or was not asked for.
    """

    video_id: str
    frames: tuple[Path, ...]
    height: int
    width: int
    fps: float | None
    expressions: tuple[PredictedExpression, ...]
    truth: Path | None = None
    times: tuple[float, ...] | None = None
    span: tuple[float, float] | None = None

    def mask_path(self, expression: PredictedExpression, frame: int) -> Path:
        """The prediction of a frame: the file with the frame's name."""
        return expression.masks / f"{self.frames[frame].stem}{MASK_SUFFIX}"


@dataclass(frozen=True)
class RenderPlan:
    """Everything that a run draws.

    Attributes:
        without_prediction: number of expressions of the index that have no folder of predictions.
        unknown: number of folders of predictions that belong to no known frames or expression.
    """

    videos: tuple[RenderVideo, ...]
    without_prediction: int
    unknown: int


def plan_render(config: RenderConfig, inputs: RenderInputs) -> RenderPlan:
    """Join predictions and frames, in the order of the index or of names.

    Raises:
        MissingInput: no predictions, or none of what `--only` names.
        ConfigError: `--compare truth` without ground truth.
    """
    present = predicted_expressions(inputs.preds)
    routes = _Routes(inputs.preds / PROPAGATION_TABLE)
    if inputs.has_index:
        plan = _from_index(inputs.frames, present, routes, spans=config.keep_audio)
    elif config.compare == "truth":
        raise ConfigError(
            "--compare truth needs an index, this is a bare folder of frames", where=inputs.frames
        )
    else:
        plan = _from_folder(inputs.frames, present, routes)
    if config.compare == "truth" and not all(video.truth for video in plan.videos):
        raise ConfigError("--compare truth: the index has no masks", where=inputs.frames)
    _require_selected(config.only, plan.videos, inputs.preds)
    videos = tuple(_limited(_selected(plan.videos, config.only), config.limit))
    return replace(plan, videos=videos)


def _from_index(
    root: Path, present: dict[str, list[str]], routes: _Routes, *, spans: bool
) -> RenderPlan:
    """Everything that an index has predictions of.

    Args:
        spans: find the times of the frames in their source, which may take a table to read.
    """
    index = Index.open(root)
    index.require_frames()
    truth = root / MASKS_TABLE if _has_masks(root / MASKS_TABLE) else None
    videos = []
    times_of: dict[Path, FrameTimes] = {}
    known = missing = 0
    for video_id, video in index.videos.items():
        folders = set(present.get(video_id, ()))
        indexed = index.expressions_of(video_id)
        expressions = tuple(
            _indexed_expression(index, expression, routes, truth)
            for expression in indexed
            if expression.expression_id in folders
        )
        known += len(expressions)
        missing += len(indexed) - len(expressions)
        if expressions:
            table = video.frames_dir.parent.parent / FRAMES_TABLE
            frame_times = times_of.setdefault(table, FrameTimes(table))
            times = span = None
            if video.fps is None:  # unknown or variable
                _, times = frame_times.of_video(video_id, video.frame_names)
            if spans:
                span = frame_times.span(video_id, video.frame_names)
            drawn = _indexed_video(video, expressions, truth)
            videos.append(replace(drawn, times=times, span=span))
    return RenderPlan(tuple(videos), missing, sum(map(len, present.values())) - known)


def _indexed_expression(
    index: Index, expression: Expression, routes: _Routes, truth: Path | None
) -> PredictedExpression:
    annotated = None
    if index.moments(*expression.key) or (truth and not expression.anno_ids):
        annotated = index.relevant(*expression.key)
    return PredictedExpression(
        expression_id=expression.expression_id,
        sentence=expression.text,
        masks=routes.preds / expression.video_id / expression.expression_id,
        annotated=annotated,
        routed=routes.routed(*expression.key, index.videos[expression.video_id].num_frames),
        relevance=routes.relevance(*expression.key, index.videos[expression.video_id].num_frames),
        prompted=routes.prompted(*expression.key),
        predicted=routes.predicted(*expression.key),
        found=routes.found(*expression.key),
        anno_ids=expression.anno_ids,
    )


def _indexed_video(
    video: Video,
    expressions: tuple[PredictedExpression, ...],
    truth: Path | None,
) -> RenderVideo:
    return RenderVideo(
        video_id=video.video_id,
        frames=tuple(map(video.frame_path, range(video.num_frames))),
        height=video.height,
        width=video.width,
        fps=video.fps,
        expressions=expressions,
        truth=truth,
    )


def _has_masks(path: Path) -> bool:
    with open_parquet(path, MASKS) as file:
        return bool(file.metadata.num_rows)


def _from_folder(root: Path, present: dict[str, list[str]], routes: _Routes) -> RenderPlan:
    frame_times = FrameTimes(root / FRAMES_TABLE)
    videos = []
    unknown = 0
    for video_id, names in present.items():
        frames = frames_of_video(root, video_id, single=len(present) == 1)
        if not frames:
            unknown += len(names)
            continue
        height, width = frame_size(frames[0])
        expressions = tuple(
            PredictedExpression(
                expression_id=name,
                sentence=f"expression {name}",
                masks=routes.preds / video_id / name,
                routed=routes.routed(video_id, name, len(frames)),
                relevance=routes.relevance(video_id, name, len(frames)),
                predicted=routes.predicted(video_id, name),
                found=routes.found(video_id, name),
            )
            for name in names
        )
        stems = [path.stem for path in frames]
        fps, times = frame_times.of_video(video_id, stems)
        span = frame_times.span(video_id, stems)
        drawn = RenderVideo(video_id, frames, height, width, fps, expressions)
        videos.append(replace(drawn, times=times, span=span))
    return RenderPlan(tuple(videos), 0, unknown)


class _Routes:
    """Routes, relevance and areas of masks, from propagation.parquet if it exists."""

    def __init__(self, path: Path):
        self.preds = path.parent
        self._path = path
        self._frames: dict[tuple[str, str], list[int]] = {}
        self._known: set[tuple[str, str]] = set()
        self._prompted: set[tuple[str, str]] = set()
        self._unpredicted: set[tuple[str, str]] = set()
        self._relevance: dict[tuple[str, str], list[tuple[int, float]]] = {}
        self._found: set[tuple[str, str]] = set()
        if not os.path.lexists(path):
            return
        columns = ["video_id", "expression_id", "frame", "route", "relevance", "mask_area"]
        table = read_table(path, PROPAGATION, columns=columns)
        self._known = _distinct_pairs(table)
        prompted = pc.equal(table["route"], PROMPTED)
        self._prompted = _distinct_pairs(table.filter(prompted))
        self._unpredicted = _distinct_pairs(table.filter(pc.equal(table["route"], BEST_FRAME)))
        self._add(table.filter(pc.is_in(table["route"], pa.array(GUIDED))))
        seen = table.filter(pc.greater(table["mask_area"], 0))
        self._found = _distinct_pairs(seen)
        if self._prompted:
            self._add(seen, only=self._prompted)
        rated = table.filter(pc.is_valid(table["relevance"]))
        frames, values = (rated[name].to_pylist() for name in ("frame", "relevance"))
        for pair, frame, value in zip(_pairs(rated), frames, values, strict=True):
            self._relevance.setdefault(pair, []).append((frame, value))

    def _add(self, rows: pa.Table, only: set[tuple[str, str]] | None = None) -> None:
        """Add the frames of rows, of some expressions or of all."""
        for pair, frame in zip(_pairs(rows), rows["frame"].to_pylist(), strict=True):
            if only is None or pair in only:
                self._frames.setdefault(pair, []).append(frame)

    def prompted(self, video_id: str, expression_id: str) -> bool:
        """Whether an expression is an object that was prompted by hand."""
        return (video_id, expression_id) in self._prompted

    def predicted(self, video_id: str, expression_id: str) -> bool:
        """Whether no frame of an expression stands in for a moment."""
        return (video_id, expression_id) not in self._unpredicted

    def found(self, video_id: str, expression_id: str) -> bool | None:
        """Whether a mask of an expression has a pixel; None where that is not recorded."""
        pair = video_id, expression_id
        return pair in self._found if pair in self._known else None

    def relevance(self, video_id: str, expression_id: str, num_frames: int) -> np.ndarray | None:
        """Relevance of the frames for an expression, float (T,) with NaN; None where unknown."""
        rated = self._relevance.get((video_id, expression_id))
        if rated is None:
            return None
        found = np.full(num_frames, np.nan)
        for frame, value in rated:
            if frame < num_frames:  # `routed` refuses predictions of a longer video
                found[frame] = value
        return found

    def routed(self, video_id: str, expression_id: str, num_frames: int) -> np.ndarray | None:
        """Frames of an expression on the language path, bool (T,); None where not recorded.

        Of an object that was prompted by hand, the frames in which it is visible.
        """
        if (video_id, expression_id) not in self._known:
            return None
        frames = self._frames.get((video_id, expression_id), [])
        if frames and max(frames) >= num_frames:
            raise CorruptInput(
                f"names frame {max(frames)} of video {video_id}, which has {num_frames}",
                where=self._path,
                hint="these predictions belong to another index",
            )
        routed = np.zeros(num_frames, dtype=bool)
        routed[frames] = True
        return routed


def _distinct_pairs(table: pa.Table) -> set[tuple[str, str]]:
    columns = ["video_id", "expression_id"]
    return set(_pairs(table.select(columns).group_by(columns).aggregate([])))


def _pairs(table: pa.Table) -> Iterator[tuple[str, str]]:
    columns = (table[name].to_pylist() for name in ("video_id", "expression_id"))
    return zip(*columns, strict=True)


def _require_selected(only: tuple[str, ...], videos: tuple[RenderVideo, ...], preds: Path) -> None:
    """Raise MissingInput where nothing is to be drawn, or something in `only` is missing."""
    if not videos:
        raise MissingInput(
            "no predictions that fit the frames",
            where=preds,
            hint="expected VIDEO/EXPRESSION/FRAME.png, named as in the index",
        )
    names = [video.video_id for video in videos]
    pairs = [
        f"{video.video_id}/{one.expression_id}" for video in videos for one in video.expressions
    ]
    missing = [name for name in only if name not in names and name not in pairs]
    if missing:
        near = suggestion(missing[0], [*names, *pairs])
        raise MissingInput(
            f"no predictions of {', '.join(missing)} that fit the frames",
            where="--only",
            hint=near or f"there are {listing(names, 'videos')}, {listing(pairs, 'sentences')}",
        )


def _selected(videos: tuple[RenderVideo, ...], only: tuple[str, ...]) -> Iterator[RenderVideo]:
    """Videos with those of their expressions that `only` names."""
    for video in videos:
        name = video.video_id
        expressions = tuple(
            expression
            for expression in video.expressions
            if not only or name in only or f"{name}/{expression.expression_id}" in only
        )
        if expressions:
            yield replace(video, expressions=expressions)


def _limited(videos: Iterator[RenderVideo], limit: int) -> Iterator[RenderVideo]:
    """Videos with the first `limit` expressions in all; 0 is no limit."""
    left = limit
    for video in videos:
        if not limit:
            yield video
        elif left > 0:
            expressions = video.expressions[:left]
            left -= len(expressions)
            yield replace(video, expressions=expressions)
