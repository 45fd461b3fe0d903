"""Settings and inputs of select-moments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ConfigError
from stages.core.engine.digest import tree_digest
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs
from stages.core.index.frame_files import frame_folders, index_digest
from stages.core.model.loading.hub import local_folder

MODEL_OPTION = "--model"


@dataclass(frozen=True)
class SelectConfig(Settings):
    """The model that scores the frames, and how scores become spans."""

    model: str = setting(
        "openai/clip-vit-base-patch32",
        "Image-text model: a local folder or hub id of CLIP, SigLIP or BLIP-2 (image-text "
        "retrieval).",
    )
    stride: int = setting(
        1, "Score every N-th frame; the others take the score of the nearest.", low=1
    )
    window: int = setting(
        5, "Average the scores over this many frames, an odd number; 1 does not average.", low=1
    )
    threshold: float = setting(
        0.5,
        "Select frames with at least this score, from 0 (the lowest of the sentence in the "
        "video) to 1 (the highest).",
        low=0,
        high=1,
    )
    fill: int = setting(
        4,
        "Merge spans with at most this many frames between them.",
        flag="fill-gaps",
        former=("fill",),
        low=0,
    )
    drop: int = setting(
        2,
        "Drop spans of fewer frames, except the best one.",
        flag="min-length",
        former=("drop",),
        low=1,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window % 2 == 0:
            raise ConfigError(
                f"{self.window} is even, an odd number of frames is needed",
                where="--window",
                hint=f"name {self.window - 1} or {self.window + 1}",
            )


@dataclass(frozen=True)
class SelectInputs(Inputs):
    """An index, and the model's folder where it is local."""

    index: Path
    model: Path | None = None

    def digests(self) -> dict[str, str]:
        """Digests of the index with its frames, and of the model's files."""
        found = {"index": index_digest(self.index)}
        if self.model is not None:
            found["model"] = tree_digest(self.model)
        return found

    def paths(self) -> list[Path]:
        """Named paths, and the frames that the index points to."""
        return [*super().paths(), *frame_folders(self.index)]


def local_model(model: str) -> Path | None:
    """The model as a folder, None for a hub id."""
    return local_folder(model)
