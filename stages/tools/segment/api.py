"""Segmenting a video from Python: frames in, masks, objects and moments out."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from schemas.errors import ConfigError
from schemas.layouts import mask_path
from stages.core.engine.execute import release
from stages.core.engine.progress import Progress, SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.index.index import Video
from stages.core.media.frames import read_frame
from stages.core.media.spans import Span
from stages.tools.render.config import RenderConfig
from stages.tools.segment.config import SegmentConfig
from stages.tools.segment.frame_source import find_frame_source
from stages.tools.segment.outputs.results import SentenceResult, read_results
from stages.tools.segment.pipeline import Artifacts, Clip
from stages.tools.segment.prompts.records import Prompt
from stages.tools.segment.request import SegmentRequest
from stages.tools.segment.run import SegmentRun
from stages.tools.segment.ways import way_of
from stages.tools.segment.zero_shot.tracked import accepted_objects

_NAME = "video"
_DIGITS = 6
_FAST = 1
"""zlib level of frames that are written to be read once."""


@dataclass(frozen=True)
class SegmentedObject:
    """One object of a sentence, or one that was prompted by hand.

    Attributes:
        name: of a prompted object its own, else the track's.
        masks: bool (T, H, W).
        moments: half-open spans of frames in which the sentence is true of it; none for a prompt.
        score: of the judge, from 0 to 1; None for a prompt.
    """

    name: str
    masks: np.ndarray
    moments: tuple[Span, ...] = ()
    score: float | None = None


@dataclass(frozen=True)
class SegmentedSentence:
    """What a sentence, or a prompted object's name, refers to.

    Attributes:
        sentence: as it was given.
        masks: bool (T, H, W), all of its objects together.
        moments: half-open spans of frames in which the sentence is true.
        relevance: float32 (T,), the score of each frame for the sentence; NaN where there is none.
        objects: its objects, the best first; empty with a checkpoint, which does not tell them
            apart.
        best_frame: the frame that stands in for a moment, where none was predicted.
    """

    sentence: str
    masks: np.ndarray
    moments: tuple[Span, ...]
    relevance: np.ndarray
    objects: tuple[SegmentedObject, ...]
    best_frame: int | None = None


@dataclass(frozen=True)
class SegmentedVideo:
    """Result of :func:`segment_video`.

    Attributes:
        sentences: one for each sentence or prompted object, in order.
        frame_names: names of the T frames, without suffix.
        fps: frames per second; None if they are not known or vary.
        size: (height, width) in pixels.
        warnings: lines that the stages meant the user to read.
    """

    sentences: tuple[SegmentedSentence, ...]
    frame_names: tuple[str, ...]
    fps: float | None
    size: tuple[int, int]
    warnings: tuple[str, ...] = ()

    def __getitem__(self, sentence: str) -> SegmentedSentence:
        """The result of a sentence, or of a prompted object by its name."""
        for found in self.sentences:
            if found.sentence == sentence:
                return found
        raise KeyError(sentence)


def segment_video(
    source: str | Path | np.ndarray,
    sentences: str | Sequence[str] = (),
    *,
    prompts: Sequence[Prompt] = (),
    checkpoint: str | Path | None = None,
    model: str | Path | None = None,
    tracker: str | Path | None = None,
    judge: str | Path | None = None,
    image_size: int = 0,
    max_tracks: int | None = None,
    every: int = 1,
    device: str = "auto",
    precision: str = "auto",
    workers: int | None = None,
    work: str | Path | None = None,
    progress: Progress | None = None,
) -> SegmentedVideo:
    """Segment the objects of sentences, or of prompts by hand, in every frame of a video.

    Args:
        source: frames, uint8 RGB (T, H, W, 3); or a video file, an image, a folder of frames.
        sentences: what to segment.
        prompts: where the objects are instead, on any frames: Box, Point, MaskImage.
        checkpoint: of tgl train, a folder or hub id, or toy. Without it, and without prompts:
        model: the detector that finds candidates for each sentence, a folder or hub id.
        tracker: the model that tracks the objects, also of prompts.
        judge: the model that accepts or rejects each track; `none` takes the best candidate.
        image_size: side that the tracker scales frames to, in pixels; 0 is its own.
        max_tracks: most objects of the sentences that are tracked; by default as the command.
        every: track every N-th frame, and interpolate the masks between.
        device: cpu, cuda, cuda:1, mps, or auto for the best one.
        precision: fp32, bf16 for autocast, or auto for bf16 on GPUs that have it.
        workers: threads that decode frames; by default one per core.
        work: folder that keeps intermediate results, such as the frames of a video, for the next
            call; by default a temporary one.
        progress: receives bars and lines; by default nothing is shown.

    Raises:
        ConfigError: arguments that contradict each other, or do not fit the video.
        MissingInput: a file or a model does not exist, or a model cannot be fetched.
        TglError: the video or a model cannot be read.
        ValueError: an array that is no video.
    """
    shown = progress or SilentProgress()
    config = _config(
        model=model,
        tracker=tracker,
        judge=judge,
        image_size=image_size,
        max_tracks=max_tracks,
        every=every,
    )
    runtime = Runtime(device=device, precision=precision)
    if workers is not None:
        runtime = replace(runtime, workers=workers)
    with _source_path(source) as path, _work_folder(work) as folder:
        request = SegmentRequest(
            path,
            (sentences,) if isinstance(sentences, str) else tuple(sentences),
            folder / _NAME,
            RenderConfig(),
            checkpoint=None if checkpoint is None else str(checkpoint),
            prompts=tuple(prompts),
            models=config.local_models(),
            work=folder,
        )
        if not (request.sentences or request.prompts):
            raise ConfigError("give sentences or prompts")
        video, results, artifacts = _segment(SegmentRun(request, config, runtime, shown))
        found = tuple(_sentence(video, result, artifacts) for result in results)
        release(artifacts.masks)
    warnings = tuple(shown.warnings) if isinstance(shown, SilentProgress) else ()
    return SegmentedVideo(
        found, video.frame_names, video.fps, (video.height, video.width), warnings
    )


def _config(**settings: Any) -> SegmentConfig:
    """Settings, of which None stands for the default."""
    given: dict[str, Any] = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in settings.items()
        if value is not None
    }
    return SegmentConfig(**given)


def _segment(run: SegmentRun) -> tuple[Video, list[SentenceResult], Artifacts]:
    source = find_frame_source(run.request.source)
    way = way_of(run)
    run.warn(source.warnings)
    run.check_folders(way.masks_stage)
    way.prepare(source)
    with run.pipeline() as pipeline:
        frames = pipeline.frames(source, keep_damaged=False)
        artifacts = way.masks(pipeline, [Clip(frames, run.request.sentences)])
        (found,) = read_results(artifacts.index, artifacts.masks.path)
    return *found, artifacts


def _sentence(video: Video, result: SentenceResult, artifacts: Artifacts) -> SegmentedSentence:
    expression = result.expression
    masks = _read_masks(artifacts.masks.path, video, expression.expression_id)
    objects: tuple[SegmentedObject, ...] = ()
    if result.prompted:
        objects = (SegmentedObject(expression.text, masks),)
    elif artifacts.tracks is not None and artifacts.moments is not None:
        objects = tuple(
            SegmentedObject(one.anno_id, one.masks, one.moments, one.score)
            for one in accepted_objects(video, expression, artifacts.tracks, artifacts.moments)
        )
    relevance = [np.nan if value is None else value for value in result.relevance]
    return SegmentedSentence(
        expression.text,
        masks,
        result.moments,
        np.array(relevance, np.float32),
        objects,
        result.best_frame,
    )


def _read_masks(root: Path, video: Video, expression_id: str) -> np.ndarray:
    """Masks of a sentence, bool (T, H, W)."""
    masks = np.empty((video.num_frames, video.height, video.width), bool)
    for frame, name in enumerate(video.frame_names):
        path = mask_path(root, video.video_id, expression_id, name)
        np.greater(read_frame(path)[:, :, 0], 0, out=masks[frame])
    return masks


@contextmanager
def _source_path(source: str | Path | np.ndarray) -> Iterator[Path]:
    """A path of the source; an array is written to a temporary folder of lossless images."""
    if not isinstance(source, np.ndarray):
        yield Path(source).expanduser()
        return
    if source.ndim != 4 or source.shape[-1] != 3 or source.dtype != np.uint8 or not source.size:
        raise ValueError(
            f"frames are {source.dtype} {source.shape}, expected uint8 (T, H, W, 3), T > 0"
        )
    with tempfile.TemporaryDirectory(prefix="tgl-frames-") as name:
        folder = Path(name) / _NAME
        folder.mkdir()
        for number, frame in enumerate(source):
            image = Image.fromarray(frame)
            image.save(folder / f"{number:0{_DIGITS}d}.png", compress_level=_FAST)
        yield folder


@contextmanager
def _work_folder(named: str | Path | None) -> Iterator[Path]:
    if named is not None:
        yield Path(named).expanduser()
        return
    with tempfile.TemporaryDirectory(prefix="tgl-segment-") as name:
        yield Path(name) / "work"
