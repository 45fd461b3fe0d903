"""Cached features: equal to those encoded anew but for float16, bounded, shared by clips."""

from pathlib import Path

import pytest
import torch
from train_mini import SIZE, CountingEncoder, small

from stages.core.index.index import Index
from stages.core.model.backbones.features import FrameFeatures
from stages.train.config import TrainInputs
from stages.train.data.dataset import ClipDataset, Sample
from stages.train.data.features import CachedFeatures, DiskBudget, LiveFeatures
from stages.train.data.mixture import ClipMixture, Shares
from stages.train.data.windows import WindowDataset

CPU = torch.device("cpu")
HALF_PRECISION = 2e-3


@pytest.fixture
def clips(inputs: TrainInputs) -> list[Sample]:
    data = ClipDataset(inputs.index, inputs.text, small(), size=SIZE, with_pixels=True)
    return [data[number] for number in range(6)]


def cache(
    folder: Path, inputs: TrainInputs, encoder: CountingEncoder, budget: int = 10**9
) -> CachedFeatures:
    index = Index.open(inputs.index)
    return CachedFeatures(folder, index, encoder, SIZE, CPU, DiskBudget(budget))


def assert_close(one: FrameFeatures, two: FrameFeatures, tolerance: float) -> None:
    for name, tensor in one.as_tensors().items():
        other = two.as_tensors()[name]
        assert (tensor - other).abs().max() <= tolerance * max(1.0, other.abs().max())


def test_cached_equals_live(
    tmp_path: Path, inputs: TrainInputs, encoder: CountingEncoder, clips: list[Sample]
) -> None:
    assert any(clip.flipped for clip in clips)
    cached = cache(tmp_path / "c", inputs, encoder).of_batch(clips)
    assert_close(cached, LiveFeatures(encoder, CPU).of_batch(clips), HALF_PRECISION)


def test_windows_too(
    tmp_path: Path, inputs: TrainInputs, encoder: CountingEncoder, clips: list[Sample]
) -> None:
    data = ClipDataset(inputs.index, inputs.text, small(), size=SIZE, with_pixels=True)
    window = WindowDataset(
        ClipMixture([data], Shares.of([1])), length=9, seed=0, size=SIZE, with_pixels=True
    )[0]
    live = LiveFeatures(encoder, CPU).of_window(window)
    assert len(live) == 9
    cached = cache(tmp_path / "c", inputs, encoder)
    assert_close(cached.of_window(window), live, HALF_PRECISION)
    some = cached.of_video(Index.open(inputs.index).videos[window.video_id], window.frames[[0, 8]])
    assert_close(some, live[[0, 8]], HALF_PRECISION)


def test_a_second_run_encodes_nothing_and_reads_the_same(
    tmp_path: Path, inputs: TrainInputs, encoder: CountingEncoder, clips: list[Sample]
) -> None:
    first = cache(tmp_path / "c", inputs, encoder).of_batch(clips)
    again = cache(tmp_path / "c", inputs, encoder)
    encoder.frames = 0
    assert_close(again.of_batch(clips), first, 0.0)
    assert encoder.frames == 0


@pytest.mark.parametrize("budget", [0, 40_000])
def test_the_budget_holds_and_changes_no_number(
    tmp_path: Path,
    inputs: TrainInputs,
    encoder: CountingEncoder,
    clips: list[Sample],
    budget: int,
) -> None:
    whole = cache(tmp_path / "whole", inputs, encoder).of_batch(clips)
    bounded = cache(tmp_path / "bounded", inputs, encoder, budget)
    assert_close(bounded.of_batch(clips[::-1]), _reversed(whole, len(clips)), 0.0)
    assert sum(file.stat().st_size for file in (tmp_path / "bounded").iterdir()) <= budget


def test_a_damaged_chunk_is_made_again(
    tmp_path: Path, inputs: TrainInputs, encoder: CountingEncoder, clips: list[Sample]
) -> None:
    first = cache(tmp_path / "c", inputs, encoder).of_batch(clips)
    for file in (tmp_path / "c").iterdir():
        file.write_bytes(file.read_bytes()[:100])
    assert_close(cache(tmp_path / "c", inputs, encoder).of_batch(clips), first, 0.0)


def _reversed(features: FrameFeatures, clips: int) -> FrameFeatures:
    frames = torch.arange(len(features)).view(clips, -1).flip(0).flatten()
    return features[frames]
