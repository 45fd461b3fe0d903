"""Features beside the device: unchanged to the bit, bounded, and gone with the process."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.offload import feature_store
from stages.core.model.offload.feature_store import FeatureStore, StoreLimits


def features(seed: int, kind: torch.dtype = torch.float32) -> FrameFeatures:
    random = torch.Generator().manual_seed(seed)
    shapes = {"fine": (2, 1, 8, 8), "middle": (2, 2, 4, 4), "coarse": (2, 8, 2, 2)}
    levels = {name: torch.randn(shape, generator=random).to(kind) for name, shape in shapes.items()}
    return FrameFeatures(**levels, position=torch.zeros(1, 8, 2, 2, dtype=kind))


SIZE = features(0).nbytes


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def kept(store: FeatureStore, chunk: int) -> FrameFeatures | None:
    future = store.fetch(chunk)
    return None if future is None else future.result()


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_memory_is_filled_first_then_the_file(
    tmp_path: Path, threads: ThreadPoolExecutor, kind: torch.dtype
) -> None:
    size = features(0, kind).nbytes
    store = FeatureStore(StoreLimits(host=2 * size, disk=2.5 * size, folder=tmp_path), threads)
    for chunk in (5, 3, 4, 1, 2, 5):
        store.put(chunk, features(chunk, kind))
    assert (store.host_bytes, store.disk_bytes) == (2 * size, 2 * size)
    for chunk in (1, 3, 4, 5, 4):
        found, expected = kept(store, chunk), features(chunk, kind)
        assert found is not None
        for name, level in expected.as_tensors().items():
            own = found.as_tensors()[name]
            assert own.dtype == level.dtype
            assert torch.equal(own, level)
    assert kept(store, 2) is None  # there was no room
    assert not list(tmp_path.iterdir())
    store.close()
    assert kept(store, 1) is None


def test_a_full_disk_is_less_room_and_no_error(
    tmp_path: Path, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> int:
        raise OSError(28, "No space left on device")

    store = FeatureStore(StoreLimits(disk=9 * SIZE, folder=tmp_path), threads)
    store.put(0, features(0))
    assert kept(store, 0) is not None
    monkeypatch.setattr(os, "pwrite", full)
    store.put(1, features(1))
    assert kept(store, 1) is None
    store.put(2, features(2))
    assert kept(store, 2) is None
    assert kept(store, 0) is not None
    store.close()


def test_at_most_half_of_the_free_disk_is_taken(
    tmp_path: Path, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=5 * SIZE)
    monkeypatch.setattr(feature_store.shutil, "disk_usage", lambda path: usage)
    store = FeatureStore(StoreLimits(disk=1e12, folder=tmp_path), threads)
    for chunk in range(5):
        store.put(chunk, features(chunk))
    assert store.disk_bytes == 2 * SIZE
    store.close()


@pytest.mark.parametrize("folder", [None, Path("missing/folder")])
def test_without_a_folder_nothing_is_kept(threads: ThreadPoolExecutor, folder: Path | None) -> None:
    store = FeatureStore(StoreLimits(disk=1e9, folder=folder), threads)
    store.put(0, features(0))
    assert kept(store, 0) is None
    assert store.disk_bytes == 0
    store.close()
