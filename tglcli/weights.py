"""Which folder of weights the user means: a folder, the packaged toy, or a model on a hub."""

from __future__ import annotations

from pathlib import Path

from schemas.errors import MissingInput
from stages.core.model.hub import require_model

TOY = "toy"
TOY_BACKBONE = Path(__file__).resolve().parent.parent / "stages" / "core" / "model" / "toy_backbone"
_WANTED_FILES = ["*.json", "*.safetensors"]


def backbone_folder(name: str) -> Path:
    """The folder of a SAM 2 or EdgeTAM video model.

    Args:
        name: `toy`, a local folder, or a hub id such as facebook/sam2.1-hiera-base-plus, which is
            downloaded unless it is in the local cache: naming it is asking for it.

    Raises:
        MissingInput: there is no such folder, or the hub cannot be reached.
    """
    if name == TOY:
        return TOY_BACKBONE
    folder = Path(name).expanduser()
    if require_model(name, option="--backbone") and folder.is_dir():
        return folder
    return _from_hub(name)


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=_WANTED_FILES))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise MissingInput(
            "the hub does not have all of it or cannot be reached",
            where=name,
            hint="download it elsewhere and name its folder with --backbone",
        ) from error
