"""Which layout a folder has, and its reader."""

from __future__ import annotations

from pathlib import Path

from schemas.errors import MissingInput
from stages.core.datasets.davis import LAYOUT as DAVIS
from stages.core.datasets.davis import DavisSplit, is_davis
from stages.core.datasets.faults import Faults, strict
from stages.core.datasets.mevis import LAYOUT as MEVIS
from stages.core.datasets.mevis import MevisSplit, is_mevis
from stages.core.datasets.plain import LAYOUT as PLAIN
from stages.core.datasets.plain import PlainFolder, is_plain
from stages.core.datasets.records import Dataset
from stages.core.datasets.youtube_vos import LAYOUT as YOUTUBE_VOS
from stages.core.datasets.youtube_vos import META_FOLDER, YoutubeVosSplit, is_youtube_vos

_LOOKS_LIKE = {
    MEVIS: is_mevis,
    DAVIS: is_davis,
    PLAIN: is_plain,
    YOUTUBE_VOS: is_youtube_vos,
}


def detect_layout(root: Path) -> str | None:
    """The layout that a folder looks like, None if none."""
    return next((name for name, looks_like in _LOOKS_LIKE.items() if looks_like(root)), None)


def splits_of(root: Path) -> list[str]:
    """Names of the folders in `root` that each look like a data set."""
    folders = [path.name for path in sorted(root.iterdir()) if path.is_dir()]
    return [name for name in folders if name != META_FOLDER and detect_layout(root / name)]


def open_dataset(
    root: Path,
    *,
    layout: str | None = None,
    split: str | None = None,
    frames: Path | None = None,
    faults: Faults = strict,
) -> Dataset:
    """The reader of a data set.

    Args:
        layout: one of mevis, ref-youtube-vos, ref-davis17, folder; None finds out.
        split: for a folder that holds several.
        frames: an artifact of extract-frames, for a plain folder without pictures of its own.
        faults: what happens at a fault inside; strict raises.

    Raises:
        MissingInput: no such folder, or none of a known layout.
        ConfigError: the folder holds several splits and none is named.
    """
    if not root.is_dir():
        raise MissingInput("no such folder", where=root)
    folder = _split_folder(root, split)
    kind = layout or detect_layout(folder)
    if kind == MEVIS:
        return MevisSplit(folder, faults)
    if kind == YOUTUBE_VOS:
        return YoutubeVosSplit(folder, faults)
    if kind == DAVIS:
        return DavisSplit(root, split, faults)
    if kind == PLAIN:
        return PlainFolder(folder, frames, faults)
    raise MissingInput("holds no data set of a known layout", where=root, hint=_advice(root))


def _split_folder(root: Path, split: str | None) -> Path:
    """`root/split` where that is a folder; a data set of one split is its own folder."""
    inside = root / split if split else root
    return inside if inside.is_dir() else root


def _advice(root: Path) -> str:
    inner = splits_of(root)
    if inner:
        return f"name a split: --split {' or '.join(inner)}"
    return "name the folder of one split, see docs/data.md for what it must hold"
