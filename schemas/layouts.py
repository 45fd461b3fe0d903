"""File names of every artifact, path templates, and checks of names from data."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from schemas.errors import UnsafeName
from schemas.wording import amount

FRAMES_FOLDER = "JPEGImages"
FRAMES_TABLE = "frames.parquet"

VIDEOS_TABLE = "videos.parquet"
EXPRESSIONS_TABLE = "expressions.parquet"
MOMENTS_TABLE = "moments.parquet"
MASKS_TABLE = "masks.parquet"
INDEX_TABLES = (VIDEOS_TABLE, EXPRESSIONS_TABLE, MOMENTS_TABLE, MASKS_TABLE)

TEXTS_TABLE = "texts.parquet"

WEIGHTS_FILE = "model.safetensors"
CHECKPOINT_CONFIG = "config.json"
MODEL_CARD = "README.md"
HISTORY_TABLE = "history.parquet"
BEST_FOLDER = "best"
"""The folder of the checkpoint with the best validation, in a checkpoint."""

CANDIDATES_TABLE = "candidates.parquet"
TRACKS_TABLE = "tracks.parquet"

FEATURES_FOLDER = "features"
"""The folder of what an image encoder made of frames, beside their candidates."""
FEATURES_FILE = "features.json"
FEATURES_SUFFIX = ".safetensors"

OBJECTS_TABLE = "objects.parquet"
OBJECTS_FOLDER = "ObjectMasks"
"""The folder of single objects' masks, beside the folders of the videos."""

PROPAGATION_TABLE = "propagation.parquet"
MASK_SUFFIX = ".png"

SCORES_TABLE = "scores.parquet"
SCORE_FRAMES_TABLE = "frames.parquet"
SUMMARY_FILE = "summary.json"
REPORT_FILE = "report.html"

ANNOTATIONS_TABLE = "annotations.parquet"
ANNOTATION_LOG = "log.jsonl"
"""The actions of an annotator, in the order in which they were made."""

RECEIPT_FILE = "receipt.json"

MEVIS_EXPRESSIONS = "meta_expressions.json"
MEVIS_EXPRESSIONS_V2 = "meta_expressions_text_release.json"
MEVIS_MASKS = "mask_dict.json"
MOMENTS_FILE = "moments.json"

_LONGEST_NAME = 200
_PARQUET = b"PAR1"
_VIDEO_SUFFIX = re.compile(
    r"\.(3gp|asf|avi|flv|gif|m2ts|m4v|mkv|mov|mp4|mpe?g|mts|mxf|ogv|ts|webm|wmv|y4m)",
    re.IGNORECASE,
)
_PLAIN_NAME = re.compile(rf"[0-9A-Za-z_-]{{1,{_LONGEST_NAME}}}")
_WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def safe_name(text: object, *, where: object) -> str:
    """Return `text` if it can be the name of a file or folder on every system.

    Raises:
        UnsafeName: it is empty, too long, `.` or `..`, a Windows device name, or contains a
            separator or a control character.
    """
    name = str(text)
    if _PLAIN_NAME.fullmatch(name) and not _WINDOWS_DEVICES.fullmatch(name):
        return name  # as nearly all of the many frames of a data set
    reason = None
    if not name or name.strip() != name:
        reason = "is empty or has blanks at its ends"
    elif len(name.encode("utf-8", "surrogatepass")) > _LONGEST_NAME:
        reason = f"is longer than {_LONGEST_NAME} bytes"
    elif name.startswith(".") or name.endswith("."):
        reason = "begins or ends with a dot"
    elif any(char in '/\\:*?"<>|' or not char.isprintable() for char in name):
        reason = "contains a path separator or a character that file systems refuse"
    elif _WINDOWS_DEVICES.fullmatch(name):
        reason = "is a device name on Windows"
    if reason:
        shown = name if len(name) <= _LONGEST_NAME else name[:40] + "..."
        raise UnsafeName(
            f"the name {shown!r} {reason}", where=where, hint="rename it in the data set"
        )
    return name


def looks_like_parquet(path: Path) -> bool:
    """Return whether a file claims to be Parquet, by its first bytes or its name."""
    with path.open("rb") as file:
        return file.read(len(_PARQUET)) == _PARQUET or path.suffix == ".parquet"


def looks_like_video(path: Path) -> bool:
    """Return whether a file has the name of a video, by its suffix."""
    return _VIDEO_SUFFIX.fullmatch(path.suffix) is not None


# Files and folders of artifacts beside the folders of their videos.
_TOP_LEVEL = frozenset(
    (
        *(FRAMES_FOLDER, FRAMES_TABLE, *INDEX_TABLES, TEXTS_TABLE, PROPAGATION_TABLE),
        *(WEIGHTS_FILE, CHECKPOINT_CONFIG, HISTORY_TABLE, OBJECTS_TABLE, OBJECTS_FOLDER),
        *(SCORES_TABLE, SUMMARY_FILE, REPORT_FILE, RECEIPT_FILE),
    )
)
_RESERVED = frozenset(name.casefold() for name in _TOP_LEVEL)


def video_name(text: object, *, where: object) -> str:
    """Return `text` if it can be a video's id, the name of its folder in every artifact.

    Raises:
        UnsafeName: as :func:`safe_name`, or artifacts have a file with this name.
    """
    name = safe_name(text, where=where)
    if name.casefold() in _RESERVED:  # macOS and Windows ignore case
        raise UnsafeName(
            f"a video cannot be called {name!r}, which is a file or folder of tgl's outputs",
            where=where,
            hint="rename the video",
        )
    return name


_DIGITS = re.compile(r"(\d+)")


def natural_key(name: str) -> tuple[tuple[str, int, str], ...]:
    """Sort key for names by the values of their numbers: f1, f2, f10.

    Names that differ only in leading zeros are ordered as text.
    """
    parts = _DIGITS.split(name)  # alternately text and digits
    texts, digits = parts[::2], [*parts[1::2], ""]
    return tuple(
        (text, int(number) if number else -1, number)
        for text, number in zip(texts, digits, strict=True)
    )


def orders_differ(names: Sequence[str]) -> bool:
    """Return whether names sorted by :func:`natural_key` have another order as text."""
    return sorted(names) != list(names)


def natural_order_warning(names: Sequence[str]) -> str:
    """The warning that frames are ordered by number; `names` are in that order."""
    return (
        f"frames are ordered by the numbers in their names, {names[0]} to {names[-1]}, not as text"
    )


def number_gaps(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the neighbours between which frames are missing, by the numbers in their names.

    Numbers may go up by any step that most of them share. Names in which several numbers change, or
    without such a step (time stamps), tell nothing.

    Args:
        names: sorted by :func:`natural_key`.
    """
    keys = [natural_key(name) for name in names]
    if len({tuple(text for text, _, _ in key) for key in keys}) != 1:
        return []
    columns = [[key[part][1] for key in keys] for part in range(len(keys[0]))]
    changing = [column for column in columns if len(set(column)) > 1]
    if len(changing) != 1:
        return []
    steps = [after - before for before, after in pairwise(changing[0])]
    counted = Counter(step for step in steps if step > 0)
    if not counted:
        return []
    step = max(counted, key=lambda step: (counted[step], -step))
    if 2 * counted[step] < len(steps):
        return []
    return [pair for pair, own in zip(pairwise(names), steps, strict=True) if own > step]


def order_warnings(names: Sequence[str]) -> tuple[str, ...]:
    """The warnings about frames of a folder, whose names are sorted by :func:`natural_key`."""
    found = (natural_order_warning(names),) if orders_differ(names) else ()
    gaps = number_gaps(names)
    if not gaps:
        return found
    before, after = gaps[0]
    return (
        *found,
        f"{amount(len(gaps), 'gaps')} in the frame numbers, first from {before} to {after}; such "
        "frames follow each other",
    )


def frame_path(root: Path, video_id: str, name: str, suffix: str = ".jpg") -> Path:
    """The path of a frame of extract-frames: `root/JPEGImages/<video>/<name>.jpg`."""
    return root / FRAMES_FOLDER / video_id / f"{name}{suffix}"


def mask_path(root: Path, video_id: str, expression_id: str, name: str) -> Path:
    """The path of a mask of propagate: `root/<video>/<expression id>/<frame name>.png`."""
    return root / video_id / expression_id / f"{name}{MASK_SUFFIX}"


def features_path(root: Path, video_id: str, name: str) -> Path:
    """The path of a frame's features: `root/features/<video>/<frame name>.safetensors`."""
    return root / FEATURES_FOLDER / video_id / f"{name}{FEATURES_SUFFIX}"


def object_mask_path(root: Path, video_id: str, expression_id: str, *names: str) -> Path:
    """The path of an image of objects: `root/ObjectMasks/<video>/<expression id>/...png`.

    Args:
        names: the frame's name alone for an image of all objects, or the object's id before it.
    """
    *folders, name = names
    folder = Path(root, OBJECTS_FOLDER, video_id, expression_id, *folders)
    return folder / f"{name}{MASK_SUFFIX}"
