"""Choosing the reader of a ground truth by the files in its folder."""

from __future__ import annotations

import os
from pathlib import Path

from schemas.errors import ConfigError, MissingInput
from schemas.layouts import FRAMES_FOLDER, FRAMES_TABLE, VIDEOS_TABLE
from stages.core.datasets.layouts.mevis import MevisSplit
from stages.core.engine.digest import require_folder
from stages.score.cases import VideoCases
from stages.score.config import ScoreConfig, ScoreInputs
from stages.score.protocols import LABELLED, choose_frames
from stages.score.truth.index import read_index
from stages.score.truth.label_folder import read_labels_folder
from stages.score.truth.mask_folder import read_folder
from stages.score.truth.mevis import read_mevis

_RAW = (FRAMES_FOLDER, "meta_expressions", "davis_text_annotations")


def read_truth(config: ScoreConfig, inputs: ScoreInputs) -> list[VideoCases]:
    """Read all cases of the ground truth, with the frames that the protocol scores.

    Raises:
        MissingInput: a folder is missing, or cannot be scored against.
    """
    require_folder(inputs.preds)
    root = require_folder(inputs.gt)
    sentences = os.path.lexists(root / VIDEOS_TABLE) or MevisSplit.looks_like(root)
    if sentences and config.protocol in LABELLED:
        raise ConfigError(
            f"{config.protocol} compares label images, the ground truth has sentences",
            where="--protocol",
            hint="name the folder of annotations, <video>/<frame>.png",
        )
    if os.path.lexists(root / VIDEOS_TABLE):
        videos = read_index(root)
    elif MevisSplit.looks_like(root):
        videos = read_mevis(root)
    elif config.protocol in LABELLED:
        videos = read_labels_folder(root)
    else:
        _refuse_raw(root)
        videos = read_folder(root)
    return choose_frames(config.protocol, videos)


def _refuse_raw(root: Path) -> None:
    """Refuse frames and data sets as downloaded, which look like a folder of masks."""
    if (root / FRAMES_TABLE).is_file():
        raise MissingInput(
            "has frames, not masks", where=root, hint="name the index that was made of them"
        )
    if any((root / name).is_dir() for name in _RAW):
        raise MissingInput(
            "is a data set as downloaded, which cannot be scored against directly",
            where=root,
            hint="make an index of it with tgl build-moments, and name the index",
        )
