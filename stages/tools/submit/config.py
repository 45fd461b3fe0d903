"""Settings and inputs of submit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.layouts import FRAMES_FOLDER
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs
from stages.core.submissions.servers import MEVIS, PREFIXES, SERVER_NAMES


@dataclass(frozen=True)
class SubmitConfig(Settings):
    """Layout of the zip, and treatment of missing masks."""

    server: str = setting(
        MEVIS,
        "Server to submit to. mevis has the videos at the root of the zip, ref-youtube-vos in "
        "Annotations/.",
        choices=SERVER_NAMES,
    )
    missing: str = setting(
        "refuse",
        "Frames without a prediction: refuse to write the zip, or write a black mask (nothing "
        "found).",
        choices=("refuse", "black"),
    )

    @property
    def prefix(self) -> str:
        """Path before the folders of the videos in the zip."""
        return PREFIXES[self.server]


@dataclass(frozen=True)
class SubmitInputs(Inputs):
    """The masks of a submission, and the files of the split that they must fit.

    Attributes:
        preds: `<video>/<expression id>/<frame>.png`.
        meta: the split's meta_expressions.json, which lists the masks that the server expects.
        frames: folder with one folder of frames per video, for the sizes of the masks; None takes
            JPEGImages beside the meta file if there is one.
        exclude: a meta file whose videos are not expected: that of Ref-YouTube-VOS's test split,
            whose videos its valid file lists too.
    """

    preds: Path
    meta: Path
    frames: Path | None = None
    exclude: Path | None = None

    @property
    def frames_dir(self) -> Path | None:
        """Folder of the frames, None if it is not known."""
        if self.frames is not None:
            inner = self.frames / FRAMES_FOLDER
            return inner if inner.is_dir() else self.frames
        beside = self.meta.parent / FRAMES_FOLDER
        return beside if beside.is_dir() else None
