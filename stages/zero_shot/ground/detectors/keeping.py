"""Keeping what SAM 3's image encoder makes of the searched frames, for its tracker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.directories import remove_tree
from schemas.documents import load_object
from schemas.errors import ConfigError, MissingInput
from schemas.layouts import FEATURES_FOLDER, features_path
from stages.core.engine.digest import weights_digest
from stages.core.index.frame_files import frames_digest
from stages.core.index.index import Video
from stages.core.index.kept_features import Kept, KeptFeatures, KeptVideo
from stages.core.model.loading.names import MODEL_CONFIG, stored_folder
from stages.zero_shot.ground.config import KEEP_OPTION

if TYPE_CHECKING:
    from torch import Tensor

_BOTH = "sam3_video"
"""The ``model_type`` of a folder with a detector and a tracker over one image encoder."""
NOT_KEPT = "no features kept: the model's image processor prepares frames unlike its tracker"


def keeps_for(model: Path, tracker: Path) -> bool:
    """Return whether a tracker can begin from what a detector's image encoder makes.

    Args:
        model, tracker: their folders, with config.json.
    """
    same = model.resolve() == tracker.resolve()
    return same and load_object(model / MODEL_CONFIG).get("model_type") == _BOTH


def require_both(model: str) -> None:
    """Check that a model on this machine has a tracker beside its detector.

    Raises:
        ConfigError: it has not, so that nothing could read the features.
    """
    kind = load_object(_folder(model) / MODEL_CONFIG).get("model_type")
    if kind != _BOTH:
        raise ConfigError(
            f"needs SAM 3's folder of detector and tracker (model_type {_BOTH}), and --model has "
            f"{kind!r}",
            where=KEEP_OPTION,
            hint="leave it out",
        )


def keep_frames(out: Path, video: Video, frames: Sequence[int], hidden: Iterable[Tensor]) -> None:
    """Write what the image transformer made of some frames, (h * h, D) each."""
    from stages.core.model.hidden_states import write_hidden

    paths = kept_files(out, video, frames)
    for path, state in zip(paths, hidden, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_hidden(path, state)


def kept_files(out: Path, video: Video, frames: Sequence[int]) -> list[Path]:
    """The files of some frames' features in an artifact."""
    return [features_path(out, video.video_id, video.frame_names[frame]) for frame in frames]


def remove_features(out: Path, video_id: str) -> None:
    """Remove the features of a video that failed."""
    remove_tree(out / FEATURES_FOLDER / video_id)


def write_note(out: Path, model: str, videos: Mapping[Video, Kept]) -> None:
    """Write what made the features, so that nothing else begins from them."""
    about = {
        video.video_id: KeptVideo(**asdict(kept), frames=frames_digest(video))
        for video, kept in videos.items()
    }
    KeptFeatures(weights_digest(_folder(model)), about).write(out)


def _folder(model: str) -> Path:
    """The folder of a model that is on this machine."""
    folder = stored_folder(model)
    if folder is None:
        raise MissingInput("is no longer in the hub's cache", where=model)
    return folder
