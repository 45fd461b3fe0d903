"""Moments in the formats of other tools, one file per format; see :mod:`.registry`.

A format is added by its file and a line here. The names that options offer load nothing.
"""

FORMATS = {
    "tgl": "tgl_json.TGL",
    "parquet": "tables.PARQUET",
    "csv": "tables.CSV",
    "qvhighlights": "qvhighlights.QVHIGHLIGHTS",
    "charades-sta": "charades.CHARADES",
    "label-studio": "label_studio.LABEL_STUDIO",
    "cvat": "cvat.CVAT",
    "via": "via.VIA",
    "elan": "elan.ELAN",
}
"""Module and object of each format."""
FORMAT_NAMES = tuple(FORMATS)
REFUSE, OUTWARD, NEAREST = ROUNDINGS = ("refuse", "outward", "nearest")
"""Treatment of a time between two frames."""
