"""Settings and inputs of build-moments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stages.engine.digest import artifact_digest, file_digest, tree_digest
from stages.engine.settings import Settings, setting


@dataclass(frozen=True)
class IndexConfig(Settings):
    """How moments are found."""

    moments_from: str = setting(
        "file",
        "Where moments come from: the moments file, or, where nobody annotated any, the frames in "
        "which a referent is visible (marked as such in the column source).",
        choices=("file", "visibility"),
    )


@dataclass(frozen=True)
class IndexInputs:
    """A split of a data set.

    Attributes:
        dataset: the folder with meta_expressions.json.
        frames: an artifact of extract-frames; None takes `dataset/JPEGImages`.
        moments: a moments file; None takes `dataset/moments.json` if there is one.
    """

    dataset: Path
    frames: Path | None = None
    moments: Path | None = None

    def digests(self) -> dict[str, str]:
        """Digests of the data set's files, of the frames and of the moments."""
        found = {"dataset": tree_digest(self.dataset)}
        if self.frames is not None:
            found["frames"] = artifact_digest(self.frames)
        if self.moments is not None:
            found["moments"] = file_digest(self.moments)
        return found
