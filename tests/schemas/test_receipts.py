"""Receipts: the fingerprint."""

from __future__ import annotations

from schemas.receipts import fingerprint


def test_the_fingerprint_is_pinned() -> None:
    """Another value here means that all artifacts of users are recomputed."""
    found = fingerprint("copy", 1, {"times": 1, "name": "ü"}, {"a": "00"})
    assert found == "699b3e6cc246dd8e36c07cf6c6b4cd3bf445d6db60d76b7c6f804663a8ccb9bf"
