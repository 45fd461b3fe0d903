"""Masks as packed 64-bit rows: decoding, boundaries and counts."""
