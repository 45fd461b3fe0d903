"""Masks packed into 64-bit words: decoding, boundaries and counts."""
