"""Download of published models into the hub's cache, announced in one line, shown by our own bar.

Only files that loading reads are fetched: configurations, tokenizers and weights as safetensors.
The weights come last, so that a snapshot that has them has everything. A download that broke goes
on where it stopped.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from schemas.errors import CorruptInput, MissingInput, TglError, disk_full, says_disk_full
from stages.core.engine.progress import Progress, SilentTask, Task
from stages.core.model.loading.catalog import published, size_text
from stages.core.model.loading.names import (
    CONVERTED,
    MODEL_CONFIG,
    SHARDS,
    WEIGHTS,
    Wanted,
    require_hub,
    stored_folder,
)
from stages.core.model.loading.resume import fetch_blob

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_SMALL_FILES = (".json", ".txt", ".model", ".jinja")
"""Configurations, vocabularies, sentence-piece models and chat templates."""
_CONVERTER = "SFconvertbot"
_MB = 10**6
_UNAUTHORISED, _FORBIDDEN = 401, 403


@dataclass(frozen=True)
class Download:
    """The files of one model to fetch.

    Attributes:
        wanted: the model.
        revision: branch or other reference that has them.
        commit: the commit that it points to.
        small, weights: names of files.
        waiting: bytes of those that are not in the cache.
        licence: as the catalog or the model's page names it; "" if neither does.
    """

    wanted: Wanted
    revision: str
    commit: str
    small: tuple[str, ...]
    weights: tuple[str, ...]
    waiting: int
    licence: str


def ensure_models(models: Sequence[Wanted], progress: Progress) -> list[Path]:
    """Folders of all models that a command needs; what is missing is announced, then downloaded.

    Args:
        models: folders and hub ids; folders, and ids in the local cache, cost nothing.
        progress: shows the line and the bars.

    Returns:
        A folder for each, for ``load_backbone``, ``load_pretrained_model`` and others.

    Raises:
        MissingInput: no such folder or model, no network, or no access to it.
        CorruptInput: a model has no weights in the format safetensors.
        DiskFull: the disk is full.
        TglError: as a model's own check raises it; before its weights are downloaded.
    """
    found = {model.name: stored_folder(model.name) for model in models}
    for model in models:
        _check(model, found[model.name])
    missing = list({model.name: model for model in models if found[model.name] is None}.values())
    if missing:
        require_hub(missing)
        downloads = [_plan(model) for model in missing]
        if any(download.waiting for download in downloads):
            progress.note(announcement(downloads))
        begun = {download.wanted.name: _begin(download) for download in downloads}
        for model in models:
            _check(model, begun.get(model.name))
        for download in downloads:
            found[download.wanted.name] = _download(download, progress)
    return [folder for model in models if (folder := found[model.name]) is not None]


def announcement(downloads: Sequence[Download]) -> str:
    """One line: names, sizes, licences, and where they go."""
    from huggingface_hub import constants

    parts = []
    for download in downloads:
        licence = download.licence or "licence not stated"
        parts.append(f"{download.wanted.name} ({size_text(download.waiting)}, {licence})")
    names = " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
    total = sum(download.waiting for download in downloads)
    whole = f", {size_text(total)} in all," if len(downloads) > 1 else ""
    return f"downloads {names}{whole} to {constants.HF_HUB_CACHE}"


def wanted_files(names: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The files of a model on the hub that loading reads.

    Args:
        names: all of its files.

    Returns:
        Configurations and tokenizer files, and weights; the latter are empty where the model has
        none as safetensors.
    """
    top = sorted(name for name in names if "/" not in name)
    small = tuple(
        name for name in top if name.endswith(_SMALL_FILES) and not name.endswith(".index.json")
    )
    if WEIGHTS in top:
        return small, (WEIGHTS,)
    if SHARDS not in top:
        return small, ()
    stem = PurePosixPath(WEIGHTS).stem
    shards = (name for name in top if name.startswith(f"{stem}-") and _is_weights(name))
    return small, (SHARDS, *shards)


def _is_weights(name: str) -> bool:
    return name.endswith(PurePosixPath(WEIGHTS).suffix)


def _plan(model: Wanted) -> Download:
    """What to fetch of a model, from the hub's listing of its files.

    Raises:
        TglError: as :func:`ensure_models`.
    """
    from huggingface_hub import HfApi, try_to_load_from_cache

    api = HfApi()
    with _hub_errors(model):
        revision = "main"
        info = api.model_info(model.name, revision=revision, files_metadata=True)
        small, weights = wanted_files(file.rfilename for file in info.siblings or ())
        if not weights and (converted := _converted(api, model.name)):
            revision = converted
            info = api.model_info(model.name, revision=revision, files_metadata=True)
            small, weights = wanted_files(file.rfilename for file in info.siblings or ())
        if info.gated:
            api.auth_check(model.name)  # its listing is public, its files are not
    if MODEL_CONFIG not in small or not weights:
        lacks = "weights in the format safetensors" if MODEL_CONFIG in small else MODEL_CONFIG
        raise CorruptInput(
            f"the hub has no {lacks} of it",
            where=model.name,
            hint=f"name a model of transformers with {model.option}",
        )
    files = {*small, *weights}
    waiting = sum(
        file.size or 0
        for file in info.siblings or ()
        if file.rfilename in files
        and not isinstance(
            try_to_load_from_cache(model.name, file.rfilename, revision=info.sha), str
        )
    )
    licence = _licence(model.name, info)
    return Download(model, revision, info.sha or revision, small, weights, waiting, licence)


def _converted(api: HfApi, name: str) -> str | None:
    """The revision in which the hub's own converter offers a model's weights as safetensors."""
    found = api.get_repo_discussions(
        name, author=_CONVERTER, discussion_type="pull_request", discussion_status="open"
    )
    numbers = [pull.num for pull in found if pull.author == _CONVERTER]
    return f"{CONVERTED}{min(numbers)}" if numbers else None


def _licence(name: str, info: Any) -> str:
    known = published(name)
    if known is not None:
        return known.licence
    stated = info.card_data.get("license") if info.card_data else None
    return stated if isinstance(stated, str) else ""


def _check(model: Wanted, folder: Path | None) -> None:
    """Let a model be refused by its configuration; errors name it as the user did."""
    if model.check is None or folder is None:
        return
    try:
        model.check(folder, model.option)
    except TglError as error:
        if error.where is not None and str(error.where) == str(folder):
            error.relocate(model.name)
        raise


def _begin(download: Download) -> Path:
    """Fetch a model's small files; returns the snapshot that has them."""
    with _hub_errors(download.wanted):
        return _snapshot(download, download.small, _counter(SilentTask()))


def _download(download: Download, progress: Progress) -> Path:
    """Fetch what is not in the cache yet; returns the snapshot."""
    name = download.wanted.name
    label = f"download {name.rsplit('/', 1)[-1]}"
    with (
        _hub_errors(download.wanted),
        progress.task(label, max(1, download.waiting // _MB), "MB") as task,
    ):
        counter = _counter(task)
        for file in download.weights:
            fetch_blob(name, file, download.commit, counter)
        return _snapshot(download, (*download.small, *download.weights), counter)


def _snapshot(download: Download, files: Sequence[str], counter: Any) -> Path:
    """Fetch files with the hub's own client."""
    from huggingface_hub import snapshot_download

    found = snapshot_download(
        download.wanted.name,
        revision=download.revision,
        allow_patterns=list(files),
        tqdm_class=counter,
    )
    return Path(found)


def _counter(task: Task) -> Any:
    """A class of the hub's bars that shows nothing itself and advances a task by megabytes."""
    from huggingface_hub.utils import tqdm

    lock, loaded = threading.Lock(), 0

    class Counter(tqdm):
        """Counts the bytes that are written; the hub's client has other bars beside."""

        def __init__(self, *args: Any, **kwargs: Any):
            name = str(kwargs.get("name"))
            self._counts = kwargs.get("unit") == "B" and not name.endswith(".transfer")
            super().__init__(*args, **(kwargs | {"disable": True}))
            self.update(kwargs.get("initial") or 0)

        def update(self, n: float | None = 1) -> bool | None:
            nonlocal loaded
            if self._counts:
                with lock:
                    before, loaded = loaded, loaded + int(n or 0)
                    task.advance(loaded // _MB - before // _MB)
            return None

    return Counter


@contextmanager
def _hub_errors(model: Wanted) -> Iterator[None]:
    """Turn the failures of the hub's client into one line each, and keep it quiet.

    Raises:
        MissingInput: no such model, no access, or the download broke.
        DiskFull: the disk is full.
    """
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import httpx, logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()  # its retries are not failures
    try:
        yield
    except (HfHubHTTPError, httpx.HTTPError, OSError, RuntimeError) as error:
        raise _explained(error, model) from error  # RuntimeError: the transfer library's
    finally:
        logging.set_verbosity(level)


def _explained(error: Exception, model: Wanted) -> TglError:
    """The error for a failure of the hub's client."""
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    page = f"{constants.ENDPOINT}/{model.name}"
    causes = list(_causes(error))
    responses = [cause.response for cause in causes if isinstance(cause, HfHubHTTPError)]
    status = next((response.status_code for response in responses), None)
    known = published(model.name)
    gated = known is not None and known.gated and status in (_UNAUTHORISED, _FORBIDDEN)
    if gated or any(isinstance(cause, GatedRepoError) for cause in causes):
        return MissingInput(
            "its authors give access on request, and you do not have it yet",
            where=model.name,
            hint=f"open {page}, accept the terms, then run `hf auth login`",
        )
    # The hub says 401, not 404, of a name that it does not have to somebody who is not logged in.
    nameless = status == _UNAUTHORISED and get_token() is None
    if nameless or any(isinstance(cause, RepositoryNotFoundError) for cause in causes):
        return MissingInput(
            "the hub has no public model of this name",
            where=model.name,
            hint="check the spelling; if it is private, run `hf auth login`",
        )
    if status in (_UNAUTHORISED, _FORBIDDEN):
        return MissingInput(
            f"the hub refuses access ({status})",
            where=model.name,
            hint=f"run `hf auth login` with a token that may read {page}",
        )
    if says_disk_full(str(error)):
        return disk_full(Path(constants.HF_HUB_CACHE))
    return MissingInput(
        f"the download broke ({_first_line(causes[-1])})",
        where=model.name,
        hint=f"run the command again, it goes on where it stopped; or name a folder with "
        f"{model.option}",
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and those that it was raised from; the client wraps what the hub answers."""
    while error is not None:
        yield error
        error = error.__cause__


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
