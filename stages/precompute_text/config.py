"""Settings and inputs of precompute-text."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from schemas.errors import MissingInput
from schemas.layouts import EXPRESSIONS_TABLE
from stages.core.engine.digest import file_digest, require_files, text_digest, tree_digest
from stages.core.engine.progress import Progress
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs
from stages.core.language.tagging import INSTALL_TAGGER, TAGGER_PACKAGE, tagger_version
from stages.core.model.loading.hub import fetched_commit, local_folder
from stages.core.model.text_encoders.recorded import (
    DEFAULT_POOLING,
    ENCODER_OPTION,
    HASH_ENCODER,
    MAX_TOKENS,
)

FP16, BF16 = "fp16", "bf16"
AUTO, LIST, TAGGER = "auto", "list", "tagger"


@dataclass(frozen=True)
class TextConfig(Settings):
    """The text encoder, and the form in which its vectors are stored."""

    encoder: str = setting(
        HASH_ENCODER,
        "Text encoder: a local folder or hub id (roberta-base, a CLIP text model, ...), or "
        "hash: fixed word vectors, no download.",
        panel="Encoder",
    )
    pooling: str = setting(
        DEFAULT_POOLING,
        "Embedding of a sentence: the mean of its tokens, or the first token.",
        choices=("mean", "first"),
    )
    max_tokens: int = setting(
        MAX_TOKENS,
        "Tokens kept per sentence, including special ones; the rest is cut.",
        low=2,
        high=4096,
    )
    storage: str = setting(
        FP16,
        "Number format of the table: fp16, or bf16 (full range in 8 bits of precision, stored "
        "as uint16).",
        choices=(FP16, BF16),
        omit_default=True,
    )
    motion_words: str = setting(
        AUTO,
        "Find motion words by tgl's list of verbs, or also by textblob's tagger; auto uses "
        "the tagger if it is installed.",
        choices=(AUTO, LIST, TAGGER),
        omit_default=True,
    )
    dim: int = setting(128, "Width of the vectors of --encoder hash.", low=8, high=4096)


@dataclass(frozen=True)
class TextInputs(Inputs):
    """Inputs of `tgl precompute-text`.

    Attributes:
        index: for its expressions.
        encoder: its folder, if it is local.
        tagger: name and version of the tagger, None for the list alone; see
            :func:`installed_tagger`.
        revision: commit of the encoder where it is from the hub.
    """

    index: Path
    encoder: Path | None = None
    tagger: str | None = None
    revision: str | None = None

    def digests(self) -> dict[str, str]:
        """Digest of the expressions table and of the encoder's files."""
        hint = "make one with tgl build-moments"
        require_files(self.index, [EXPRESSIONS_TABLE], what="index", hint=hint)
        found = {"expressions": file_digest(self.index / EXPRESSIONS_TABLE)}
        if self.encoder is not None:
            found["encoder"] = tree_digest(self.encoder)
        if self.tagger is not None:
            found["tagger"] = text_digest(self.tagger)
        if self.revision is not None:
            found["revision"] = self.revision
        return found


def local_encoder(encoder: str) -> Path | None:
    """The folder of an encoder, None for `hash` and for hub ids."""
    return None if encoder == HASH_ENCODER else local_folder(encoder)


def text_inputs(
    index: Path, config: TextConfig, progress: Progress, *, tagger: str | None = None
) -> TextInputs:
    """The inputs of these settings; an encoder of the hub is fetched if it is missing.

    Args:
        tagger: see :func:`installed_tagger`.

    Raises:
        MissingInput: no such index, or the hub cannot be reached.
    """
    inputs = TextInputs(index, local_encoder(config.encoder), tagger)
    if config.encoder == HASH_ENCODER:
        return inputs
    commit = fetched_commit(
        config.encoder, inputs.digests, option=ENCODER_OPTION, progress=progress
    )
    return replace(inputs, revision=commit)


def installed_tagger(motion_words: str) -> str | None:
    """Name and version of the tagger for `--motion-words`, None for the list alone.

    Raises:
        MissingInput: a tagger is required, and none is installed.
    """
    if motion_words == LIST:
        return None
    found = tagger_version()
    if found is None and motion_words == TAGGER:
        raise MissingInput(
            f"no tagger is installed: {TAGGER} needs the package {TAGGER_PACKAGE}",
            where="--motion-words",
            hint=INSTALL_TAGGER,
        )
    return found
