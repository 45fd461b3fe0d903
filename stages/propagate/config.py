"""Settings and inputs of `tgl propagate`."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from schemas.errors import ConfigError, MissingInput, SchemaMismatch
from schemas.layouts import CHECKPOINT_CONFIG, INDEX_TABLES, MOMENTS_TABLE, looks_like_parquet
from schemas.wording import suggestion
from stages.core.engine.digest import artifact_digest, checkpoint_digest, file_digest, require_files
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs
from stages.core.index.frame_files import frame_folders, index_digest
from stages.core.index.table_paths import moments_folder
from stages.core.model.config import SegmenterConfig

FILE = "file"
ANNOTATED = "annotated"
MOMENTS = (ANNOTATED, "predicted", "all", FILE)
UNCHANGED = "trained"
ROUTING = "Routing"
"""Heading of --moments and what belongs to it."""
OFF, OWN = "off", "own"
AUTO = "auto"
TRACK_SOURCES = (AUTO, OFF, OWN, FILE)
HEAD, VOTE = "head", "vote"
TRACKS = "Tracks"
"""Heading of --tracks and what belongs to it."""

LONGEST_DELAY = 100_000


@dataclass(frozen=True)
class PropagateConfig(Settings):
    """Settings of routing, memory and batches; see docs/model.md."""

    moments: str = setting(
        "predicted",
        "What routes the frames: annotated (moments of the index), predicted (the relevance "
        "head), all (every frame is relevant), or file (a moments table).",
        panel=ROUTING,
        choices=MOMENTS,
    )
    relevance_threshold: float = setting(
        0.5, "Probability from which a frame is predicted relevant.", low=0, high=1
    )
    fill_gaps: int = setting(
        2, "Merge predicted moments with at most this many frames between them.", low=0
    )
    drop_specks: int = setting(
        1,
        "Drop predicted moments of at most this many frames.",
        flag="drop-short",
        former=("drop-specks",),
        low=0,
    )
    no_target_threshold: str = setting(
        AUTO,
        "Probability of a target below which masks are empty; auto: as the track head learned.",
    )
    memory_frames: int = setting(
        0,
        "K: remembered frames that each frame attends to; 0 is the checkpoint's value.",
        panel="Memory",
        low=0,
    )
    irrelevant_memory: str = setting(
        UNCHANGED,
        "Irrelevant frames that are also remembered: none, confident ones, or all; trained is as "
        "in the checkpoint.",
        choices=(UNCHANGED, "none", "confident", "all"),
    )
    banks: str = setting(
        UNCHANGED,
        "Memory banks per sentence: one, or one per moment with merged masks; trained is as "
        "in the checkpoint.",
        choices=(UNCHANGED, "one", "moment"),
    )
    object_gate: bool = setting(
        True,
        "Without tracks: blank mask and memory of frames whose object score is below 0.",
    )
    tracks: str = setting(
        AUTO,
        "Object tracks to make masks of: off, own (what the masks show, tracked), file (an index "
        "of tracks), or auto: own with a track head, else off.",
        panel=TRACKS,
        choices=TRACK_SOURCES,
        omit_default=True,
    )
    max_tracks: int = setting(
        24,
        "Most objects tracked per video.",
        low=1,
        only_with="finds_tracks",
    )
    track_frames: int = setting(
        4,
        "Relevant frames per sentence searched for objects.",
        low=1,
        high=64,
        only_with="finds_tracks",
    )
    choose: str = setting(
        HEAD,
        "What chooses tracks: the track head (without one, the vote), or the masks' vote.",
        choices=(HEAD, VOTE),
        only_with="uses_tracks",
    )
    vote_threshold: float = setting(
        0.3,
        "Mean mask probability that a track needs, or to be the best of an annotated moment.",
        low=0,
        high=1,
        only_with="uses_tracks",
    )
    vote_share: float = setting(
        0.7,
        "Part of the best track's probability that it needs.",
        low=0,
        high=1,
        only_with="uses_tracks",
    )
    expressions_per_batch: int = setting(
        0,
        "Sentences of a video per batch; 0 is up to 16.",
        panel="Batching (does not change the result)",
        low=0,
        affects_result=False,
    )
    feature_memory: float | None = setting(
        None,
        "Gigabytes for features of a video's frames, and as much again for the adapter's; by "
        "default 2, on a GPU up to a quarter of its free memory.",
        low=0,
        affects_result=False,
    )
    feature_disk: float = setting(
        64.0,
        "Gigabytes of disk for features of a video that fit neither there nor, with a GPU, in half "
        "of the host memory; what does not fit here is recomputed.",
        low=0,
        affects_result=False,
    )
    chunk_frames: int = setting(
        8, "Frames decoded and encoded together.", low=1, affects_result=False
    )
    online: bool = setting(
        False,
        "Read the frames once, in order, in constant memory: for streams and very long "
        "videos. Masks come at most --delay frames late.",
        panel="Online",
        omit_default=True,
    )
    delay: int = setting(
        8,
        "Frames that a mask may wait for later frames; 0 is strictly causal.",
        low=0,
        high=LONGEST_DELAY,
        only_with="online",
    )
    online_moments: int = setting(
        4,
        "Moments remembered per sentence; a new one replaces the oldest.",
        low=1,
        high=64,
        only_with="online",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        given = self.no_target_threshold
        if given not in (AUTO, OFF) and not _is_probability(given):
            raise ConfigError(
                f"{given!r} is not a number from 0 to 1, auto or off", where="--no-target-threshold"
            )

    def least_target(self, calibrated: float) -> float:
        """The probability of a target below which masks are empty; 0 for none.

        Args:
            calibrated: what ``auto`` stands for.
        """
        if self.no_target_threshold == AUTO:
            return calibrated
        return 0.0 if self.no_target_threshold == OFF else float(self.no_target_threshold)

    @property
    def uses_tracks(self) -> bool:
        """Whether masks are unions of object tracks."""
        return self.tracks not in (AUTO, OFF)

    @property
    def finds_tracks(self) -> bool:
        """Whether the run tracks the objects itself."""
        return self.tracks == OWN

    def for_checkpoint(self, checkpoint: Path) -> Self:
        """The settings with ``auto`` resolved: own tracks if the checkpoint has a track head.

        Online, and for a checkpoint without one, ``auto`` stays, and stands for off.
        """
        if self.tracks == AUTO and not self.online and has_track_head(checkpoint):
            return replace(self, tracks=OWN)
        return self

    def segmenter(self, trained: SegmenterConfig) -> SegmenterConfig:
        """Return the checkpoint's settings, changed where this run says so."""
        changes: dict[str, Any] = {}
        if self.memory_frames:
            changes["memory_frames"] = self.memory_frames
        if self.irrelevant_memory != UNCHANGED:
            changes["irrelevant_memory"] = self.irrelevant_memory
        if self.banks != UNCHANGED:
            changes["per_moment_banks"] = self.banks == "moment"
        if not self.object_gate:
            changes["object_gate"] = "never"
        return replace(trained, **changes)


def has_track_head(checkpoint: Path) -> bool:
    """Return whether config.json of a checkpoint tells of a track head.

    A file that cannot be read tells of none: whoever loads the checkpoint reports it.
    """
    try:
        document = json.loads((checkpoint / CHECKPOINT_CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and "tracks" in document


def _is_probability(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


@dataclass(frozen=True)
class PropagateInputs(Inputs):
    """Inputs of the stage.

    Attributes:
        index: from `tgl build-moments`.
        text: from `tgl precompute-text`.
        checkpoint: from `tgl train`.
        moments: a moments table (Parquet), with `--moments file`.
        tracks: an index of tracks, with `--tracks file`.
    """

    index: Path
    text: Path
    checkpoint: Path
    moments: Path | None = None
    tracks: Path | None = None

    def digests(self) -> dict[str, str]:
        """Digests of the index with its frames, of texts, weights and moments by content."""
        found = {
            "index": index_digest(self.index),
            "text": artifact_digest(self.text),
            "checkpoint": checkpoint_digest(self.checkpoint),
        }
        if self.moments is not None:
            found["moments"] = file_digest(self.moments)
        if self.tracks is not None:
            found["tracks"] = artifact_digest(self.tracks)
        return found

    def paths(self) -> list[Path]:
        """The inputs, and the frames that the index points to."""
        return [*super().paths(), *frame_folders(self.index)]

    def check(self, config: PropagateConfig) -> None:
        """Raise ConfigError unless files are given exactly where the settings say so.

        Online, tracks are refused: which objects there are is known at the end of the video.
        """
        if (config.moments == FILE) != (self.moments is not None):
            raise ConfigError("a moments table and --moments file go together", where="--moments")
        if (config.tracks == FILE) != (self.tracks is not None):
            raise ConfigError("an index of tracks and --tracks file go together", where="--tracks")
        if config.online and config.uses_tracks:
            raise ConfigError(
                "needs the whole video, --online reads it once",
                where="--tracks",
                hint="leave out one of the two",
            )


def moments_table(text: str) -> Path:
    """Return the moments table that --moments names: a file, or an artifact that contains one.

    Raises:
        MissingInput: neither a file nor one of the choices.
        ConfigError: OUT of tgl annotate with several annotators.
        SchemaMismatch: moments in a format that only build-moments reads.
    """
    path = moments_folder(Path(text))
    if path.is_dir():
        path /= MOMENTS_TABLE
        if not path.is_file():
            raise MissingInput(f"has no {MOMENTS_TABLE}", where=f"--moments {text}")
    words = [word for word in MOMENTS if word != FILE]
    if not path.is_file():
        raise MissingInput(
            f"{text!r} is neither a file nor one of {', '.join(words)}",
            where="--moments",
            hint=suggestion(text, words) or "name a moments table, as OUT of tgl select-moments",
        )
    if not looks_like_parquet(path):
        raise SchemaMismatch(
            "is not a moments table (Parquet)",
            where=path,
            hint=f"tgl build-moments DATASET INDEX --moments {path.name} makes one, "
            f"INDEX/{MOMENTS_TABLE}",
        )
    return path


def tracks_index(text: str) -> Path:
    """Return the index of tracks that --tracks names.

    Raises:
        MissingInput: neither an index nor one of the choices.
    """
    path = Path(text)
    words = [word for word in TRACK_SOURCES if word != FILE]
    if not path.is_dir():
        raise MissingInput(
            f"{text!r} is neither a folder nor one of {', '.join(words)}",
            where="--tracks",
            hint=suggestion(text, words) or "name an index of tracks, as OUT of tgl track",
        )
    require_files(path, INDEX_TABLES, what="index of tracks", hint="make one with tgl track")
    return path
