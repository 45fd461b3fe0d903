"""Moments in the formats of other tools, one file per format; see :mod:`.registry`.

The names that options offer stand here, where they load nothing.
"""

FORMAT_NAMES = (
    *("tgl", "parquet", "csv", "qvhighlights", "charades-sta"),
    *("label-studio", "cvat", "via", "elan"),
)
REFUSE, OUTWARD, NEAREST = ROUNDINGS = ("refuse", "outward", "nearest")
"""What happens to a time between two frames."""
