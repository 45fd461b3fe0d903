"""Models by name, as commands and stages ask for them: folders, hub ids, and the toy models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from schemas.errors import MissingInput
from stages.core.engine.progress import Progress, SilentProgress
from stages.core.model.loading.families import require_tracker
from stages.core.model.loading.fetch import ensure_models
from stages.core.model.loading.names import (
    MODEL_CONFIG,
    Check,
    Wanted,
    local_folder,
    require_hub,
    stored_folder,
)

__all__ = [
    "TOY",
    "TOY_BACKBONE",
    "TOY_CHECKPOINT",
    "backbone_folder",
    "checkpoint_folder",
    "config_folder",
    "fetched_commit",
    "local_folder",
    "model_folder",
    "require_model",
]

TOY = "toy"
_MODEL_FOLDER = Path(__file__).resolve().parents[1]
TOY_BACKBONE = _MODEL_FOLDER / "toy_backbone"
TOY_CHECKPOINT = _MODEL_FOLDER / "toy_checkpoint"


def require_model(
    name: str, *, option: str, progress: Progress | None = None, check: Check | None = None
) -> bool:
    """Return whether a model is on this machine; one that must be downloaded can be.

    Args:
        name: a folder saved with save_pretrained, or a hub id.
        option: the option that named it, for messages.
        progress: announces and shows the download; without it, nothing is downloaded yet.
        check: refuses a model of another kind, see ``Wanted``.

    Raises:
        MissingInput: no such folder, or a hub id that is not in the cache and cannot be reached.
        TglError: as the check raises it.
    """
    wanted = Wanted(name, option, check)
    if progress is not None:
        ensure_models([wanted], progress)
    elif stored_folder(name) is None:
        require_hub([wanted])
        return False
    return True


def model_folder(
    name: str, *, option: str, progress: Progress | None = None, check: Check | None = None
) -> Path:
    """The folder of a model, downloaded where it is not on this machine.

    Args:
        name: a folder saved with save_pretrained, or a hub id.
        option: the option that named it, for messages.
        progress: announces and shows the download; silent without.
        check: refuses a model of another kind, see ``Wanted``.

    Raises:
        TglError: as :func:`stages.core.model.loading.fetch.ensure_models`.
    """
    return ensure_models([Wanted(name, option, check)], progress or SilentProgress())[0]


def fetched_commit(
    name: str,
    ready: Callable[[], object],
    *,
    option: str,
    progress: Progress | None = None,
    check: Check | None = None,
) -> str | None:
    """The commit that a hub id stands for on this machine; None for a local folder.

    A fingerprint has it, so that another revision reruns: the model is fetched if it is missing.

    Args:
        name, option, progress, check: as for :func:`model_folder`.
        ready: checks the stage's other inputs, before a model is looked for.

    Raises:
        TglError: as `ready` or :func:`model_folder`.
    """
    if local_folder(name) is not None:
        return None
    if stored_folder(name) is None:
        ready()
    return model_folder(name, option=option, progress=progress, check=check).name


def backbone_folder(name: str, progress: Progress | None = None) -> Path:
    """The folder of a video model: SAM 2 or another family of ``backbones.families``.

    Args:
        name: `toy`, a local folder, or a hub id such as facebook/sam2.1-hiera-base-plus.
        progress: announces and shows a download.

    Raises:
        ConfigError: a model of another family.
        TglError: as :func:`model_folder`.
    """
    if name == TOY:
        return TOY_BACKBONE
    return model_folder(name, option="--backbone", progress=progress, check=require_tracker)


def checkpoint_folder(
    name: str, progress: Progress | None = None, *, option: str = "CHECKPOINT"
) -> Path:
    """The folder of a checkpoint of `tgl train`.

    Args:
        name: a local folder, which may not exist, `toy`, or a hub id (USER/MODEL) of a folder
            that `tgl train` wrote.
        progress: announces and shows a download.
        option: the option or argument that named it, for messages.

    Raises:
        TglError: as :func:`model_folder`.
    """
    if name == TOY and not Path(TOY, MODEL_CONFIG).is_file():
        return _toy_checkpoint()  # a folder `toy` beside it is most likely the data of `tgl toy`
    folder = local_folder(name)
    if folder is None and _is_path(name):
        folder = Path(name)
    if folder is not None:
        return folder  # checked with the stage's other inputs
    return model_folder(name, option=option, progress=progress)


def config_folder(name: str, *, option: str) -> Path:
    """The folder of a model of which config.json alone is read; nothing is downloaded.

    Args:
        name: as for :func:`backbone_folder` or :func:`checkpoint_folder`.
        option: the option or argument that named it: CHECKPOINT, --init or --backbone.

    Raises:
        MissingInput: no such folder, or a hub id that is not in the cache.
    """
    if name == TOY and option == "--backbone":
        return TOY_BACKBONE
    if name == TOY and not Path(TOY, MODEL_CONFIG).is_file():
        return _toy_checkpoint()
    found = stored_folder(name)
    if found is None:
        own = name.rsplit("/", 1)[-1]
        raise MissingInput(
            "is not on this machine, and a dry run downloads nothing",
            where=name,
            hint=f"`hf download {name} config.json --local-dir {own}`, then name that folder",
        )
    return found


def _is_path(name: str) -> bool:
    """Whether a name that does not exist is a misspelt folder rather than USER/MODEL."""
    return name.count("/") != 1 or Path(name).parent.is_dir()


def _toy_checkpoint() -> Path:
    if not TOY_CHECKPOINT.is_dir():
        raise MissingInput(
            "this installation has no toy model",
            where=TOY_CHECKPOINT,
            hint="train one with tgl train, and name its folder",
        )
    return TOY_CHECKPOINT
