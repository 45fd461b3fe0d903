"""The receipt of a run: what made an artifact, from what, and what it is made of.

It is `receipt.json` in the folder of the artifact; the footer of every table repeats stage and
config, so that a table taken out of its folder still says what made it. Its fingerprint is the
SHA-256 of the canonical JSON of stage, stage version, config and input digests; paths and devices
are not part of it, so an artifact stays valid when a project moves.
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
"""Types of what is read of a receipt without another look."""


@dataclass(frozen=True)
class Receipt:
    """What stands in `receipt.json`.

    Attributes:
        inputs: a digest (hex SHA-256) for each input by name.
        counts: what was done and what was dropped, as the summary shows it.
        failures: one line for each input that failed while others went on; such an artifact is
            never skipped.
        outputs: the files that must still be there for the artifact to count as intact.
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
    format: str = field(default=FORMAT)
    version: int = field(default=VERSION)

    @property
    def complete(self) -> bool:
        """Whether every input was worked."""
        return not self.failures


def canonical_json(value: object) -> str:
    """The one spelling of a JSON value: sorted keys, no blanks, no NaN.

    Raises:
        ValueError: the value holds NaN or infinity.
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
    """What made an artifact, as the footer of each of its tables holds it.

    Of the receipt only what no time and no place can change, so that the same data give the same
    bytes on every machine; digests of foreign folders go by times of change. The receipt lists the
    SHA-256 of every table, by which the two are found together again.
    """
    return canonical_json({"stage": stage, "stage_version": version, "config": config, "tgl": tgl})


def write_receipt(folder: Path, receipt: Receipt) -> None:
    """Write `receipt.json`; the last file that a run writes."""
    document = asdict(receipt)
    document["failures"] = list(receipt.failures)
    write_text_atomic(folder / RECEIPT_FILE, json.dumps(document, indent=1) + "\n")


def read_receipt(folder: Path) -> Receipt | None:
    """The receipt of an artifact; None where the folder has none.

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
        raise CorruptInput("is not a receipt of tgl", where=path)
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
        raise CorruptInput(f"the receipt holds another type than expected in {named}", where=path)
    return receipt


def finite_counts(counts: Mapping[str, int | float]) -> dict[str, int | float]:
    """Counts as JSON can hold them: a value that is not finite is left out."""
    return {k: v for k, v in counts.items() if math.isfinite(v)}
