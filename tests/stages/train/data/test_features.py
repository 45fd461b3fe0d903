"""Cached features: equal to those of the live encoder but for float16, and of whole videos."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from train_mini import FRAMES, SIZE, VIDEO_IDS, CountingEncoder, small

from stages.core.index.index import Index
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.tgl import TglModel
from stages.train.config import TrainInputs
from stages.train.data.dataset import ClipDataset
from stages.train.data.features import CachedFeatures, ClipFeatures
from stages.train.data.mixture import ClipMixture, Shares
from stages.train.data.stored_rows import DiskBudget, StoredRows
from stages.train.data.windows import WindowDataset
from stages.train.loading.batch import LoadedClips

CPU = torch.device("cpu")
HALF_PRECISION = 2e-3
CLIPS = 6


@pytest.fixture(scope="module")
def row(shared_model: TglModel) -> int:
    """Bytes of a frame."""
    encoder = CountingEncoder(shared_model)
    return encoder(torch.zeros(1, 3, SIZE, SIZE, dtype=torch.uint8)).nbytes // 2


def cache(
    folder: Path, inputs: TrainInputs, encoder: CountingEncoder, budget: int = 10**9
) -> CachedFeatures:
    index = Index.open(inputs.index)
    return CachedFeatures(folder, index, encoder, SIZE, CPU, DiskBudget(budget), mirrored=True)


def loaded(inputs: TrainInputs, rows: StoredRows | None = None) -> LoadedClips:
    """The first clips, as a worker makes them."""
    data = ClipDataset(inputs.index, inputs.text, small(), size=SIZE, cache=rows)
    return LoadedClips.of([data.clip(number, number) for number in range(CLIPS)])


def of_batch(stored: CachedFeatures, inputs: TrainInputs) -> FrameFeatures:
    features = ClipFeatures(stored._encode, CPU, [stored])
    return features.of_batch(loaded(inputs, stored.rows))


def assert_close(one: FrameFeatures, two: FrameFeatures, tolerance: float) -> None:
    for name, tensor in one.as_tensors().items():
        other = two.as_tensors()[name]
        assert (tensor - other).abs().max() <= tolerance * max(1.0, other.abs().max())


def test_cached_equals_live_and_the_second_time_workers_read_it(
    tmp_path: Path, inputs: TrainInputs, encoder: CountingEncoder
) -> None:
    clips = loaded(inputs)
    assert any(clips.flipped)
    assert not all(clips.flipped)
    stored = cache(tmp_path / "c", inputs, encoder)
    first = of_batch(stored, inputs)
    assert_close(first, ClipFeatures(encoder, CPU).of_batch(clips), HALF_PRECISION)
    again = cache(tmp_path / "c", inputs, encoder)
    encoder.frames = 0
    clips = loaded(inputs, again.rows)
    assert clips.pixels is None
    assert clips.with_rows == tuple(range(CLIPS))
    assert_close(ClipFeatures(encoder, CPU, [again]).of_batch(clips), first, 0.0)
    assert encoder.frames == 0


def test_windows_too(tmp_path: Path, inputs: TrainInputs, encoder: CountingEncoder) -> None:
    stored = cache(tmp_path / "c", inputs, encoder)
    plain, caching = (
        WindowDataset(
            ClipMixture(
                [ClipDataset(inputs.index, inputs.text, small(), size=SIZE, cache=rows)],
                Shares.of([1]),
            ),
            length=9,
            seed=0,
            size=SIZE,
        )
        for rows in (None, stored.rows)
    )
    live = ClipFeatures(encoder, CPU).of_window(plain[0])
    assert len(live) == 9
    features = ClipFeatures(encoder, CPU, [stored])
    first = caching[0]
    assert first.pixels is None
    assert first.rows is None
    assert_close(features.of_window(first), live, HALF_PRECISION)
    second = caching[0]
    assert second.rows is not None
    assert_close(features.of_window(second), features.of_window(first), 0.0)


def test_a_video_is_cached_as_a_whole_or_not_at_all(
    tmp_path: Path, inputs: TrainInputs, encoder: CountingEncoder, row: int
) -> None:
    """With room for one video and its mirror image: of the other, nothing but clips is encoded."""
    live = ClipFeatures(encoder, CPU).of_batch(loaded(inputs))
    budget = 3 * FRAMES * row
    stored = cache(tmp_path / "c", inputs, encoder, budget)
    assert stored.rows.videos == {VIDEO_IDS[0]}
    for _ in range(2):
        encoder.frames = 0
        clips = loaded(inputs, stored.rows)
        found = ClipFeatures(encoder, CPU, [stored]).of_batch(clips)
        assert_close(found, live, HALF_PRECISION)
        others = len(clips.with_pixels) * clips.frames.shape[1]
        assert 0 < others < len(live)
    assert encoder.frames == others, "the second time, the cached video is read"
    files = {path.name: path.stat().st_size for path in (tmp_path / "c").iterdir()}
    assert set(files) <= {VIDEO_IDS[0], f"{VIDEO_IDS[0]}.mirrored"}
    assert set(files.values()) == {FRAMES * row}
    assert sum(files.values()) <= budget


def test_a_damaged_file_is_made_again(
    tmp_path: Path, inputs: TrainInputs, encoder: CountingEncoder
) -> None:
    first = of_batch(cache(tmp_path / "c", inputs, encoder), inputs)
    for file in (tmp_path / "c").iterdir():
        file.write_bytes(file.read_bytes()[:100])
    assert_close(of_batch(cache(tmp_path / "c", inputs, encoder), inputs), first, 0.0)


def test_a_full_disk_changes_no_number(
    tmp_path: Path, inputs: TrainInputs, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = of_batch(cache(tmp_path / "c", inputs, encoder), inputs)
    monkeypatch.setattr(StoredRows, "write", lambda *_: False)
    full = cache(tmp_path / "full", inputs, encoder)
    assert_close(of_batch(full, inputs), first, 0.0)
    assert not list((tmp_path / "full").iterdir())
