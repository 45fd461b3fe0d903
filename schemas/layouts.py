"""File names of every artifact, path templates, and the check of names that come from data."""

from __future__ import annotations

import re
from pathlib import Path

from schemas.errors import UnsafeName

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
HISTORY_TABLE = "history.parquet"

PROPAGATION_TABLE = "propagation.parquet"
MASK_SUFFIX = ".png"

SCORES_TABLE = "scores.parquet"
SCORE_FRAMES_TABLE = "frames.parquet"
SUMMARY_FILE = "summary.json"
REPORT_FILE = "report.html"

RECEIPT_FILE = "receipt.json"

MEVIS_EXPRESSIONS = "meta_expressions.json"
MEVIS_EXPRESSIONS_V2 = "meta_expressions_text_release.json"
MEVIS_MASKS = "mask_dict.json"
MOMENTS_FILE = "moments.json"

_LONGEST_NAME = 200
_PARQUET = b"PAR1"
_WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def safe_name(text: object, *, where: object) -> str:
    """`text` if it can be the name of one file or folder below an output folder, everywhere.

    Raises:
        UnsafeName: it is empty, too long, `.` or `..`, or holds a separator, a control character
            or a Windows device name.
    """
    name = str(text)
    reason = None
    if not name or name.strip() != name:
        reason = "is empty or has blanks at its ends"
    elif len(name.encode("utf-8", "surrogatepass")) > _LONGEST_NAME:
        reason = f"is longer than {_LONGEST_NAME} bytes"
    elif name.startswith(".") or name.endswith("."):
        reason = "begins or ends with a dot"
    elif any(char in '/\\:*?"<>|' or not char.isprintable() for char in name):
        reason = "holds a path separator or a character that file systems refuse"
    elif _WINDOWS_DEVICES.fullmatch(name):
        reason = "is a device name on Windows"
    if reason:
        shown = name if len(name) <= _LONGEST_NAME else name[:40] + "..."
        raise UnsafeName(
            f"the name {shown!r} {reason}", where=where, hint="rename it in the data set"
        )
    return name


def looks_like_parquet(path: Path) -> bool:
    """Whether a file claims to be Parquet, by its first bytes or its name."""
    with path.open("rb") as file:
        return file.read(len(_PARQUET)) == _PARQUET or path.suffix == ".parquet"


def frame_path(root: Path, video_id: str, name: str, suffix: str = ".jpg") -> Path:
    """Where extract-frames puts a frame: `root/JPEGImages/<video>/<name>.jpg`."""
    return root / FRAMES_FOLDER / video_id / f"{name}{suffix}"


def mask_path(root: Path, video_id: str, expression_id: str, name: str) -> Path:
    """Where propagate puts a mask: `root/<video>/<expression id>/<frame name>.png`."""
    return root / video_id / expression_id / f"{name}{MASK_SUFFIX}"
