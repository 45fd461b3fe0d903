"""Settings and inputs of build-moments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.layouts import FRAMES_TABLE, MOMENTS_TABLE
from stages.core.datasets.layouts import LAYOUT_NAMES
from stages.core.engine.digest import artifact_digest, file_digest, tree_digest
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs
from stages.core.index.table_paths import moments_folder
from stages.core.moment_formats import FORMAT_NAMES, REFUSE, ROUNDINGS

AUTO = "auto"
# Folders of Ref-YouTube-VOS and Ref-DAVIS17 beside those of the splits.
_BESIDE = ("meta_expressions", "davis_text_annotations")


@dataclass(frozen=True)
class IndexConfig(Settings):
    """Layout of the data set, and source of the moments."""

    layout: str = setting(
        AUTO,
        "Layout of the data set. ref-davis17, refcoco: as downloaded; folder: frames, palette "
        "PNGs, expressions.csv.",
        panel="Data set",
        choices=(AUTO, *LAYOUT_NAMES),
    )
    split: str | None = setting(
        None, "Split to read, if the folder holds several: train, valid, ..."
    )

    moments_from: str = setting(
        "file",
        "Take moments from the moments file, or from the frames in which a referent is visible.",
        panel="Moments",
        choices=("file", "visibility"),
    )
    moments_format: str = setting(
        AUTO,
        "Format of the moments file; auto detects it by name and content.",
        choices=(AUTO, *FORMAT_NAMES),
    )
    fps: float = setting(
        0.0,
        "Frame rate for moments in seconds; 0 takes the one that extract-frames found (--frames).",
        low=0,
        high=1000,
    )
    rounding: str = setting(
        REFUSE,
        "Moments in seconds that begin or end between two frames: refuse them, extend them, "
        "or round to the nearest frame.",
        choices=ROUNDINGS,
    )


@dataclass(frozen=True)
class IndexInputs(Inputs):
    """A split of a data set.

    Attributes:
        dataset: folder of the split, or of the data set.
        frames: an artifact of extract-frames, or a folder of images; None takes
            `dataset/JPEGImages`, or `dataset/train2014`.
        moments: a moments file, or a folder with one file per video; None takes
            `dataset/moments.json` if there is one.
    """

    dataset: Path
    frames: Path | None = None
    moments: Path | None = None

    def digests(self) -> dict[str, str]:
        """Digest the files of the data set, the frames and the moments."""
        found = {"dataset": tree_digest(self.dataset)}
        for name in _BESIDE:
            if (self.dataset.parent / name).is_dir():
                found[name] = tree_digest(self.dataset.parent / name)
        if self.frames is not None:
            extracted = (self.frames / FRAMES_TABLE).is_file()
            found["frames"] = (artifact_digest if extracted else tree_digest)(self.frames)
        if self.moments is not None:
            found["moments"] = _moments_digest(self.moments)
        return found


def _moments_digest(path: Path) -> str:
    """Digest of a moments file or folder; of an artifact of the moments alone."""
    folder = moments_folder(path)
    if (folder / MOMENTS_TABLE).is_file():
        return file_digest(folder / MOMENTS_TABLE)
    return (tree_digest if path.is_dir() else file_digest)(path)
