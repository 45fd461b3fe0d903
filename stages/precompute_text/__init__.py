"""precompute-text: every distinct sentence is encoded once."""
