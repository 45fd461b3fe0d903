"""Running out of memory anywhere, and videos that do not fit in it, change no result."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
import torch

from schemas.parquet import concatenate
from schemas.tables import PROPAGATION
from stages.core.engine.runtime import Runtime
from stages.core.index.index import Index
from stages.core.index.mask_writer import MaskWriter
from stages.core.index.texts import TextStore
from stages.core.model.checkpoint import load_checkpoint
from stages.core.model.dual_path import mask_assembler
from stages.core.model.offload.feature_store import FeatureStore
from stages.core.model.tgl import TglModel
from stages.core.model.video_features import VideoFeatures
from stages.propagate.config import PropagateConfig
from stages.propagate.jobs import Job, plan_jobs
from stages.propagate.runner import OfflineRunner
from stages.propagate.tracks.runner import TrackRunner

NO_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
MEGABYTE = 1e-3
"""In gigabytes."""
NETWORK = ("encode", "embed_frames", "fuse_text", "attend", "decode", "remember", "packed_masks")


@dataclass(frozen=True)
class Result:
    """Everything that a run leaves behind."""

    files: dict[str, bytes]
    rows: pa.Table
    routes: Counter[str]
    encoded: int


class Bench:
    """Runs the sentences of the longest video in this process."""

    def __init__(self, world: Path):
        self.model: TglModel = load_checkpoint(world / "checkpoint").eval()
        self.texts = TextStore.open(world / "text")
        self.job: Job = plan_jobs(Index.open(world / "index"), {})[0]

    def run(self, out: Path, job: Job | None = None, *, tracks: str = "off", **more: Any) -> Result:
        job = job or self.job
        config = PropagateConfig(**({"moments": "predicted", "tracks": tracks} | more))
        kind = OfflineRunner if tracks == "off" else TrackRunner
        encoded: list[int] = []
        close = VideoFeatures.close

        def spy(features: VideoFeatures) -> None:
            encoded.append(features.encoded)
            close(features)

        with (
            ThreadPoolExecutor(1) as decoders,
            ThreadPoolExecutor(2) as threads,
            mock.patch.object(VideoFeatures, "close", spy),
        ):
            runner = kind(
                self.model,
                self.texts,
                config,
                runtime=Runtime(workers=1, device="cpu"),
                device=torch.device("cpu"),
                decoders=decoders,
                scratch=out.parent,
            )
            writer = MaskWriter(out, threads)
            rows = concatenate(list(runner.run(job, writer)), PROPAGATION)
        taken = [path for one in job.expressions for path in writer.take_files(one)]
        assert len(taken) == len(set(taken)) == len(job.expressions) * job.video.num_frames
        files = {path.relative_to(out).as_posix(): path.read_bytes() for path in taken}
        return Result(files, rows, runner.routes, sum(encoded))

    def owner(self, name: str) -> Any:
        """What has the function of a name."""
        if name == "packed_masks":
            return mask_assembler
        return self.model.adapter if name in ("embed_frames", "fuse_text") else self.model.backbone


@contextmanager
def failing(bench: Bench, name: str, calls: Sequence[int]) -> Iterator[list[int]]:
    """Some calls of a function run out of memory; yields the number of calls so far."""
    owner = bench.owner(name)
    original, count = getattr(owner, name), [0]

    def call(*args: Any, **settings: Any) -> Any:
        count[0] += 1
        if count[0] - 1 in calls:
            raise NO_MEMORY
        return original(*args, **settings)

    with mock.patch.object(owner, name, call):
        yield count


@pytest.fixture(scope="module")
def bench(made_world: Path) -> Bench:
    torch.set_num_threads(1)
    return Bench(made_world)


@pytest.fixture(scope="module")
def counted(
    bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Result, dict[str, int]]:
    """A run with enough memory, and how often it calls each function."""
    with ExitStack() as stack:
        counts = {name: stack.enter_context(failing(bench, name, ())) for name in NETWORK}
        result = bench.run(tmp_path_factory.mktemp("plain") / "out")
    return result, {name: count[0] for name, count in counts.items()}


def assert_equal(found: Result, expected: Result) -> None:
    """Masks and words are equal to the byte, numbers up to the rounding of another batch size."""
    assert found.files == expected.files
    assert found.routes == expected.routes
    for name in expected.rows.column_names:
        one, other = found.rows[name], expected.rows[name]
        if name in ("relevance", "object_score"):
            assert np.allclose(one.to_numpy(), other.to_numpy(), atol=1e-4, equal_nan=True)
        else:
            assert one.to_pylist() == other.to_pylist()


@pytest.mark.parametrize("place", [0.0, 1.0])
@pytest.mark.parametrize("name", NETWORK)
def test_memory_may_run_out_once_in_any_call(
    bench: Bench, counted: tuple[Result, dict[str, int]], tmp_path: Path, name: str, place: float
) -> None:
    expected, counts = counted
    call = round(place * (counts[name] - 1))
    with failing(bench, name, [call]) as calls:
        found = bench.run(tmp_path / "out")
    assert calls[0] > counts[name]
    assert_equal(found, expected)


def test_memory_may_be_too_small_for_two_of_anything(
    bench: Bench, counted: tuple[Result, dict[str, int]], tmp_path: Path
) -> None:
    """Each function works for one frame, sentence or item only."""
    attend, decode = bench.model.backbone.attend, bench.model.backbone.decode
    sizes: list[int] = []

    def small(original: Any) -> Any:
        def call(features: Any, *args: Any, **settings: Any) -> Any:
            sizes.append(len(features))
            if len(features) > 1:
                raise NO_MEMORY
            return original(features, *args, **settings)

        return call

    with (
        mock.patch.object(bench.model.backbone, "attend", small(attend)),
        mock.patch.object(bench.model.backbone, "decode", small(decode)),
    ):
        found = bench.run(tmp_path / "out")
    assert max(sizes) > 1
    assert_equal(found, counted[0])


@pytest.mark.parametrize(("name", "call"), [("attend", 20), ("remember", 9)])
def test_tracks_survive_it_too(bench: Bench, tmp_path: Path, name: str, call: int) -> None:
    settings: Any = {"choose": "vote", "vote_threshold": 0.0, "track_frames": 16, "max_tracks": 3}
    expected = bench.run(tmp_path / "plain", tracks="own", moments="all", **settings)
    with failing(bench, name, [call]) as calls:
        found = bench.run(tmp_path / "out", tracks="own", moments="all", **settings)
    assert calls[0] > call
    assert_equal(found, expected)


def test_too_little_for_a_single_item_is_an_error(bench: Bench, tmp_path: Path) -> None:
    with failing(bench, "attend", range(10**6)), pytest.raises(torch.OutOfMemoryError):
        bench.run(tmp_path / "out")


def long_video(bench: Bench, folder: Path, frames: int, sentences: int) -> Job:
    """The sentences of the video on a longer one, which repeats its frames."""
    video, known = bench.job.video, bench.job.expressions
    names = tuple(f"{frame:05d}" for frame in range(frames))
    folder.mkdir()
    for frame, name in enumerate(names):
        os.link(video.frame_path(frame % video.num_frames), folder / f"{name}.jpg")
    several = [replace(known[n % len(known)], expression_id=str(n)) for n in range(sentences)]
    longer = replace(video, num_frames=frames, frame_names=names, frames_dir=folder)
    return Job(longer, several, [None] * sentences)


@pytest.mark.parametrize(
    ("frames", "sentences"),
    [(44, 2), pytest.param(1000, 4, marks=[pytest.mark.slow, pytest.mark.timeout(300)])],
)
def test_frames_that_do_not_fit_in_memory_are_encoded_once(
    bench: Bench, tmp_path: Path, frames: int, sentences: int
) -> None:
    """Beyond the budget, features go to a file without a name and come back unchanged."""
    job = long_video(bench, tmp_path / "frames", frames, sentences)
    in_memory: list[int] = []
    on_disk: list[int] = []
    evict, put = VideoFeatures._evict, FeatureStore.put

    def evicted(features: VideoFeatures) -> None:
        evict(features)
        in_memory.append(features.nbytes)

    def stored(store: FeatureStore, chunk: int, features: Any) -> None:
        put(store, chunk, features)
        on_disk.append(store.disk_bytes)
        assert {path.name for path in tmp_path.iterdir()} <= {"frames", "out"}

    with (
        mock.patch.object(VideoFeatures, "_evict", evicted),
        mock.patch.object(FeatureStore, "put", stored),
    ):
        found = bench.run(tmp_path / "out", job, feature_memory=MEGABYTE, expressions_per_batch=1)
    assert found.encoded == frames
    assert max(in_memory) <= MEGABYTE * 1e9 < max(on_disk)
    if frames < 100:
        again = bench.run(tmp_path / "more", job, feature_disk=0.0, feature_memory=MEGABYTE)
        assert again.encoded > frames
        plain = bench.run(tmp_path / "plain", job)
        assert_equal(found, plain)
        assert_equal(again, plain)
