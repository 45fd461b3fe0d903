"""The servers that take submissions, and where they want the videos in the zip."""

from __future__ import annotations

MEVIS = "mevis"
REF_YOUTUBE_VOS = "ref-youtube-vos"

# What stands before VIDEO/EXPRESSION/FRAME.png in the zip.
PREFIXES = {MEVIS: "", REF_YOUTUBE_VOS: "Annotations/"}
