"""Settings and inputs of submit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.layouts import FRAMES_FOLDER
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs
from stages.core.submissions.servers import MEVIS, PREFIXES


@dataclass(frozen=True)
class SubmitConfig(Settings):
    """For whom the zip is, and what becomes of gaps."""

    server: str = setting(
        MEVIS,
        "Server to submit to. mevis has the videos at the root of the zip, ref-youtube-vos in "
        "Annotations/.",
        choices=tuple(PREFIXES),
    )
    missing: str = setting(
        "refuse",
        "Frames without a prediction: refuse to write the zip, or write a black mask (nothing "
        "found).",
        choices=("refuse", "black"),
    )

    @property
    def prefix(self) -> str:
        """What stands before a video's folder in the zip."""
        return PREFIXES[self.server]


@dataclass(frozen=True)
class SubmitInputs(Inputs):
    """What a submission is made of and measured against.

    Attributes:
        preds: `<video>/<expression id>/<frame>.png`.
        meta: the split's meta_expressions.json: what the server expects.
        frames: folder with a folder of pictures for each video, for the masks' sizes; None takes
            JPEGImages beside the meta file if it is there.
        exclude: a meta file whose videos are not expected: that of Ref-YouTube-VOS' test split,
            whose videos its valid file lists too.
    """

    preds: Path
    meta: Path
    frames: Path | None = None
    exclude: Path | None = None

    @property
    def pictures(self) -> Path | None:
        """Where the videos' pictures are, None where nobody knows."""
        if self.frames is not None:
            inner = self.frames / FRAMES_FOLDER
            return inner if inner.is_dir() else self.frames
        beside = self.meta.parent / FRAMES_FOLDER
        return beside if beside.is_dir() else None
