"""Per-frame and per-expression rows, the summary, and the comparison of two runs."""
