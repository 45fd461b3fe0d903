"""A split of two videos, and predictions of it."""

from submission_mini import split  # noqa: F401 (a fixture for every test here)
