"""Settings and inputs of select-moments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError
from stages.core.engine.digest import artifact_digest, tree_digest, weights_digest
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs
from stages.core.index.frame_files import frame_folders, index_digest
from stages.core.model.loading.catalog import DEFAULT_JUDGE
from stages.core.model.loading.hub import TOY, TOY_CHECKPOINT, local_folder
from stages.core.model.text_encoders.recorded import RecordedEncoder

MODEL_OPTION = "--model"
SENTENCE, REFERENT = PER = ("sentence", "referent")
TRUTH, BEST_CANDIDATE = REFERENCES = ("truth", "none")
"""Words for --model that name no network."""
_STRIDES = {SENTENCE: 1, REFERENT: 8}
_WINDOWS = {SENTENCE: 5, REFERENT: 16}
PER_REFERENT = "Per referent"
"""Heading of --per and what belongs to it."""


@dataclass(frozen=True)
class SelectConfig(Settings):
    """The model that scores the frames, and how scores become spans."""

    model: str = setting(
        DEFAULT_JUDGE,
        "Image-text model: a local folder or hub id of CLIP, SigLIP or BLIP-2 (image-text "
        "retrieval). Per referent also any image-text-to-text model, a tgl checkpoint (or toy), "
        "truth, or none.",
    )
    stride: int | None = setting(
        None,
        "Score every N-th frame, by default each one; the others take the score of the nearest. "
        "Per referent: frames from the start of a window to the next, by default 8.",
        low=1,
    )
    window: int | None = setting(
        None,
        "Average the scores over this many frames, by default 5, an odd number; 1 does not "
        "average. Per referent: frames of a window, which gets one score, by default 16.",
        low=1,
    )
    threshold: float = setting(
        0.5,
        "Select frames with at least this score, from 0 (the lowest of the sentence in the "
        "video) to 1 (the highest). Per referent: with this share of the track's highest score.",
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
    per: str = setting(
        SENTENCE,
        "Select moments of the sentence, or of each referent: of the tracks that the index lists "
        "for a sentence, those that it describes.",
        choices=PER,
        omit_default=True,
        panel=PER_REFERENT,
    )
    frames_per_window: int = setting(
        4,
        "Frames of a window that the model sees, spread over it evenly.",
        low=1,
        high=64,
        only_with="per_referent",
    )
    accept: float = setting(
        0.5,
        "Accept a track from this score on, from 0 to 1; 0 accepts all tracks that are visible.",
        low=0,
        high=1,
        only_with="per_referent",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.per_referent:
            return
        if self.frames_averaged % 2 == 0:
            raise ConfigError(
                f"{self.window} is even, an odd number of frames is needed",
                where="--window",
                hint=f"name {self.frames_averaged - 1} or {self.frames_averaged + 1}",
            )
        if self.model in REFERENCES:
            raise ConfigError(
                f"{self.model!r} judges tracks", where=MODEL_OPTION, hint="add --per referent"
            )

    @property
    def per_referent(self) -> bool:
        """Whether each referent gets moments of its own."""
        return self.per == REFERENT

    @property
    def frame_stride(self) -> int:
        """Frames from one score to the next."""
        return _STRIDES[self.per] if self.stride is None else self.stride

    @property
    def frames_averaged(self) -> int:
        """Frames that a score stands for."""
        return _WINDOWS[self.per] if self.window is None else self.window

    def to_dict(self) -> dict[str, Any]:
        """See ``Settings``; with the values that stand for the defaults."""
        values = {"stride": self.frame_stride, "window": self.frames_averaged}
        return super().to_dict() | values


@dataclass(frozen=True)
class SelectInputs(Inputs):
    """Inputs of the stage.

    Attributes:
        index: with the sentences; per referent its masks are the tracks.
        model: the model's folder where it is local.
        text: from `tgl precompute-text`, for a tgl checkpoint; None to encode with its own encoder.
        truth: an index with true masks, for `--model truth`.
        encoder: folder of the checkpoint's own encoder where it is local and used.
        revision, encoder_revision: commits of the model and of that encoder where they are from the
            hub.
    """

    index: Path
    model: Path | None = None
    text: Path | None = None
    truth: Path | None = None
    encoder: Path | None = None
    revision: str | None = None
    encoder_revision: str | None = None

    def digests(self) -> dict[str, str]:
        """Digests of the index with its frames, of the models' files, texts and true masks."""
        found = {"index": index_digest(self.index)}
        if self.model is not None:
            ours = RecordedEncoder.read(self.model) is not None
            found["model"] = (weights_digest if ours else tree_digest)(self.model)
        if self.encoder is not None:
            found["encoder"] = tree_digest(self.encoder)
        for name in ("revision", "encoder_revision"):
            if getattr(self, name) is not None:
                found[name] = getattr(self, name)
        for name, folder in (("text", self.text), ("truth", self.truth)):
            if folder is not None:
                found[name] = artifact_digest(folder)
        return found

    def paths(self) -> list[Path]:
        """Named paths, and the frames that the index points to."""
        return [*super().paths(), *frame_folders(self.index)]

    def check(self, config: SelectConfig) -> None:
        """Raise ConfigError where an input is missing, or given without its use."""
        wanted = config.per_referent and config.model == TRUTH
        if wanted and self.truth is None:
            raise ConfigError(
                "--model truth needs an index with true masks", where="--truth", hint="name one"
            )
        if self.truth is not None and not wanted:
            raise ConfigError("has no effect without --model truth", where="--truth")
        if self.text is not None and not config.per_referent:
            raise ConfigError("has no effect without --per referent", where="--text")


def local_model(model: str, per: str = SENTENCE) -> Path | None:
    """The model as a folder, None for a hub id and for words that name no network."""
    if per == REFERENT and model in REFERENCES:
        return None
    if per == REFERENT and model == TOY:
        return TOY_CHECKPOINT
    return local_folder(model)


def source_name(model: str) -> str:
    """The name of a model in the moments table: the last part of its path or hub id."""
    return model.rstrip("/").rsplit("/", 1)[-1]
