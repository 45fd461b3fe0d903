"""Frames as extract-frames leaves them."""

from layout_minis import frames_artifact  # noqa: F401 (a fixture for every test here)
