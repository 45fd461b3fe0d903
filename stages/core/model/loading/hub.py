"""Models by name: a local folder, or an id on a hub that may be out of reach.

A hub's own client takes half a minute to notice that there is no network; here the connection is
tried first, in less than a second.
"""

from __future__ import annotations

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from pathlib import Path
from urllib.parse import urlsplit

from schemas.errors import MissingInput

MODEL_CONFIG = "config.json"
_CONNECT_SECONDS = 0.8
_PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
_HTTPS_PORT = 443
_MODEL_FOLDER = Path(__file__).resolve().parents[1]
TOY = "toy"
TOY_BACKBONE = _MODEL_FOLDER / "toy_backbone"
TOY_CHECKPOINT = _MODEL_FOLDER / "toy_checkpoint"
_WANTED_FILES = ["*.json", "*.safetensors"]


def local_folder(name: str) -> Path | None:
    """Return `name` as a folder; None where it can only be a hub id."""
    folder = Path(name).expanduser()
    looks_local = folder.is_absolute() or name.startswith((".", "~")) or folder.exists()
    return folder if looks_local else None


def require_model(name: str, *, option: str) -> bool:
    """Return whether a model must be loaded from local files only.

    Args:
        name: a folder saved with save_pretrained, or a hub id.
        option: the option that named it, for messages.

    Raises:
        MissingInput: no such folder, or a hub id that is not in the cache and cannot be reached.
    """
    folder = local_folder(name)
    if folder is not None:
        if not (folder / MODEL_CONFIG).is_file():
            what = f"has no {MODEL_CONFIG}" if folder.is_dir() else "no such folder"
            hint = "name a folder saved with save_pretrained, or a hub id"
            raise MissingInput(what, where=folder, hint=hint)
        return True
    from huggingface_hub import constants, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        cached = isinstance(try_to_load_from_cache(name, MODEL_CONFIG), str)
    except HFValidationError as error:
        raise MissingInput("is neither a folder nor a hub id", where=name) from error
    if cached:
        return True
    if constants.HF_HUB_OFFLINE or not _reachable(constants.ENDPOINT):
        raise MissingInput(
            "is not in the local cache and the hub cannot be reached",
            where=name,
            hint=f"download it elsewhere and name its folder with {option}",
        )
    return False


def _reachable(endpoint: str) -> bool:
    """Return whether the hub's host accepts a connection; assumed behind a proxy."""
    if any(os.environ.get(name) for name in _PROXIES):
        return True
    parts = urlsplit(endpoint)
    # In a thread, as resolving a host name has no time limit.
    pool = ThreadPoolExecutor(1)
    try:
        attempt = pool.submit(_connect, parts.hostname or "", parts.port or _HTTPS_PORT)
        return attempt.result(_CONNECT_SECONDS)
    except TooLate:
        return False
    finally:
        pool.shutdown(wait=False)


def _connect(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_SECONDS):
            return True
    except OSError:
        return False


def backbone_folder(name: str) -> Path:
    """The folder of a SAM 2 or EdgeTAM video model.

    Args:
        name: `toy`, a local folder, or a hub id such as facebook/sam2.1-hiera-base-plus, which is
            downloaded unless it is in the local cache.

    Raises:
        MissingInput: no such folder, or the hub cannot be reached.
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
