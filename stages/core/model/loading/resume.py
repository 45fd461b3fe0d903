"""Download of one large file into the hub's cache that goes on where an earlier run stopped.

The hub's client keeps nothing of a file that breaks off: each run would start at the first byte.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from stages.core.engine.digest import sha256_file

_SHA256 = re.compile(r"[0-9a-f]{64}")
_GIT_SHA1 = re.compile(r"[0-9a-f]{40}")
_PARTIAL = ".tgl-partial"


def fetch_blob(name: str, file: str, commit: str, counter: Any) -> None:
    """Download a file of a model into the cache's blobs, unless it is there.

    Args:
        name: hub id.
        file: its name in the model.
        commit: the revision, as a commit.
        counter: class of the bar that counts the bytes.

    Raises:
        HfHubHTTPError, httpx.HTTPError: as the hub's client.
        OSError: the connection broke, the disk is full, or what arrived is damaged.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import repo_folder_name
    from huggingface_hub.utils import WeakFileLock

    url = hf_hub_url(name, file, revision=commit)
    metadata = get_hf_file_metadata(url)
    etag, size = metadata.etag, metadata.size
    if etag is None or size is None or not (_SHA256.fullmatch(etag) or _GIT_SHA1.fullmatch(etag)):
        return  # nothing to recognise the file by: left to the hub's client
    cache, store = Path(constants.HF_HUB_CACHE), repo_folder_name(repo_id=name, repo_type="model")
    blob, lock = cache / store / "blobs" / etag, cache / ".locks" / store / f"{etag}.lock"
    for folder in (blob.parent, lock.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):  # the client's own lock of this file
        if not blob.exists():
            partial = blob.with_name(etag + _PARTIAL)
            _continue(url, partial, size, counter)
            _require_whole(partial, etag)
            partial.replace(blob)


def _continue(url: str, partial: Path, size: int, counter: Any) -> None:
    """Download what a partial file lacks."""
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    with partial.open("ab") as file:
        have = file.tell()
        if have > size:
            file.truncate(0)
            have = 0
        if have == size:
            return
        http_get(
            url,
            file,
            resume_size=have,
            headers=build_hf_headers(),
            expected_size=size,
            tqdm_class=counter,
        )


def _require_whole(partial: Path, etag: str) -> None:
    """Compare a file with its SHA-256, where the hub gives it (it does for weights)."""
    if _SHA256.fullmatch(etag) and sha256_file(partial) != etag:
        partial.unlink()
        raise OSError("what arrived is not the file that the hub has; nothing of it is kept")
