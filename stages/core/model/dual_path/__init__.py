"""Dual-path propagation: tracks, their memory banks, and the segmenter that runs them."""
