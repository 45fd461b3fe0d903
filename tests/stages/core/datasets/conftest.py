"""Miniatures of the layouts beside MeViS, and frames as extract-frames leaves them."""

from layout_minis import davis, frames_artifact, plain, youtube  # noqa: F401 (fixtures for all tests)
from refcoco_mini import refcoco  # noqa: F401
