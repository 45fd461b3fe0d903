"""The stage precompute-text: encoding distinct sentences in batches of similar length."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from schemas.errors import CorruptInput, TglError
from schemas.layouts import EXPRESSIONS_TABLE, TEXTS_TABLE
from schemas.parquet import read_table, rows_of
from schemas.receipts import canonical_json
from schemas.tables import EXPRESSIONS, TEXTS, TEXTS_BF16
from stages.core.engine.digest import text_digest
from stages.core.engine.progress import Progress, Task
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result, Stage
from stages.core.engine.workers.devices import DeviceWorker, device_names, map_on_devices
from stages.core.engine.workspace import Workspace
from stages.core.index.bfloat16 import all_finite, to_bfloat16
from stages.core.model.text_encoders.encoding import Encoded, Encoder, batches
from stages.core.model.text_encoders.loading import load_encoder
from stages.core.model.text_encoders.motion_words import SOURCE, motion_mask
from stages.precompute_text.config import (
    BF16,
    FP16,
    TextConfig,
    TextInputs,
)
from stages.precompute_text.tagging import VerbTagger

_ID_DIGITS = 16
_NUMBERS = {FP16: "float16", BF16: "bfloat16"}


def run(
    config: TextConfig,
    inputs: TextInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Encode the index's sentences; see :func:`stages.core.engine.execute.execute`."""
    path = inputs.index / EXPRESSIONS_TABLE
    column = read_table(path, EXPRESSIONS, columns=["expression"]).column("expression")
    sentences = sorted(set(column.to_pylist()))
    if not sentences:
        raise CorruptInput("contains no sentences", where=path)
    alone = runtime.scheduler is None and len(device_names(runtime)) == 1
    # Elsewhere the network runs in other processes, and sentences are only measured here.
    encoder = _load(config, runtime if alone else replace(runtime, device="cpu"), progress)
    encoding = _Encoding(config, inputs, runtime, encoder if alone else None)
    tagger = None if inputs.tagger is None else VerbTagger()
    spec = TEXTS if config.storage == FP16 else TEXTS_BF16
    rows = []
    with progress.task("precompute-text", len(sentences), "sentence") as task:
        parts = batches(sentences, encoder.lengths(sentences))
        for batch, encoded in encoding.results(parts, progress, task):
            for sentence, found in zip(batch, encoded, strict=True):
                motion = motion_mask(sentence, found, tagger)
                rows.append(_row(sentence, found, motion, encoder.dim, config.storage))
    rows.sort(key=lambda row: str(row["text_id"]))
    out.write_table(TEXTS_TABLE, rows_of(rows, spec), spec)
    source = SOURCE if inputs.tagger is None else f"{SOURCE}, {inputs.tagger}"
    return Result(
        {
            "expressions": len(column),
            "distinct sentences": len(sentences),
            "width": encoder.dim,
            "cut to max-tokens": sum(bool(row["cut"]) for row in rows),
            f"with a motion word ({source})": sum(any(row["motion"]) for row in rows),
        }
    )


STAGE = Stage("precompute-text", 1, TextConfig, TextInputs, run, network=True)


@dataclass(frozen=True)
class _Batch:
    """Sentences to encode.

    Attributes:
        sentences: of similar length.
        config, runtime: of the run.
        digest: of the encoder.
    """

    sentences: Sequence[str]
    config: TextConfig
    runtime: Runtime
    digest: str


@dataclass(frozen=True)
class _Encoding:
    """Encodes batches on the devices of a run.

    Attributes:
        config, inputs, runtime: of the run.
        encoder: of this process; None if other processes encode.
    """

    config: TextConfig
    inputs: TextInputs
    runtime: Runtime
    encoder: Encoder | None

    def results(
        self, parts: Iterable[Sequence[str]], progress: Progress, task: Task
    ) -> Iterator[tuple[Sequence[str], Sequence[Encoded]]]:
        """Yield batches with their vectors as they finish.

        Raises:
            TglError: the encoder cannot be loaded or used.
        """
        config, folder = self.config, self.inputs.encoder
        if self.runtime.scheduler is not None and folder is not None:
            config = replace(config, encoder=str(folder.absolute()))
        # Needed by a worker of a cluster, which may still have the encoder of another run.
        digest = "" if self.encoder else text_digest(canonical_json(self.inputs.digests()))
        for batch, found in map_on_devices(
            partial(_encode, encoder=self.encoder),
            [_Batch(part, config, self.runtime, digest) for part in parts],
            runtime=self.runtime,
            progress=progress,
            task=task,
            units=lambda batch: len(batch.sentences),
        ):
            if isinstance(found, TglError):
                raise found  # of the encoder, so the same for every batch
            yield batch.sentences, found


def _encode(batch: _Batch, worker: DeviceWorker, *, encoder: Encoder | None) -> list[Encoded]:
    if encoder is None:
        runtime = replace(batch.runtime, device=worker.device)
        key = (batch.config, runtime.precision, batch.digest)
        encoder = worker.keep("encoder", key, lambda: _load(batch.config, runtime))
    return encoder.encode(batch.sentences)


def _load(config: TextConfig, runtime: Runtime, progress: Progress | None = None) -> Encoder:
    return load_encoder(
        config.encoder,
        pooling=config.pooling,
        max_tokens=config.max_tokens,
        dim=config.dim,
        runtime=runtime,
        progress=progress,
    )


def _row(
    sentence: str, encoded: Encoded, motion: list[bool], dim: int, storage: str
) -> dict[str, Any]:
    return {
        "text_id": hashlib.sha256(sentence.encode()).hexdigest()[:_ID_DIGITS],
        "expression": sentence,
        "tokens": list(encoded.tokens),
        "embeddings": _stored(encoded.vectors, storage, sentence).ravel(),
        "dim": dim,
        "pooled": _stored(encoded.pooled, storage, sentence),
        "motion": motion,
        "cut": encoded.cut,
    }


def _stored(values: np.ndarray, storage: str, sentence: str) -> np.ndarray:
    """Convert `values` to float16, or to the bits of bfloat16.

    Raises:
        CorruptInput: a value is not finite in this format.
    """
    if storage == BF16:
        stored = to_bfloat16(values)
        finite = all_finite(stored)
    else:
        with np.errstate(over="ignore"):
            stored = values.astype(np.float16)
        finite = bool(np.isfinite(stored).all())
    if not finite:
        other = "--storage bf16, " if storage == FP16 else ""
        raise CorruptInput(
            f"the encoder returns {np.abs(values).max():g}, which is not finite as "
            f"{_NUMBERS[storage]}",
            where=repr(sentence),
            hint=f"choose {other}another --encoder, or --precision fp32",
        )
    return stored
