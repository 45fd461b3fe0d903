"""Features of held-out videos: kept while they fit, encoded again otherwise, equal either way."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from train_mini import FRAMES, SIZE

from stages.core.index.index import Index
from stages.core.model.backbones.families import load_backbone
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.config import ModelConfig
from stages.core.model.tgl import TglModel
from stages.train.config import TrainInputs
from stages.train.data.dataset import read_pixels
from stages.train.data.features import CachedFeatures, DiskBudget
from stages.train.validation.videos import KeptVideos, StoredVideos

CPU = torch.device("cpu")


class CountingEncoder:
    """The model's encoder, with a count of the frames that it was shown."""

    def __init__(self, folder: Path):
        self.model = TglModel(ModelConfig(), load_backbone(folder), 16).eval()
        self.frames = 0

    def __call__(self, frames: Tensor) -> FrameFeatures:
        self.frames += len(frames)
        return self.model.encode_frames(frames)


@pytest.fixture
def encoder(backbone: Path) -> CountingEncoder:
    return CountingEncoder(backbone)


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


def test_a_cache_on_disk_serves_too(
    inputs: TrainInputs, encoder: CountingEncoder, tmp_path: Path
) -> None:
    index = Index.open(inputs.index)
    cache = CachedFeatures(tmp_path / "c", index, encoder, SIZE, CPU, DiskBudget(10**9))
    with StoredVideos(cache)(index.videos["two"]) as features:
        assert len(features) == FRAMES
        found = features.of([7, 2])
    expected = cache.of_video(index.videos["two"], np.array([7, 2]))
    assert torch.equal(found.fine, expected.fine)
