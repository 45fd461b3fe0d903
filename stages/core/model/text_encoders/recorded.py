"""The text encoder that a checkpoint of tgl names, from its config.json alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.documents import load_object
from schemas.errors import MissingInput
from stages.core.model.loading.families import CHECKPOINT, model_kind
from stages.core.model.loading.names import MODEL_CONFIG

HASH_ENCODER = "hash"
ENCODER_OPTION = "--encoder"
DEFAULT_POOLING = "mean"
MAX_TOKENS = 64
"""Tokens kept per sentence unless the user says otherwise; a checkpoint does not record it."""
_UNKNOWN = "unknown"
_POOLING = " pooling"


@dataclass(frozen=True)
class RecordedEncoder:
    """The encoder that a checkpoint was trained with.

    Attributes:
        name: a folder, a hub id, or HASH_ENCODER; None if the checkpoint does not name it.
        pooling: of its tokens; None if it is not known.
        dim: D, its width.
    """

    name: str | None
    pooling: str | None
    dim: int

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> RecordedEncoder:
        """Read the content of a checkpoint's config.json, which ``read_document`` has checked."""
        text = document["text"]
        name, _, pooling = text["encoder"].rpartition(", ")
        pooling = pooling.removesuffix(_POOLING)
        return cls(
            None if name in ("", _UNKNOWN) else name,
            None if pooling in ("", _UNKNOWN) else pooling,
            text["dim"],
        )

    @classmethod
    def read(cls, folder: Path) -> RecordedEncoder | None:
        """The encoder of a folder; None unless it is a whole checkpoint, which loading reports.

        Raises:
            CorruptInput: config.json is no JSON object.
        """
        if not (folder / MODEL_CONFIG).is_file() or model_kind(folder) != CHECKPOINT:
            return None
        document = load_object(folder / MODEL_CONFIG)
        text = document.get("text")
        if not isinstance(text, Mapping) or "dim" not in text:
            return None
        return cls.of(document) if isinstance(text.get("encoder"), str) else None

    def require_name(self, checkpoint: Path, hint: str) -> str:
        """The encoder's name.

        Args:
            checkpoint: for the message.
            hint: what to do without it.

        Raises:
            MissingInput: the checkpoint does not name it.
        """
        if self.name is None:
            what = "does not name the text encoder it was trained with"
            raise MissingInput(what, where=checkpoint, hint=hint)
        return self.name
