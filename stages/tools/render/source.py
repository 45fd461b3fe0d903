"""What there is to draw: predictions joined with frames, sentences, moments and truth."""

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
    FRAMES_FOLDER,
    FRAMES_TABLE,
    MASK_SUFFIX,
    MASKS_TABLE,
    PROPAGATION_TABLE,
    natural_key,
)
from schemas.parquet import open_parquet, read_table
from schemas.tables import MASKS, PROPAGATION
from schemas.vocabulary import LANGUAGE
from schemas.wording import listing, suggestion
from stages.core.index.index import Index, Video
from stages.core.media.frames import frame_size
from stages.tools.render.clocks import Clocks
from stages.tools.render.config import RenderConfig, RenderInputs

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Shot:
    """The predictions of one expression.

    Attributes:
        masks: folder of its PNGs.
        annotated: bool (T,), the frames of its moments; None where none are known.
        routed: bool (T,), the frames that the language-guided path worked; None if not recorded.
        anno_ids: its referents' tracks in the masks table.
    """

    expression_id: str
    sentence: str
    masks: Path
    annotated: np.ndarray | None = None
    routed: np.ndarray | None = None
    anno_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Clip:
    """A video with the predictions that are drawn on it.

    Attributes:
        truth: the masks table; None where the truth is not known.
        times: seconds of each frame where the rate varies; None where it is constant or unknown.
    """

    video_id: str
    frames: tuple[Path, ...]
    height: int
    width: int
    fps: float | None
    shots: tuple[Shot, ...]
    truth: Path | None = None
    times: tuple[float, ...] | None = None

    def mask_path(self, shot: Shot, frame: int) -> Path:
        """The prediction of a frame: the file that has the frame's name."""
        return shot.masks / f"{self.frames[frame].stem}{MASK_SUFFIX}"


@dataclass(frozen=True)
class Found:
    """What :func:`find_clips` came upon.

    Attributes:
        without_prediction: expressions of the index for which there is no folder.
        unknown: folders of predictions that the frames or the index know nothing of.
    """

    clips: tuple[Clip, ...]
    without_prediction: int
    unknown: int


def find_clips(config: RenderConfig, inputs: RenderInputs) -> Found:
    """Join predictions and frames, in the order of the index or of names.

    Raises:
        MissingInput: there are no predictions, or none of what `--only` names.
        ConfigError: `--compare truth` without truth.
    """
    present = _predictions(inputs.preds)
    routes = _Routes(inputs.preds / PROPAGATION_TABLE)
    if inputs.has_index:
        found = _from_index(inputs.frames, present, routes)
    elif config.compare == "truth":
        raise ConfigError(
            "--compare truth needs an index, this is a bare folder of frames", where=inputs.frames
        )
    else:
        found = _from_folder(inputs.frames, present, routes)
    if config.compare == "truth" and not all(clip.truth for clip in found.clips):
        raise ConfigError("--compare truth: the index holds no masks", where=inputs.frames)
    _refuse_absent(config.only, found.clips, inputs.preds)
    clips = tuple(_limited(_selected(found.clips, config.only), config.limit))
    return Found(clips, found.without_prediction, found.unknown)


def _predictions(preds: Path) -> dict[str, list[str]]:
    """Expression ids by video, both sorted."""
    videos = {
        folder.name: sorted(path.name for path in folder.iterdir() if path.is_dir())
        for folder in sorted(preds.iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
    }
    return {video_id: names for video_id, names in videos.items() if names}


def _from_index(root: Path, present: dict[str, list[str]], routes: _Routes) -> Found:
    index = Index.open(root)
    index.require_frames()
    truth = root / MASKS_TABLE if _has_masks(root / MASKS_TABLE) else None
    clips = []
    clocks: dict[Path, Clocks] = {}
    known = missing = 0
    for video_id, video in index.videos.items():
        folders = set(present.get(video_id, ()))
        shots = []
        for expression in index.expressions_of(video_id):
            if expression.expression_id not in folders:
                missing += 1
                continue
            annotated = None
            if index.moments(*expression.key) or (truth and not expression.anno_ids):
                annotated = index.relevant(*expression.key)
            shots.append(
                Shot(
                    expression_id=expression.expression_id,
                    sentence=expression.text,
                    masks=routes.preds / video_id / expression.expression_id,
                    annotated=annotated,
                    routed=routes.of(*expression.key, video.num_frames),
                    anno_ids=expression.anno_ids,
                )
            )
        known += len(shots)
        if shots:
            clip = _indexed_clip(video, tuple(shots), truth)
            if video.fps is None:  # unknown or variable
                table = video.frames_dir.parent.parent / FRAMES_TABLE
                clock = clocks.setdefault(table, Clocks(table))
                _, times = clock.of(video_id, video.frame_names)
                clip = replace(clip, times=times)
            clips.append(clip)
    return Found(tuple(clips), missing, sum(map(len, present.values())) - known)


def _indexed_clip(video: Video, shots: tuple[Shot, ...], truth: Path | None) -> Clip:
    return Clip(
        video_id=video.video_id,
        frames=tuple(map(video.frame_path, range(video.num_frames))),
        height=video.height,
        width=video.width,
        fps=video.fps,
        shots=shots,
        truth=truth,
    )


def _has_masks(path: Path) -> bool:
    with open_parquet(path, MASKS) as file:
        return bool(file.metadata.num_rows)


def _from_folder(root: Path, present: dict[str, list[str]], routes: _Routes) -> Found:
    clocks = Clocks(root / FRAMES_TABLE)
    clips = []
    unknown = 0
    for video_id, names in present.items():
        frames = _frames_of(root, video_id, alone=len(present) == 1)
        if not frames:
            unknown += len(names)
            continue
        height, width = frame_size(frames[0])
        shots = tuple(
            Shot(
                expression_id=name,
                sentence=f"expression {name}",
                masks=routes.preds / video_id / name,
                routed=routes.of(video_id, name, len(frames)),
            )
            for name in names
        )
        rate, times = clocks.of(video_id, [path.stem for path in frames])
        clips.append(Clip(video_id, frames, height, width, rate, shots, times=times))
    return Found(tuple(clips), 0, unknown)


def _frames_of(root: Path, video_id: str, *, alone: bool) -> tuple[Path, ...]:
    """Pictures of a video in any of the layouts of a bare folder, by the numbers in their names."""
    folders = [root / FRAMES_FOLDER / video_id, root / video_id]
    if alone:
        folders.append(root)
    for folder in folders:
        if folder.is_dir():
            files = (p for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)
            found = sorted(files, key=lambda path: natural_key(path.name))
            if found:
                return tuple(found)
    return ()


class _Routes:
    """Which frames the language-guided path worked, from propagation.parquet if it is there."""

    def __init__(self, path: Path):
        self.preds = path.parent
        self._path = path
        self._frames: dict[tuple[str, str], list[int]] = {}
        self._known: set[tuple[str, str]] = set()
        if not os.path.lexists(path):
            return
        columns = ["video_id", "expression_id", "frame", "route"]
        table = read_table(path, PROPAGATION, columns=columns)
        pairs = table.select(columns[:2]).group_by(columns[:2]).aggregate([])
        self._known = set(_pairs(pairs))
        guided = table.filter(pc.equal(table["route"], LANGUAGE))
        frames = guided["frame"].to_pylist()
        for pair, frame in zip(_pairs(guided), frames, strict=True):
            self._frames.setdefault(pair, []).append(frame)

    def of(self, video_id: str, expression_id: str, frames: int) -> np.ndarray | None:
        """bool (T,); None where nothing is recorded."""
        if (video_id, expression_id) not in self._known:
            return None
        chosen = self._frames.get((video_id, expression_id), [])
        if chosen and max(chosen) >= frames:
            raise CorruptInput(
                f"names frame {max(chosen)} of video {video_id}, which has {frames}",
                where=self._path,
                hint="these predictions belong to another index",
            )
        routed = np.zeros(frames, dtype=bool)
        routed[chosen] = True
        return routed


def _pairs(table: pa.Table) -> Iterator[tuple[str, str]]:
    columns = (table[name].to_pylist() for name in ("video_id", "expression_id"))
    return zip(*columns, strict=True)


def _refuse_absent(only: tuple[str, ...], clips: tuple[Clip, ...], preds: Path) -> None:
    """Raise MissingInput unless there is something to draw, and all of what `only` names."""
    if not clips:
        raise MissingInput(
            "no predictions that fit the frames",
            where=preds,
            hint="they stand at VIDEO/EXPRESSION/FRAME.png, named as in the index",
        )
    videos = [clip.video_id for clip in clips]
    pairs = [f"{clip.video_id}/{shot.expression_id}" for clip in clips for shot in clip.shots]
    absent = [name for name in only if name not in videos and name not in pairs]
    if absent:
        near = suggestion(absent[0], [*videos, *pairs])
        raise MissingInput(
            f"no predictions of {', '.join(absent)} that fit the frames",
            where="--only",
            hint=near or f"there are {listing(videos, 'videos')}, {listing(pairs, 'sentences')}",
        )


def _selected(clips: tuple[Clip, ...], only: tuple[str, ...]) -> Iterator[Clip]:
    for clip in clips:
        shots = tuple(
            shot
            for shot in clip.shots
            if not only or clip.video_id in only or f"{clip.video_id}/{shot.expression_id}" in only
        )
        if shots:
            yield _with_shots(clip, shots)


def _limited(clips: Iterator[Clip], limit: int) -> Iterator[Clip]:
    left = limit
    for clip in clips:
        if not limit:
            yield clip
        elif left > 0:
            yield _with_shots(clip, clip.shots[:left])
            left -= len(clip.shots[:left])


def _with_shots(clip: Clip, shots: tuple[Shot, ...]) -> Clip:
    if len(shots) == len(clip.shots):
        return clip
    return replace(clip, shots=shots)
