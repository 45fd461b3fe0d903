"""The videos and sentences to look at: those of an index, or of a bare folder of frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import CorruptInput, MissingInput
from schemas.layouts import FRAMES_TABLE, natural_key, order_warnings
from stages.core.datasets.frame_times import FrameTimes
from stages.core.index.index import Expression, Index, Video
from stages.core.index.prediction_folder import frames_of_video
from stages.core.media.frames import frame_size
from stages.tools.view.predictions import Prediction


@dataclass(frozen=True)
class ViewSource:
    """Videos and sentences.

    Attributes:
        index: None for a bare folder of frames.
        warnings: lines about the order of such frames, and about numbers that are missing.
    """

    videos: tuple[Video, ...]
    expressions: tuple[Expression, ...]
    index: Index | None = None
    warnings: tuple[str, ...] = ()


def open_index(folder: Path, predictions: Sequence[Prediction]) -> ViewSource:
    """Open an index.

    Raises:
        MissingInput: its frames do not exist, or predictions fit none of its sentences.
    """
    index = Index.open(folder)
    index.require_frames()
    keys = {expression.key for expression in index.expressions}
    for prediction in predictions:
        if not any(key in prediction for key in keys):
            raise _unfitting(prediction.folder)
    return ViewSource(tuple(index.videos.values()), tuple(index.expressions), index)


def open_frames(root: Path, predictions: Sequence[Prediction]) -> ViewSource:
    """Open a bare folder of frames: its videos and sentences are those of the predictions.

    Raises:
        MissingInput: the predictions fit no frames.
        CorruptInput: the frames of a video differ in format.
    """
    names: dict[str, set[str]] = {}
    for prediction in predictions:
        for video_id, expressions in prediction.present.items():
            names.setdefault(video_id, set()).update(expressions)
    table = FrameTimes(root / FRAMES_TABLE)
    videos, sentences, warnings = [], [], []
    for video_id in sorted(names, key=natural_key):
        frames = frames_of_video(root, video_id, single=len(names) == 1)
        if not frames:
            continue
        rate, times = table.of_video(video_id, [path.stem for path in frames])
        videos.append(_video(video_id, frames, rate if times is None else None))
        found = order_warnings([path.name for path in frames])
        warnings += [f"{video_id}: {line}" for line in found]
        sentences += [
            Expression(video_id, name, f"expression {name}", (), ())
            for name in sorted(names[video_id], key=natural_key)
        ]
    if not videos:
        raise _unfitting(predictions[0].folder)
    return ViewSource(tuple(videos), tuple(sentences), warnings=tuple(warnings))


def _unfitting(folder: Path) -> MissingInput:
    return MissingInput(
        "no predictions that fit the frames",
        where=folder,
        hint="expected VIDEO/EXPRESSION/FRAME.png, named as in the index",
    )


def _video(video_id: str, frames: Sequence[Path], fps: float | None) -> Video:
    suffixes = {path.suffix for path in frames}
    if len(suffixes) > 1:
        raise CorruptInput(
            f"has frames of several formats ({', '.join(sorted(suffixes))})",
            where=frames[0].parent,
        )
    height, width = frame_size(frames[0])
    return Video(
        video_id=video_id,
        num_frames=len(frames),
        height=height,
        width=width,
        fps=fps,
        frame_names=tuple(path.stem for path in frames),
        frame_suffix=frames[0].suffix,
        frames_dir=frames[0].parent,
    )
