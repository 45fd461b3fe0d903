"""Settings and inputs of select-moments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ConfigError
from stages.core.engine.digest import tree_digest
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs
from stages.core.index.frame_files import frame_folders, index_digest
from stages.core.model.hub import local_folder

MODEL_OPTION = "--model"


@dataclass(frozen=True)
class SelectConfig(Settings):
    """The model that scores the frames, and how scores become spans."""

    model: str = setting(
        "openai/clip-vit-base-patch32",
        "CLIP, SigLIP or BLIP-2 (image-text retrieval) model: a local folder or a hub id.",
    )
    stride: int = setting(
        1, "Score every n-th frame; the others take the score of the nearest.", low=1
    )
    window: int = setting(
        5, "Average the scores over this many frames, an odd number; 1 does not.", low=1
    )
    threshold: float = setting(
        0.5,
        "Choose frames from this score, scaled so that a sentence's lowest in the video is 0 and "
        "its highest 1.",
        low=0,
        high=1,
    )
    fill: int = setting(4, "Close gaps of at most this many frames.", low=0)
    drop: int = setting(
        2, "Drop spans of fewer frames, except the one with the highest score.", low=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window % 2 == 0:
            raise ConfigError(
                f"{self.window} is even, expected an odd number of frames",
                where="--window",
                hint=f"try {self.window - 1} or {self.window + 1}",
            )


@dataclass(frozen=True)
class SelectInputs(Inputs):
    """An index, and the model's folder if it is local."""

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
    """The model's folder, None for a hub id."""
    return local_folder(model)
