"""Which reader a ground truth takes, by what its folder holds."""

from __future__ import annotations

from schemas.errors import ConfigError
from schemas.layouts import VIDEOS_TABLE
from stages.engine.digest import require_folder
from stages.score.cases import VideoCases
from stages.score.config import ScoreConfig, ScoreInputs
from stages.score.protocols import LABELLED, choose_frames
from stages.score.truth_folder import read_folder
from stages.score.truth_index import read_index
from stages.score.truth_labels import read_labels_folder
from stages.score.truth_mevis import is_mevis, read_mevis


def read_truth(config: ScoreConfig, inputs: ScoreInputs) -> list[VideoCases]:
    """All cases that the ground truth asks for under a protocol.

    Raises:
        MissingInput: a folder is not there, or is nothing that can be scored against.
    """
    require_folder(inputs.preds)
    root = require_folder(inputs.gt)
    sentences = (root / VIDEOS_TABLE).is_file() or is_mevis(root)
    if sentences and config.protocol in LABELLED:
        raise ConfigError(
            f"{config.protocol} compares label images, the ground truth has sentences",
            where="--protocol",
            hint="name the folder of annotations, <video>/<frame>.png",
        )
    if (root / VIDEOS_TABLE).is_file():
        videos = read_index(root)
    elif is_mevis(root):
        videos = read_mevis(root)
    elif config.protocol in LABELLED:
        videos = read_labels_folder(root)
    else:
        videos = read_folder(root)
    return choose_frames(config.protocol, videos)
