"""Settings and inputs of precompute-text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.layouts import EXPRESSIONS_TABLE
from stages.engine.digest import file_digest, tree_digest
from stages.engine.hub import local_folder
from stages.engine.settings import Settings, setting

HASH_ENCODER = "hash"
ENCODER_OPTION = "--encoder"


@dataclass(frozen=True)
class TextConfig(Settings):
    """Which encoder reads the sentences, and how much of it is kept."""

    encoder: str = setting(
        HASH_ENCODER,
        "A local folder or a hub id of a transformers text encoder (roberta-base, a CLIP text "
        "model, ...), or hash: fixed vectors of words, no download, for trials.",
    )
    pooling: str = setting(
        "mean",
        "How token vectors become the sentence's: their mean, or the first token.",
        choices=("mean", "first"),
    )
    max_tokens: int = setting(
        64, "Tokens kept of a sentence, special ones included; the rest is cut.", low=2, high=4096
    )
    dim: int = setting(128, "Width of the vectors of --encoder hash.", low=8, high=4096)


@dataclass(frozen=True)
class TextInputs:
    """An index, for its expressions, and the encoder's folder where it is local."""

    index: Path
    encoder: Path | None = None

    def digests(self) -> dict[str, str]:
        """Digest of the expressions table and of the encoder's files."""
        found = {"expressions": file_digest(self.index / EXPRESSIONS_TABLE)}
        if self.encoder is not None:
            found["encoder"] = tree_digest(self.encoder)
        return found


def local_encoder(encoder: str) -> Path | None:
    """The encoder as a folder, None for `hash` and for hub ids."""
    return None if encoder == HASH_ENCODER else local_folder(encoder)
