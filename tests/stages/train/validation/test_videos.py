"""Features of held-out videos: kept while they fit, encoded again otherwise, equal either way."""

from pathlib import Path

import numpy as np
import pytest
import torch
from train_mini import FRAMES, SIZE, CountingEncoder

from stages.core.index.index import Index
from stages.train.config import TrainInputs
from stages.train.data.features import CachedFeatures
from stages.train.data.pixels import read_pixels
from stages.train.data.stored_rows import DiskBudget
from stages.train.validation.videos import KeptVideos, StoredVideos

CPU = torch.device("cpu")


@pytest.mark.parametrize(("kept", "encoded"), [(2, 2), (1, 3), (0, 4)])
def test_videos_that_fit_are_encoded_once(
    inputs: TrainInputs, encoder: CountingEncoder, kept: int, encoded: int
) -> None:
    index = Index.open(inputs.index)
    video = next(iter(index.videos.values()))
    one = encoder(read_pixels(video, np.arange(FRAMES), SIZE))
    encoder.frames = 0
    videos = KeptVideos(encoder, SIZE, CPU, decoders=1, budget=kept * one.nbytes)
    for _ in range(2):
        for video in index.videos.values():
            with videos(video) as features:
                found = features.of(range(FRAMES))
            expected = encoder.model.encode_frames(read_pixels(video, np.arange(FRAMES), SIZE))
            assert (found.coarse - expected.coarse).abs().max() <= 1e-5
    assert encoder.frames == encoded * FRAMES


def test_a_video_read_in_part_is_not_kept(inputs: TrainInputs, encoder: CountingEncoder) -> None:
    video = Index.open(inputs.index).videos["one"]
    videos = KeptVideos(encoder, SIZE, CPU, decoders=1)
    for _ in range(2):
        with videos(video) as features:
            features.of([0])
    assert encoder.frames == 2 * 8  # a chunk each time


def test_a_cache_on_disk_serves_the_videos_that_it_holds(
    inputs: TrainInputs, encoder: CountingEncoder, tmp_path: Path
) -> None:
    index = Index.open(inputs.index)
    row = encoder(read_pixels(index.videos["one"], np.arange(1), SIZE)).nbytes // 2  # in float16
    cache = CachedFeatures(
        tmp_path / "c", index, encoder, SIZE, CPU, DiskBudget(FRAMES * row), mirrored=False
    )
    assert cache.rows.videos == {"one"}
    videos = StoredVideos(cache, KeptVideos(encoder, SIZE, CPU, decoders=1))
    for name, tolerance in (("one", 2e-3), ("two", 1e-5)):
        with videos(index.videos[name]) as features:
            assert len(features) == FRAMES
            found = features.of([7, 2])
        expected = encoder(read_pixels(index.videos[name], np.array([7, 2]), SIZE))
        largest = expected.fine.abs().max()
        assert (found.fine - expected.fine).abs().max() <= tolerance * max(1, largest)
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["one"]
