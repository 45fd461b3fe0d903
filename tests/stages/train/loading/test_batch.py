"""Batches of clips: stacked where they are made, moved as a whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from train_mini import SIZE, small

from stages.train.config import TrainInputs
from stages.train.data.dataset import ClipDataset, Sample
from stages.train.loading import batch as batch_module
from stages.train.loading.batch import LoadedClips

T = 4


def clips(inputs: TrainInputs, sentences: int = 1, count: int = 3) -> list[tuple[Sample, ...]]:
    config = small(sentences_per_clip=sentences)
    data = ClipDataset(inputs.index, inputs.text, config, size=SIZE, target_side=16)
    return [data.clip(number, number) for number in range(count)]


@pytest.mark.parametrize("sentences", [1, 3])
def test_sentences_are_rows_clip_after_clip(inputs: TrainInputs, sentences: int) -> None:
    made = clips(inputs, sentences)
    batch = LoadedClips.of(made)
    assert (len(batch), batch.sentences) == (3, sentences)
    samples = [sample for clip in made for sample in clip]
    assert batch.names == tuple(sample.name for sample in samples)
    for row, sample in enumerate(samples):
        assert torch.equal(batch.targets[row], sample.targets)
        assert torch.equal(batch.guided[row], sample.guided)
        assert batch.times[row].tolist() == sample.frames.tolist()
        length = len(sample.text.tokens)
        assert np.array_equal(batch.text.tokens[row, :length].numpy(), sample.text.embeddings)
    assert batch.pixels is not None
    for number, (first, *_) in enumerate(made):
        assert batch.clip(number) == first.name
        assert batch.frames[number].tolist() == first.frames.tolist()
        assert torch.equal(batch.pixels[number * T : (number + 1) * T], first.pixels)


def test_a_worker_stacks_frames_in_shared_memory(
    inputs: TrainInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are handed over without another copy."""
    made = clips(inputs)
    here = LoadedClips.of(made).pixels
    monkeypatch.setattr(batch_module, "get_worker_info", object)
    there = LoadedClips.of(made).pixels
    assert here is not None
    assert there is not None
    assert there.is_shared()
    assert not here.is_shared()
    assert torch.equal(here, there)


def test_a_batch_moves_with_all_its_tensors(inputs: TrainInputs) -> None:
    batch = LoadedClips.of(clips(inputs))
    moved = batch.to(torch.device("meta"))
    assert len(moved.tensors()) == len(batch.tensors()) == 11  # rows are None
    assert {tensor.device.type for tensor in moved.tensors()} == {"meta"}
    assert moved.names == batch.names
