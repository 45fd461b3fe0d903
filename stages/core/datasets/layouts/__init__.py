"""Data sets as others lay them out, one file per layout; see :mod:`.registry`.

A layout is added by its file and a line here. The names that options offer load nothing.
"""

READERS = {
    "mevis": "mevis.MevisSplit",
    "ref-youtube-vos": "youtube_vos.YoutubeVosSplit",
    "ref-davis17": "davis.DavisSplit",
    "folder": "plain.PlainFolder",
    "refcoco": "refcoco.RefcocoRefs",
    "refcoco-json": "refcoco_json.RefcocoJson",
}
"""Module and class of each layout's reader; the first layout that a folder looks like is taken."""
LAYOUT_NAMES = tuple(READERS)
