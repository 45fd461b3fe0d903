"""The servers that take submissions, each with the folder of the videos in its zip."""

from __future__ import annotations

MEVIS = "mevis"
PREFIXES = {MEVIS: "", "ref-youtube-vos": "Annotations/"}
"""Path before VIDEO/EXPRESSION/FRAME.png in the zip, by server."""
SERVER_NAMES = tuple(PREFIXES)
