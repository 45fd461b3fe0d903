"""Receipts: the fingerprint, and fields that older ones do not have."""

from __future__ import annotations

import json
from pathlib import Path

from schemas.directories import Listing
from schemas.receipts import Receipt, fingerprint, read_receipt, write_receipt

LISTING = Listing(files=1, bytes=3, names="0" * 64, tables={"a.parquet": "1" * 64})
RECEIPT = Receipt("train", 1, {"steps": 4}, {"index": "2" * 64}, "3" * 64, {"videos": 2}, LISTING)


def test_the_fingerprint_is_pinned() -> None:
    """Another value here means that all artifacts of users are recomputed."""
    found = fingerprint("copy", 1, {"times": 1, "name": "ü"}, {"a": "00"})
    assert found == "699b3e6cc246dd8e36c07cf6c6b4cd3bf445d6db60d76b7c6f804663a8ccb9bf"


def test_threads_and_precision_come_back(tmp_path: Path) -> None:
    made = Receipt(**vars(RECEIPT) | {"threads": 4, "precision": "bf16"})
    write_receipt(tmp_path, made)
    assert read_receipt(tmp_path) == made


def test_a_receipt_without_them_is_as_it_was_before_they_were_recorded(tmp_path: Path) -> None:
    write_receipt(tmp_path, RECEIPT)
    assert not {"threads", "precision"} & set(json.loads((tmp_path / "receipt.json").read_text()))
    assert read_receipt(tmp_path) == RECEIPT
