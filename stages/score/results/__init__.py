"""Rows per frame and per expression, the summary, and the comparison of two runs."""
