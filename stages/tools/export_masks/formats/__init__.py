"""Formats of masks by name, each in a module of its own."""

from __future__ import annotations

FORMATS = {
    "coco": "coco",
    "ytvis": "youtube_vis",
    "davis-palette": "davis_palette",
    "cvat": "cvat",
    "yolo": "yolo",
    "png-per-object": "png_per_object",
}
"""Module of each format."""
FORMAT_NAMES = tuple(FORMATS)
