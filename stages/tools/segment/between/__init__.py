"""Tracking every N-th frame only, and the masks of the frames between."""
