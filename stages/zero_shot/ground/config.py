"""Settings and inputs of `tgl ground`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from schemas.errors import ConfigError, MissingInput
from schemas.layouts import CANDIDATES_TABLE
from stages.core.engine.digest import file_digest, text_digest, tree_digest
from stages.core.engine.progress import Progress
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs
from stages.core.index.frame_files import frame_folders, index_digest
from stages.core.language.tagging import INSTALL_TAGGER, TAGGER_PACKAGE, tagger_version
from stages.core.model.loading.catalog import DEFAULT_DETECTOR
from stages.core.model.loading.families import require_detector
from stages.core.model.loading.hub import fetched_commit, local_folder

MODEL_OPTION = "--model"
OBJECTS = "objects"
FILE = "file"
SENTENCE, NOUN = "sentence", "noun"
REFERENCE = "objects (reference)"
"""The source of candidates made of true masks: a measure for trackers and judges, no result."""
KEEP_OPTION = "--keep-features"
DEFAULT_FRAMES = 12
"""Twelve frames are a twelfth of the video apart: a moment of a sixth has two of them."""


@dataclass(frozen=True)
class GroundConfig(Settings):
    """The detector, the frames that it searches, and the candidates that are kept."""

    model: str = setting(
        DEFAULT_DETECTOR,
        "Detector: a local folder or hub id of Grounding DINO, MM Grounding DINO, OWLv2 or SAM 3; "
        "or objects: the boxes of all objects in the index's masks, a reference.",
        panel="Detector",
    )
    image_size: int = setting(
        0,
        "Resize frames to this shorter side in pixels: smaller is faster and finds less. 0 is the "
        "model's own size (Grounding DINO: 800).",
        low=0,
        only_with="detects",
    )
    phrase: str = setting(
        SENTENCE,
        "Search for the whole sentence, or for its first noun phrase (needs the package "
        f"{TAGGER_PACKAGE}).",
        choices=(SENTENCE, NOUN),
        only_with="detects",
    )
    frames: int = setting(
        DEFAULT_FRAMES,
        "Search this many frames of each video, spread evenly over it.",
        low=1,
        panel="Frames",
        only_with="spreads",
    )
    stride: int = setting(
        0, "Search every N-th frame instead; 0 takes --frames.", low=0, only_with="strides"
    )
    top_k: int = setting(
        8,
        "Most candidates per sentence and frame.",
        low=1,
        panel="Candidates",
        only_with="detects",
    )
    overlap: float = setting(
        0.7,
        "Drop a box whose IoU with a better one of the same sentence and frame is above this; 1 "
        "keeps all.",
        low=0,
        high=1,
        only_with="detects",
    )
    min_score: float = setting(
        0.0, "Drop candidates with a lower score.", low=0, high=1, only_with="detects"
    )
    keep_features: bool = setting(
        False,
        "With SAM 3: keep what its image encoder makes of each searched frame, so that tgl track "
        "with the same model does not encode these frames again. 21 MB per frame, half of it with "
        "--precision bf16.",
        omit_default=True,
    )
    box_noise: float = setting(
        0.1,
        "Shift each side of a true box by up to this share of the box's size.",
        low=0,
        high=1,
        panel="With --model objects",
        only_with="references",
    )
    miss: float = setting(
        0.2,
        "Probability that an object has no box on a frame.",
        low=0,
        high=1,
        only_with="references",
    )
    false_boxes: int = setting(1, "Random boxes per frame.", low=0, only_with="references")
    seed: int = setting(0, "Seed of noise, misses and scores.", low=0, only_with="references")
    batch: int = setting(
        0,
        "Sentences and frames that are compared at a time; 0 is one on a CPU and 8 elsewhere. "
        "Fewer where memory runs out.",
        panel="Batching (does not change the result)",
        low=0,
        affects_result=False,
    )

    @property
    def references(self) -> bool:
        """Whether candidates are true boxes."""
        return self.model == OBJECTS

    @property
    def detects(self) -> bool:
        """Whether a detector makes the candidates."""
        return self.model not in (OBJECTS, FILE)

    @property
    def strides(self) -> bool:
        """Whether every n-th frame is searched."""
        return self.stride > 0 and self.model != FILE

    @property
    def spreads(self) -> bool:
        """Whether a number of frames is spread over the video."""
        return self.stride == 0 and self.model != FILE


@dataclass(frozen=True)
class GroundInputs(Inputs):
    """Inputs of the stage.

    Attributes:
        index: from `tgl build-moments`.
        model: the detector's folder where it is local.
        candidates: candidates made elsewhere, with --from: COCO results or a candidates table.
        objects: an objects.json with all objects of the videos, as `tgl toy` writes it; without
            it, they are the referents of a video's sentences.
        tagger: name and version of the tagger, with --phrase noun; see :func:`required_tagger`.
        revision: commit of the detector where it is from the hub.
    """

    index: Path
    model: Path | None = None
    candidates: Path | None = None
    objects: Path | None = None
    tagger: str | None = None
    revision: str | None = None

    def digests(self) -> dict[str, str]:
        """Digests of the index with its frames, and of the other files."""
        found = {"index": index_digest(self.index)}
        if self.model is not None:
            found["model"] = tree_digest(self.model)
        if self.candidates is not None:
            found["candidates"] = file_digest(self.candidates)
        if self.objects is not None:
            found["objects"] = file_digest(self.objects)
        if self.tagger is not None:
            found["tagger"] = text_digest(self.tagger)
        if self.revision is not None:
            found["revision"] = self.revision
        return found

    def paths(self) -> list[Path]:
        """Named paths, and the frames that the index points to."""
        return [*super().paths(), *frame_folders(self.index)]

    def check(self, config: GroundConfig) -> None:
        """Raise ConfigError for an input that these settings do not use."""
        if (config.model == FILE) != (self.candidates is not None):
            raise ConfigError(
                "needs the file that --from names" if config.model == FILE else "excludes --from",
                where=f"{MODEL_OPTION} {config.model}",
                hint="give either --model or --from",
            )
        if self.objects is not None and not config.references:
            raise ConfigError(
                f"is used with {MODEL_OPTION} {OBJECTS} only",
                where="--objects",
                hint="leave it out",
            )
        if config.keep_features and not config.detects:
            raise ConfigError(
                "needs a model that encodes frames", where=KEEP_OPTION, hint="leave it out"
            )


def ground_parts(
    index: Path,
    config: GroundConfig,
    *,
    candidates: Path | None,
    objects: Path | None,
    progress: Progress | None = None,
) -> GroundInputs:
    """The inputs of these settings: the model's folder or commit, the tagger if it is used.

    Args:
        candidates: a file, or an artifact that contains a candidates table.
        progress: announces and shows the download of a model; silent without.

    Raises:
        ConfigError: the model is of another family.
        MissingInput: no such model, or a tagger is required, and none is installed.
    """
    model = local_folder(config.model) if config.detects else None
    tagger = required_tagger() if config.detects and config.phrase == NOUN else None
    if candidates is not None and candidates.is_dir():
        candidates /= CANDIDATES_TABLE
    inputs = GroundInputs(index, model, candidates, objects, tagger)
    inputs.check(config)
    if not config.detects:
        return inputs
    from stages.core.index.index import Index

    commit = fetched_commit(
        config.model,
        lambda: Index.open(index).require_frames(),
        option=MODEL_OPTION,
        progress=progress,
        check=require_detector,
    )
    return replace(inputs, revision=commit)


def required_tagger() -> str:
    """Name and version of the tagger.

    Raises:
        MissingInput: none is installed.
    """
    found = tagger_version()
    if found is None:
        raise MissingInput(
            f"no tagger is installed: {NOUN} needs the package {TAGGER_PACKAGE}",
            where="--phrase",
            hint=f"{INSTALL_TAGGER}, or search for the whole sentence",
        )
    return found
