"""Settings and inputs of `tgl track`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.layouts import CANDIDATES_TABLE
from stages.core.engine.digest import file_digest, weights_digest
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs
from stages.core.index.frame_files import frame_folders, index_digest
from stages.core.index.table_paths import named_table

_LIMITS = "Limits"


@dataclass(frozen=True)
class TrackConfig(Settings):
    """Which candidates are one object, and which tracks are kept; see docs/zero-shot.md."""

    same_object: float = setting(
        0.7,
        "Candidates of one frame whose masks have at least this IoU are one object.",
        low=0,
        high=1,
        panel="Objects",
    )
    join: float = setting(
        0.5,
        "A candidate whose mask has at least this IoU with a track on its frame belongs to the "
        "track.",
        low=0,
        high=1,
    )
    merge: float = setting(
        0.7,
        "Tracks with at least this IoU over the whole video are one.",
        low=0,
        high=1,
    )
    min_support: float = setting(
        0.25,
        "Drop a track that candidates confirm on a smaller share of the searched frames in which "
        "it is visible.",
        low=0,
        high=1,
    )
    min_frames: int = setting(
        2,
        "Drop a track that candidates confirm on fewer frames; half of the searched frames are "
        "enough.",
        low=1,
    )
    prompt_frames: int = setting(
        1,
        "Frames whose candidates prompt an object: its best one, and more where they confirm it.",
        low=1,
        high=16,
    )
    max_tracks: int = setting(
        24,
        "Most tracks per video; those that the fewest candidates confirm are left out.",
        low=1,
        panel=_LIMITS,
    )
    search_frames: int = setting(
        32,
        "Most frames of a video, spread evenly over those with candidates, that are searched for "
        "objects.",
        low=1,
    )
    image_size: int = setting(
        0,
        "Side in pixels that frames are resized to; smaller is faster and coarser. 0 is the "
        "tracker's own.",
        low=0,
        high=4096,
    )
    feature_memory: float | None = setting(
        None,
        "Gigabytes for features of a video's frames; what does not fit is recomputed. By "
        "default 2, on a GPU up to a quarter of its free memory.",
        panel="Batching (does not change the result)",
        low=0,
        affects_result=False,
    )
    chunk_frames: int = setting(
        8, "Frames decoded and encoded together.", low=1, affects_result=False
    )


@dataclass(frozen=True)
class TrackInputs(Inputs):
    """Inputs of the stage.

    Attributes:
        index: from `tgl build-moments`.
        candidates: a candidates table (Parquet), from `tgl ground`.
        backbone: folder of a SAM 2, EdgeTAM or SAM 3 video model.
    """

    index: Path
    candidates: Path
    backbone: Path

    def digests(self) -> dict[str, str]:
        """Digests of the index with its frames, of the candidates and of the weights.

        Features beside the candidates save work and do not change the result; see ``features``.
        """
        return {
            "index": index_digest(self.index),
            "candidates": file_digest(self.candidates),
            "backbone": weights_digest(self.backbone),
        }

    def paths(self) -> list[Path]:
        """The inputs, and the frames that the index points to."""
        return [*super().paths(), *frame_folders(self.index)]


def candidates_file(path: Path) -> Path:
    """Return the candidates table that a path names; raises as :func:`named_table`."""
    return named_table(
        path,
        CANDIDATES_TABLE,
        kind="candidates",
        made_by="tgl ground",
        other=f"tgl ground INDEX OUT --from {path.name} makes one",
    )
