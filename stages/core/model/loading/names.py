"""Where a model's name leads: a local folder, a snapshot in the hub's cache, or the hub.

A hub's own client takes half a minute to notice that there is no network; here the connection is
tried first, in less than a second.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from schemas.documents import load_object
from schemas.errors import MissingInput, TglError

MODEL_CONFIG = "config.json"
WEIGHTS = "model.safetensors"
SHARDS = f"{WEIGHTS}.index.json"
SHARD_MAP = "weight_map"
CONVERTED = "refs/pr/"
"""Revisions of a model that add its weights as safetensors, from the hub's own converter."""
NAME_FIELD = "_name_or_path"
"""The field of a configuration that names its model."""
_MAIN = "main"
_STORE, _SNAPSHOTS = "models--", "snapshots"
_CONNECT_SECONDS = 0.8
_PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
_PORTS = {"http": 80, "https": 443}


Check = Callable[[Path, str], None]
"""Raises where a model's folder, which an option named, is of another kind than is needed."""


@dataclass(frozen=True)
class Wanted:
    """A model that a command needs.

    Attributes:
        name: a local folder or a hub id.
        option: the option that names it, for messages.
        check: called with its folder and the option as soon as the folder has config.json.
    """

    name: str
    option: str
    check: Check | None = field(default=None, compare=False)


def local_folder(name: str) -> Path | None:
    """Return `name` as a folder; None where it can only be a hub id."""
    folder = Path(name).expanduser()
    looks_local = folder.is_absolute() or name.startswith((".", "~")) or folder.exists()
    return folder if looks_local else None


def public_name(name: str) -> str:
    """Return the name of a model without where it lies: a hub id, or the folder's own name.

    Args:
        name: a folder, maybe a snapshot in a hub's cache, or a hub id.
    """
    path = Path(name)
    for store, inside in pairwise(path.parts):
        if store.startswith(_STORE) and inside == _SNAPSHOTS:
            return store.removeprefix(_STORE).replace("--", "/")
    return path.name if path.is_absolute() or path.exists() else name


def stored_folder(name: str) -> Path | None:
    """The folder of a model that need not be downloaded; None for one that must be.

    Args:
        name: a folder saved with save_pretrained, or a hub id.

    Returns:
        The folder, or the snapshot in the hub's cache if it is whole.

    Raises:
        MissingInput: no such folder, or neither a folder nor a hub id.
    """
    folder = local_folder(name)
    if folder is None:
        return cached_folder(name)
    if not (folder / MODEL_CONFIG).is_file():
        what = f"has no {MODEL_CONFIG}" if folder.is_dir() else "no such folder"
        hint = "name a folder saved with save_pretrained, or a hub id"
        raise MissingInput(what, where=folder, hint=hint)
    return folder


def cached_folder(name: str) -> Path | None:
    """The snapshot of a hub id in the local cache, if its configuration and weights are whole.

    Raises:
        MissingInput: not a hub id.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.file_download import repo_folder_name
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise MissingInput("is neither a folder nor a hub id", where=name) from error
    store = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="model")
    for reference in _references(store):
        snapshot = store / _SNAPSHOTS / reference.read_text(encoding="utf-8").strip()
        if is_whole(snapshot):
            return snapshot
    return None


def _references(store: Path) -> Iterator[Path]:
    """Files that name the commit of a cached revision: of the main branch, then of conversions."""
    main = store / "refs" / _MAIN
    if main.is_file():
        yield main
    yield from sorted((store / "refs" / CONVERTED).glob("*"))


def is_whole(folder: Path) -> bool:
    """Whether a folder has a configuration and all of its weights, as safetensors."""
    if not (folder / MODEL_CONFIG).is_file():
        return False
    if (folder / WEIGHTS).is_file():
        return True
    if not (folder / SHARDS).is_file():
        return False
    try:
        shards = load_object(folder / SHARDS).get(SHARD_MAP)
    except TglError:
        return False  # fetched again
    return (
        isinstance(shards, dict)
        and len(shards) > 0
        and all(isinstance(name, str) and (folder / name).is_file() for name in shards.values())
    )


def require_hub(missing: Sequence[Wanted]) -> None:
    """Check that the hub can be reached, for models that are not on this machine.

    Raises:
        MissingInput: it cannot; the message has the command that fetches them elsewhere.
    """
    from huggingface_hub import constants

    if not constants.HF_HUB_OFFLINE and _reachable(constants.ENDPOINT):
        return
    why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "the hub cannot be reached"
    verb = "is" if len(missing) == 1 else "are"
    raise MissingInput(
        f"{verb} not in the local cache and {why}",
        where=", ".join(model.name for model in missing),
        hint=f"download elsewhere with {_commands(missing)}",
    )


def _commands(missing: Sequence[Wanted]) -> str:
    """How to fetch models elsewhere, on one line also if they are many."""
    if len(missing) == 1:
        return _command(missing[0])
    options = [model.option for model in missing]
    return (
        "`hf download NAME --local-dir FOLDER`, then name the folders with "
        f"{', '.join(options[:-1])} and {options[-1]}"
    )


def _command(model: Wanted) -> str:
    folder = model.name.rsplit("/", 1)[-1]
    then = f"{model.option} {folder}" if model.option[0] == "-" else f"{folder} as {model.option}"
    return f"`hf download {model.name} --local-dir {folder}`, then {then}"


def _reachable(endpoint: str) -> bool:
    """Return whether the hub's host accepts a connection; assumed behind a proxy."""
    if any(os.environ.get(name) for name in _PROXIES):
        return True
    parts = urlsplit(endpoint)
    # In a thread, as resolving a host name has no time limit.
    pool = ThreadPoolExecutor(1)
    try:
        port = parts.port or _PORTS.get(parts.scheme, _PORTS["https"])
        return pool.submit(_connect, parts.hostname or "", port).result(_CONNECT_SECONDS)
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
