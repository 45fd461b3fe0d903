"""The stage precompute-text: distinct sentences, sorted by length into batches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from schemas.errors import CorruptInput
from schemas.layouts import EXPRESSIONS_TABLE, TEXTS_TABLE
from schemas.parquet import read_table, rows_of
from schemas.tables import EXPRESSIONS, TEXTS
from stages.engine.hub import require_model
from stages.engine.progress import Progress
from stages.engine.runtime import Runtime
from stages.engine.stage import Result, Stage
from stages.engine.workspace import Workspace
from stages.precompute_text.config import ENCODER_OPTION, HASH_ENCODER, TextConfig, TextInputs
from stages.precompute_text.encoding import Encoded, Encoder
from stages.precompute_text.hashing import HashEncoder
from stages.precompute_text.motion_words import SOURCE, motion_mask

# Padded tokens of one batch: enough to fill a GPU, little enough for a laptop.
_TOKENS_PER_BATCH = 4096
_ID_DIGITS = 16


def run(
    config: TextConfig,
    inputs: TextInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Encode the index's sentences; see :func:`stages.engine.execute.execute`."""
    path = inputs.index / EXPRESSIONS_TABLE
    column = read_table(path, EXPRESSIONS, columns=["expression"]).column("expression")
    sentences = sorted(set(column.to_pylist()))
    if not sentences:
        raise CorruptInput("holds no sentence", where=path)
    encoder = _encoder(config, runtime)
    rows = []
    with progress.task("precompute-text", len(sentences), "sentence") as task:
        for batch in _batches(sentences, encoder.lengths(sentences)):
            encoded = encoder.encode(batch)
            rows += [_row(s, e, encoder.dim) for s, e in zip(batch, encoded, strict=True)]
            task.advance(len(batch))
    rows.sort(key=lambda row: str(row["text_id"]))
    out.write_table(TEXTS_TABLE, rows_of(rows, TEXTS), TEXTS)
    return Result(
        {
            "expressions": len(column),
            "distinct sentences": len(sentences),
            "width": encoder.dim,
            "cut to max-tokens": sum(bool(row["cut"]) for row in rows),
            f"with a motion word ({SOURCE})": sum(any(row["motion"]) for row in rows),
        }
    )


STAGE = Stage("precompute-text", 1, TextConfig, TextInputs, run)


def _encoder(config: TextConfig, runtime: Runtime) -> Encoder:
    if config.encoder == HASH_ENCODER:
        return HashEncoder(config.dim, config.max_tokens, config.pooling)
    # Asked before torch is loaded: whoever is offline should read so at once.
    require_model(config.encoder, option=ENCODER_OPTION)
    from stages.precompute_text.transformer import TransformerEncoder

    return TransformerEncoder(config.encoder, config.max_tokens, config.pooling, runtime)


def _batches(sentences: Sequence[str], lengths: Sequence[int]) -> Iterator[list[str]]:
    """Sentences of like length together, so that little of a batch is padding."""
    order = sorted(range(len(sentences)), key=lambda i: (lengths[i], sentences[i]))
    batch: list[str] = []
    for i in order:
        # Ascending lengths: the newest sentence is the batch's longest.
        if batch and (len(batch) + 1) * lengths[i] > _TOKENS_PER_BATCH:
            yield batch
            batch = []
        batch.append(sentences[i])
    if batch:
        yield batch


def _row(sentence: str, encoded: Encoded, dim: int) -> dict[str, Any]:
    return {
        "text_id": hashlib.sha256(sentence.encode()).hexdigest()[:_ID_DIGITS],
        "expression": sentence,
        "tokens": list(encoded.tokens),
        "embeddings": _half(encoded.vectors, sentence).ravel(),
        "dim": dim,
        "pooled": _half(encoded.pooled, sentence),
        "motion": motion_mask(sentence, encoded),
        "cut": encoded.cut,
    }


def _half(values: np.ndarray, sentence: str) -> np.ndarray:
    """`values` as they are stored.

    Raises:
        CorruptInput: the encoder gave a number that is not finite in float16.
    """
    with np.errstate(over="ignore"):
        stored = values.astype(np.float16)
    if not np.isfinite(stored).all():
        raise CorruptInput(
            f"the encoder gives {np.abs(values).max():g}, which float16 cannot hold",
            where=repr(sentence),
            hint="choose another --encoder, or --precision fp32",
        )
    return stored
