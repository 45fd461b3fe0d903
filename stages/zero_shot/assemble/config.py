"""Settings and inputs of `tgl assemble`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ConfigError
from stages.core.engine.digest import artifact_digest, file_digest, weights_digest
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs
from stages.core.index.frame_files import frame_folders, index_digest

TRACKED, MDP = MASKS = ("tracked", "mdp")
NO_OBJECTS, PALETTE, FOLDERS = OBJECTS = ("none", "palette", "folders")


@dataclass(frozen=True)
class AssembleConfig(Settings):
    """Settings of the masks, and of the memory that recomputes them with `mdp`."""

    masks: str = setting(
        TRACKED,
        "Masks of a sentence: tracked unites its accepted tracks as they are; mdp propagates each "
        "one again from its moment (needs --backbone).",
        choices=MASKS,
    )
    objects: str = setting(
        NO_OBJECTS,
        "Write each object's masks as well, in OUT/ObjectMasks: palette (one image per frame, "
        "with the object's number as pixel value) or folders (one folder per object).",
        choices=OBJECTS,
    )
    memory_frames: int = setting(
        7,
        "K: frames of the moment that each other frame attends to, with --masks mdp.",
        panel="Memory, with --masks mdp",
        low=1,
        high=64,
        only_with="propagates",
    )
    feature_memory: float | None = setting(
        None,
        "Gigabytes for features of a video's frames; what does not fit is recomputed. By "
        "default 2, on a GPU up to a quarter of its free memory.",
        low=0,
        affects_result=False,
    )
    chunk_frames: int = setting(
        8, "Frames decoded and encoded together.", low=1, affects_result=False
    )

    @property
    def propagates(self) -> bool:
        """Whether frames outside a moment are propagated from it."""
        return self.masks == MDP


@dataclass(frozen=True)
class AssembleInputs(Inputs):
    """Inputs of the stage.

    Attributes:
        tracks: an index whose masks are tracks, from `tgl track`; or one with true masks.
        moments: a moments table (Parquet) whose rows name the accepted tracks.
        backbone: folder of a SAM 2, EdgeTAM or SAM 3 video model, with `--masks mdp`.
    """

    tracks: Path
    moments: Path
    backbone: Path | None = None

    def digests(self) -> dict[str, str]:
        """Digests of the tracks (with their frames, where they are read), moments and weights."""
        moments = file_digest(self.moments)
        if self.backbone is None:
            return {"tracks": artifact_digest(self.tracks), "moments": moments}
        backbone = weights_digest(self.backbone)
        return {"tracks": index_digest(self.tracks), "moments": moments, "backbone": backbone}

    def paths(self) -> list[Path]:
        """The inputs, and the frames that the index points to."""
        return [*super().paths(), *frame_folders(self.tracks)]

    def check(self, config: AssembleConfig) -> None:
        """Raise ConfigError unless a backbone is given exactly with --masks mdp."""
        if config.propagates and self.backbone is None:
            raise ConfigError(
                "--masks mdp needs a tracker", where="--backbone", hint="name one, such as toy"
            )
        if not config.propagates and self.backbone is not None:
            raise ConfigError("has no effect without --masks mdp", where="--backbone")
