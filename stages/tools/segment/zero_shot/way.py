"""Masks of sentences by public models: candidate boxes, tracks, a judge of the tracks, masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.documents import load_object
from schemas.errors import ConfigError
from schemas.layouts import CANDIDATES_TABLE, MOMENTS_TABLE, OBJECTS_TABLE
from schemas.parquet import read_table
from schemas.tables import OBJECTS
from stages.core.index.index import Index
from stages.core.model.loading.families import require_detector, require_tracker
from stages.core.model.loading.hub import TOY, checkpoint_folder
from stages.core.model.loading.names import MODEL_CONFIG, Wanted
from stages.tools.segment.between.steps import Between
from stages.tools.segment.config import NEEDS_CHECKPOINT, OF_A_CHECKPOINT
from stages.tools.segment.frame_source import FrameSource
from stages.tools.segment.models import TRACKER_OPTION, model_folders, tracker_name
from stages.tools.segment.pace import paced
from stages.tools.segment.pipeline import Artifacts, Clip, Pipeline
from stages.tools.segment.run import SegmentRun
from stages.tools.segment.trained import encode_texts, text_config
from stages.tools.select_moments.config import (
    BEST_CANDIDATE,
    REFERENT,
    SelectConfig,
)
from stages.tools.select_moments.inputs import select_inputs
from stages.tools.select_moments.judges.registry import is_checkpoint, require_judge
from stages.zero_shot.assemble.config import NO_OBJECTS, PALETTE, AssembleConfig, AssembleInputs
from stages.zero_shot.ground.config import GroundConfig, ground_parts
from stages.zero_shot.ground.detectors.keeping import keeps_for
from stages.zero_shot.track.config import TrackConfig, TrackInputs

_SCALED = ("grounding-dino", "mm-grounding-dino")
"""Detectors that take frames of any size."""
_DINO_SIDE = 800
"""Their own shorter side: a larger one costs time, and they were not trained on it."""
MODEL_OPTION, JUDGE_OPTION = "--model", "--judge"
CANDIDATES, TRACKS, CHOSEN = "candidates", "tracks", "chosen"
"""Folders of the artifacts."""


@dataclass(frozen=True)
class ZeroShot:
    """The way without training.

    Attributes:
        run: its request has sentences, and no checkpoint.
    """

    run: SegmentRun

    @property
    def masks_stage(self) -> str:
        """See ``ways.Way``."""
        return "assemble" if self.run.config.every == 1 else "segment"

    def prepare(self, source: FrameSource) -> None:
        """See ``ways.Way``."""
        request, config = self.run.request, self.run.config
        request.check_sentences()
        if request.encoder is not None:
            raise ConfigError(NEEDS_CHECKPOINT, where="--encoder")
        config.refuse(OF_A_CHECKPOINT, NEEDS_CHECKPOINT)
        self._fetch()

    def masks(self, pipeline: Pipeline, clips: Sequence[Clip]) -> Artifacts:
        """See ``ways.Way``: each stage in turn."""
        request, config = self.run.request, self.run.config
        pipeline = paced(pipeline, config, sentences=True)
        index = pipeline.index(clips)
        between = Between(pipeline, config.every)
        some = between.choose(index, [clip.frames for clip in clips])
        candidates = self._ground(pipeline, some)
        tracks = self._track(pipeline, some, candidates)
        moments = self._judge(pipeline, tracks)
        wanted = request.masks is not None or request.table is not None
        objects = PALETTE if wanted else NO_OBJECTS
        from stages.zero_shot.assemble.stage import STAGE

        made = between.run(
            STAGE,
            AssembleConfig(objects=objects if config.every == 1 else NO_OBJECTS),
            AssembleInputs(tracks, moments / MOMENTS_TABLE),
            request.masks,
        )
        masks = between.fill(index, some, made, request.masks, tracks=tracks, objects=objects)
        return Artifacts(index, masks, _objects_of(made.path), tracks, moments)

    def _ground(self, pipeline: Pipeline, index: Path) -> Path:
        from stages.zero_shot.ground.stage import STAGE

        model, tracker = self._fetch()[:2]
        size = self.run.config.image_size
        config = GroundConfig(
            model=self.run.config.model,
            image_size=_detector_side(model, size),
            keep_features=not size and keeps_for(model, tracker),
        )
        inputs = ground_parts(
            index, config, candidates=None, objects=None, progress=pipeline.progress
        )
        pipeline.run(STAGE, config, inputs, pipeline.work / CANDIDATES)
        return pipeline.work / CANDIDATES / CANDIDATES_TABLE

    def _track(self, pipeline: Pipeline, index: Path, candidates: Path) -> Path:
        from stages.zero_shot.track.stage import STAGE

        config = TrackConfig(
            image_size=self.run.config.image_size,
            max_tracks=self.run.config.max_tracks,
            feature_memory=self.run.config.feature_memory,
            chunk_frames=self.run.config.chunk_frames,
        )
        inputs = TrackInputs(index, candidates, self._fetch()[1])
        pipeline.run(STAGE, config, inputs, pipeline.work / TRACKS)
        return pipeline.work / TRACKS

    def _judge(self, pipeline: Pipeline, tracks: Path) -> Path:
        """Accept or reject the tracks of each sentence; the artifact with their moments.

        Without any track there is nothing to judge: the index of the tracks has no moments.
        """
        if not any(expression.anno_ids for expression in Index.open(tracks).expressions):
            return tracks
        from stages.tools.select_moments.stage import STAGE

        config = _judge_config(self.run.config.judge, self.run.config.every)
        text, checkpoint = None, self._judging_checkpoint()
        if checkpoint is not None:
            text = encode_texts(pipeline, tracks, text_config(checkpoint, None))
        inputs = select_inputs(tracks, config, pipeline.progress, text=text)
        pipeline.run(STAGE, config, inputs, pipeline.work / CHOSEN)
        return pipeline.work / CHOSEN

    def _judging_checkpoint(self) -> Path | None:
        """The judge's folder if it is a checkpoint of tgl, which reads encoded sentences."""
        judge = self.run.config.judge
        if judge == TOY:
            return checkpoint_folder(TOY)
        folders = self._fetch()[2:]
        return folders[0] if folders and is_checkpoint(folders[0]) else None

    def _fetch(self) -> list[Path]:
        """Folders of the detector, the tracker and the judge, if there is one to fetch."""
        config = self.run.config
        wanted = [
            Wanted(config.model, MODEL_OPTION, require_detector),
            Wanted(
                tracker_name(config.tracker, self.run.runtime.device),
                TRACKER_OPTION,
                require_tracker,
            ),
        ]
        if config.judge not in (BEST_CANDIDATE, TOY):
            wanted.append(Wanted(config.judge, JUDGE_OPTION, require_judge))
        return model_folders(wanted, self.run.progress)


def _detector_side(folder: Path, side: int) -> int:
    """Shorter side that the detector scales frames to; 0 for its own, which is often the only one.

    Args:
        side: that the user asked for, 0 if none.
    """
    kind = load_object(folder / MODEL_CONFIG).get("model_type")
    return side if kind in _SCALED and side < _DINO_SIDE else 0


def _judge_config(judge: str, every: int) -> SelectConfig:
    """Settings of a judge that sees every N-th frame: windows of the same length in time."""
    usual = SelectConfig(model=judge, per=REFERENT)
    if every == 1:
        return usual
    return SelectConfig(
        model=judge,
        per=REFERENT,
        window=max(1, round(usual.frames_averaged / every)),
        stride=max(1, round(usual.frame_stride / every)),
    )


def _objects_of(masks: Path) -> dict[tuple[str, str], int]:
    """Number of objects that the masks of each sentence with one are made of."""
    columns = ["video_id", "expression_id"]
    rows = read_table(masks / OBJECTS_TABLE, OBJECTS, columns=columns)
    return dict(Counter(zip(*(rows.column(name).to_pylist() for name in columns), strict=True)))
