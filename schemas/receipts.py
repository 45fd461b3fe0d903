"""The receipt of a run: stage, settings and inputs of an artifact, and its files.

It is `receipt.json` in the folder of the artifact; the footer of every table repeats stage and
config, so that a table outside its folder still shows its origin. The fingerprint is the SHA-256 of
the canonical JSON of stage, stage version, config and input digests; paths and devices are not part
of it, so an artifact stays valid when a project moves.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from schemas.directories import Listing, write_text_atomic
from schemas.documents import load_object
from schemas.errors import CorruptInput, MissingInput, SchemaMismatch
from schemas.layouts import RECEIPT_FILE

FORMAT = "tgl-receipt"
VERSION = 1
_KINDS: dict[str, type] = {
    **dict.fromkeys(("stage", "fingerprint"), str),
    **dict.fromkeys(("config", "inputs", "counts"), Mapping),
}
"""Types of fields that readers rely on."""


@dataclass(frozen=True)
class Receipt:
    """The content of `receipt.json`.

    Attributes:
        inputs: a digest (hex SHA-256) for each input by name.
        counts: of results and of what was dropped, as in the summary.
        failures: one line for each input that failed while others went on; such an artifact is
            never skipped.
        outputs: the files of an intact artifact.
        threads: number of threads of torch, if it can change last digits; in a resumed run, of the
            last process.
        precision: of the network: fp32, bf16, or auto, each machine of a cluster its own; None
            without a network.
    """

    stage: str
    stage_version: int
    config: Mapping[str, Any]
    inputs: Mapping[str, str]
    fingerprint: str
    counts: Mapping[str, int | float]
    outputs: Listing
    failures: tuple[str, ...] = ()
    tgl: str = ""
    threads: int | None = None
    precision: str | None = None
    format: str = field(default=FORMAT)
    version: int = field(default=VERSION)

    @property
    def complete(self) -> bool:
        """Whether no input failed."""
        return not self.failures


def canonical_json(value: object) -> str:
    """Format a JSON value in the one canonical way: sorted keys, no blanks, no NaN.

    Raises:
        ValueError: the value contains NaN or infinity.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def fingerprint(
    stage: str, version: int, config: Mapping[str, Any], inputs: Mapping[str, str]
) -> str:
    """The hex SHA-256 that decides whether an artifact is up to date."""
    parts = {"stage": stage, "version": version, "config": config, "inputs": inputs}
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def origin_text(stage: str, version: int, config: Mapping[str, Any], tgl: str) -> str:
    """The origin of an artifact for the footers of its tables.

    It has only the parts of the receipt that do not depend on time and place, so that the same data
    give the same bytes on every machine (digests of foreign folders depend on file times). The
    receipt lists the SHA-256 of every table, which links the two.
    """
    return canonical_json({"stage": stage, "stage_version": version, "config": config, "tgl": tgl})


def write_receipt(folder: Path, receipt: Receipt) -> None:
    """Write `receipt.json`; the last file that a run writes."""
    document = asdict(receipt)
    document["failures"] = list(receipt.failures)
    for name in ("threads", "precision"):
        if document[name] is None:
            del document[name]
    write_text_atomic(folder / RECEIPT_FILE, json.dumps(document, indent=1) + "\n")


def read_receipt(folder: Path) -> Receipt | None:
    """Read the receipt of an artifact; None if the folder has none.

    Raises:
        CorruptInput: the file is not a receipt.
        SchemaMismatch: written by another version of the format.
    """
    path = folder / RECEIPT_FILE
    try:
        document = load_object(path)
    except MissingInput:
        return None
    if document.get("format") != FORMAT:
        raise CorruptInput("is not a tgl receipt", where=path)
    if document.get("version") != VERSION:
        raise SchemaMismatch(
            f"receipt of version {document.get('version')}, this tgl reads {VERSION}", where=path
        )
    try:
        document["outputs"] = Listing(**document["outputs"])
        document["failures"] = tuple(document["failures"])
        receipt = Receipt(**document)
    except (KeyError, TypeError) as error:
        raise CorruptInput(f"the receipt lacks or adds a field ({error})", where=path) from error
    wrong = [name for name, kind in _KINDS.items() if not isinstance(getattr(receipt, name), kind)]
    outputs = receipt.outputs
    if wrong or not isinstance(outputs.tables, dict) or not isinstance(outputs.files, int):
        named = ", ".join(wrong or ["outputs"])
        raise CorruptInput(f"the receipt has a wrong type in {named}", where=path)
    return receipt


def finite_counts(counts: Mapping[str, int | float]) -> dict[str, int | float]:
    """Leave out counts that are not finite, which JSON does not allow."""
    return {k: v for k, v in counts.items() if math.isfinite(v)}
