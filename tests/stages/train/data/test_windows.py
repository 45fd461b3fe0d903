"""Windows of consecutive frames for the relevance head."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from train_mini import FRAMES, SENTENCES, SIZE, VIDEO_IDS, small

from stages.core.index.index import Index
from stages.train.config import TrainInputs
from stages.train.data import windows as windows_module
from stages.train.data.dataset import ClipDataset
from stages.train.data.mixture import ClipMixture, Shares
from stages.train.data.windows import Window, WindowDataset

KNOWN = [name for name in SENTENCES if name != "3"]  # the moment of sentence 3 is not annotated


def mixture(inputs: TrainInputs, copies: int = 1) -> ClipMixture:
    """The clips of an index, or of several equal ones; the first has half of all turns."""
    common = {"size": SIZE}
    members = [
        ClipDataset(inputs.index, inputs.text, small(), member=number, **common)
        for number in range(copies)
    ]
    return ClipMixture(members, Shares.of([max(1, copies - 1)] + [1] * (copies - 1)))


def dataset(inputs: TrainInputs, length: int = 6, **changes: object) -> WindowDataset:
    clips = mixture(inputs)
    options: dict[str, object] = {"seed": 0, "size": SIZE} | changes
    return WindowDataset(clips, length=length, **options)  # type: ignore[arg-type]


def assert_same(one: Window, two: Window) -> None:
    assert one.video_id == two.video_id
    assert np.array_equal(one.frames, two.frames)
    assert torch.equal(one.relevant, two.relevant)
    assert one.pixels is not None
    assert two.pixels is not None
    assert torch.equal(one.pixels, two.pixels)


def test_a_window_has_consecutive_frames_with_the_labels_of_all_sentences(
    inputs: TrainInputs,
) -> None:
    index, data = Index.open(inputs.index), dataset(inputs)
    starts = set()
    for number in range(12):
        window = data[number]
        assert window.frames.tolist() == list(range(window.frames[0], window.frames[0] + 6))
        assert window.frames[-1] < FRAMES
        starts.add(int(window.frames[0]))
        assert window.pixels is not None
        assert window.pixels.shape == (6, 3, SIZE, SIZE)
        expected = [index.relevant(window.video_id, name)[window.frames] for name in KNOWN]
        assert np.array_equal(window.relevant.numpy(), np.stack(expected))
        assert len(window.text()) == len(KNOWN)
    assert len(starts) > 2


def test_a_window_is_a_function_of_its_number(inputs: TrainInputs) -> None:
    one, two = dataset(inputs), dataset(inputs)
    for number in (5, 0, 3):
        assert_same(one[number], two[number])
    other = dataset(inputs, seed=1)
    assert any(
        one[n].video_id != other[n].video_id or one[n].frames[0] != other[n].frames[0]
        for n in range(6)
    )


def test_every_epoch_visits_every_video_once(inputs: TrainInputs) -> None:
    data = dataset(inputs)
    found = [data[number].video_id for number in range(6 * len(VIDEO_IDS))]
    epochs = [found[start : start + len(VIDEO_IDS)] for start in range(0, len(found), 2)]
    assert all(sorted(epoch) == sorted(VIDEO_IDS) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 2  # in both orders


def test_a_short_video_is_a_window_as_a_whole(inputs: TrainInputs) -> None:
    assert dataset(inputs, length=64)[0].frames.tolist() == list(range(FRAMES))


def test_many_sentences_are_drawn_from(
    inputs: TrainInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows_module, "MOST_SENTENCES", 2)
    data = dataset(inputs, length=FRAMES)
    index = Index.open(inputs.index)
    of_sentence = {
        tuple(index.relevant(video, name).tolist()): (video, name)
        for video in VIDEO_IDS
        for name in KNOWN
    }
    drawn = set()
    for number in range(20):
        rows = {tuple(row) for row in data[number].relevant.tolist()}
        assert len(rows) == len(data[number].texts) == 2
        drawn |= {of_sentence[row][1] for row in rows}
    assert drawn == set(KNOWN)


def test_videos_of_one_frame_have_no_window(inputs: TrainInputs) -> None:
    data = dataset(inputs)
    videos = data._clips.members[0].index.videos
    videos["one"] = dataclasses.replace(videos["one"], num_frames=1)
    assert [set(known) for known in data.sentences] == [{"two"}]
    assert {data[number].video_id for number in range(4)} == {"two"}


def test_several_indexes_take_turns_and_one_of_stills_has_none(inputs: TrainInputs) -> None:
    clips = mixture(inputs, copies=3)
    data = WindowDataset(clips, length=6, seed=0, size=SIZE)
    assert sorted(data[number].member for number in range(8)) == [0, 0, 0, 0, 1, 1, 2, 2]
    found = {data[number].video_id for number in range(8) if data[number].member == 2}
    assert found == set(VIDEO_IDS)
    for clip in clips.members[0], clips.members[1]:
        for name, video in clip.index.videos.items():
            clip.index.videos[name] = dataclasses.replace(video, num_frames=1)
    stills = WindowDataset(clips, length=6, seed=0, size=SIZE)
    assert {stills[number].member for number in range(4)} == {2}
    assert stills.any


def test_workers_make_the_same_windows(inputs: TrainInputs, tmp_path: Path) -> None:
    from stages.train.loading.loader import BatchNumbers, load_batches

    data = dataset(inputs)
    batches = load_batches(data, BatchNumbers(1, 4, 1, 0, 1), 1, list)
    loaded = [window for batch in batches for window in batch]
    for number, window in enumerate(loaded, start=1):
        assert_same(window, data[number])
