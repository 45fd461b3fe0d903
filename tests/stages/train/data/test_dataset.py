"""Samples: what a sentence's clip holds, and that only its number decides."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from train_mini import FRAMES, SENTENCES, SIZE, SPANS, VIDEO_IDS, small, square, write_index

from schemas.errors import CorruptInput, MissingInput
from schemas.layouts import MOMENTS_TABLE
from schemas.parquet import read_table, rows_of, write_table
from schemas.tables import MOMENTS
from stages.core.index.index import Index
from stages.train.config import TrainInputs
from stages.train.data.dataset import ClipDataset, Sample
from stages.train.data.targets import FULL, ReferentMasks

MANY = 64


def dataset(inputs: TrainInputs, *, size: int = SIZE, **changes: object) -> ClipDataset:
    return ClipDataset(inputs.index, inputs.text, small(**changes), size=size)


def of_sentence(data: ClipDataset, name: str) -> list[Sample]:
    taken = [data[number] for number in range(MANY)]
    return [sample for sample in taken if sample.expression_id == name]


def expected_target(annos: tuple[str, ...], frame: int) -> np.ndarray:
    masks = [square("abc".index(anno), frame) for anno in annos]
    return np.maximum.reduce([np.zeros((SIZE, SIZE), np.uint8), *masks])


def test_an_epoch_meets_every_sentence_once(inputs: TrainInputs) -> None:
    data = dataset(inputs)
    count = len(SENTENCES) * len(VIDEO_IDS)
    epochs = [[data.expression(e * count + i).key for i in range(count)] for e in range(3)]
    assert all(len(set(epoch)) == count for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_oss_targets_every_frame_by_the_referents_that_act(inputs: TrainInputs) -> None:
    """The clip's targets are recomputed from the hand-written spans, frame by frame."""
    met = set()
    for sample in of_sentence(dataset(inputs, flip=0.0), "0"):
        frames = sample.frames.tolist()
        acting = tuple(
            anno
            for anno, spans in SPANS.items()
            if any(start <= f < end for start, end in spans for f in frames)
        )
        met.add(acting)
        for place, frame in enumerate(frames):
            assert (sample.targets[place].numpy() == FULL * expected_target(acting, frame)).all()
    assert len(met) > 2
    assert met != {("a", "b", "c")}


def test_without_oss_all_referents_are_targets(inputs: TrainInputs) -> None:
    for sample in of_sentence(dataset(inputs, flip=0.0, oss=False), "0"):
        for place, frame in enumerate(sample.frames.tolist()):
            truth = expected_target(("a", "b", "c"), frame)
            assert (sample.targets[place].numpy() == FULL * truth).all()


def test_labels_follow_the_spans(inputs: TrainInputs) -> None:
    inside = {f for spans in SPANS.values() for start, end in spans for f in range(start, end)}
    for sample in of_sentence(dataset(inputs, routing_noise=0.0), "0"):
        labels = [frame in inside for frame in sample.frames.tolist()]
        assert sample.relevant.tolist() == sample.guided.tolist() == labels


def test_noise_of_the_routing_leaves_the_labels_alone(inputs: TrainInputs) -> None:
    noisy = of_sentence(dataset(inputs, routing_noise=1.0), "0")
    plain = of_sentence(dataset(inputs, routing_noise=0.0), "0")
    for one, other in zip(noisy, plain, strict=True):
        assert torch.equal(one.relevant, other.relevant)
        assert torch.equal(one.targets, other.targets)
        assert one.guided.any()
    wrong = [sample.guided != sample.relevant for sample in noisy]
    assert any((miss & sample.relevant).any() for miss, sample in zip(wrong, noisy, strict=True))
    assert any((miss & ~sample.relevant).any() for miss, sample in zip(wrong, noisy, strict=True))


def test_a_sentence_without_target_guides_frames_to_nothing(inputs: TrainInputs) -> None:
    for sample in of_sentence(dataset(inputs), "2"):
        assert not sample.targets.any()
        assert not sample.relevant.any()
        assert 1 <= sample.guided.sum() <= 3


def test_a_sentence_that_is_never_true_has_no_target(inputs: TrainInputs, tmp_path: Path) -> None:
    write_index(tmp_path / "index")
    table = tmp_path / "index" / MOMENTS_TABLE
    rows = read_table(table, MOMENTS).to_pylist()
    kept = [row for row in rows if row["expression_id"] != "0"]
    never = [{**kept[0], "video_id": video, "expression_id": "0"} for video in VIDEO_IDS]
    kept += [row | {"anno_id": None, "start_frame": 0, "end_frame": 0} for row in never]
    write_table(table, rows_of(kept, MOMENTS), MOMENTS)
    changed = replace(inputs, index=tmp_path / "index")
    for oss in (True, False):
        for sample in of_sentence(dataset(changed, oss=oss), "0"):
            assert not sample.targets.any()
            assert not sample.relevant.any()
            assert 1 <= sample.guided.sum() <= 3
    baseline = dataset(changed, sampling="random", mdp=False, oss=False)
    assert all(s.relevant.all() and s.targets.any() for s in of_sentence(baseline, "0"))


def test_unknown_moments_are_the_whole_video(inputs: TrainInputs) -> None:
    for sample in of_sentence(dataset(inputs), "3"):
        assert sample.relevant.all()
        assert sample.targets.flatten(1).any(dim=1).all()


def test_the_baseline_never_looks_at_a_moment(
    inputs: TrainInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the baseline asked for a moment")

    monkeypatch.setattr(Index, "moments", refuse)
    monkeypatch.setattr(Index, "relevant", refuse)
    data = dataset(inputs, sampling="random", mdp=False, oss=False)
    assert all(data[number].relevant.all() for number in range(MANY))
    with pytest.raises(AssertionError, match="asked for a moment"):
        dataset(inputs)[0]


def test_a_mirrored_clip_has_the_mirrored_sentence_or_is_none(inputs: TrainInputs) -> None:
    """The mirror of sentence 1 is not among the texts, that of sentence 0 neither; 3 has none."""
    data = dataset(inputs, flip=1.0)
    assert not any(s.flipped for name in "01" for s in of_sentence(data, name))
    straight = dataset(inputs, flip=0.0)
    pairs = [(data[n], straight[n]) for n in range(MANY) if data.expression(n).text == "a square"]
    assert pairs
    for mirrored, plain in pairs:
        assert mirrored.flipped
        assert not plain.flipped
        assert mirrored.pixels is not None
        assert plain.pixels is not None
        assert torch.equal(mirrored.pixels, plain.pixels.flip(-1))
        assert torch.equal(mirrored.targets, plain.targets.flip(-1))


def test_colours_change_only_where_no_colour_is_named(inputs: TrainInputs) -> None:
    changed, plain = dataset(inputs, colour=0.5, flip=0.0), dataset(inputs, flip=0.0)
    for number in range(16):
        same = torch.equal(changed[number].pixels, plain[number].pixels)
        assert same == ("red" in plain.expression(number).text)


def test_the_seed_changes_clips(inputs: TrainInputs) -> None:
    one, two = dataset(inputs), dataset(inputs, seed=1)
    assert any((one[n].frames != two[n].frames).any() for n in range(8))


def test_frames_come_at_the_training_size_and_masks_at_that_of_the_losses(
    inputs: TrainInputs,
) -> None:
    data = ClipDataset(inputs.index, inputs.text, small(flip=0.0), size=32, target_side=16)
    for sample in of_sentence(data, "1"):
        assert sample.pixels.shape == (4, 3, 32, 32)
        for place, frame in enumerate(sample.frames.tolist()):
            truth = expected_target(("a",), frame).reshape(16, 4, 16, 4).mean(axis=(1, 3))
            assert (sample.targets[place].numpy() == FULL * truth).all()


# --- several sentences of a clip --------------------------------------------------------------


def test_a_clip_shares_its_frames_among_sentences(inputs: TrainInputs) -> None:
    """The first is what it is alone; the others have labels and targets of their own."""
    alone, data = dataset(inputs, flip=0.0), dataset(inputs, flip=0.0, sentences_per_clip=3)
    own, distinct = set(), 0
    for number in range(MANY):
        first, *others = data.clip(number, number)
        single = alone[number]
        for name in ("pixels", "targets", "relevant", "guided", "hidden"):
            assert torch.equal(getattr(first, name), getattr(single, name)), name
        assert first.name == single.name
        assert (first.weight == 1).all()
        met = {sample.expression_id for sample in (first, *others)}
        assert len(met) in (2, 3)  # one repeats where too few have a moment in the clip
        distinct += len(met) == 3
        for other in others:
            assert other.pixels is None
            assert other.video_id == first.video_id
            assert (other.frames == first.frames).all()
            assert other.relevant.any() or other.expression_id == "2"  # that has no target
            assert other.guided.any()
            acting = [a for a in "abc" if a in dict(SENTENCES.values())[_text(other)]]
            own.add((other.expression_id, bool(other.targets.any())))
            if other.expression_id == "1":
                for place, frame in enumerate(other.frames.tolist()):
                    truth = FULL * expected_target(tuple(acting), frame)
                    assert (other.targets[place].numpy() == truth).all()
    assert own == {("0", True), ("1", True), ("2", False), ("3", True)}
    assert distinct > MANY / 2


def _text(sample: Sample) -> str:
    return SENTENCES[sample.expression_id][0]


def test_sentences_repeat_without_weight_where_a_video_has_too_few(inputs: TrainInputs) -> None:
    for sample in (dataset(inputs, sentences_per_clip=7).clip(n, n) for n in range(8)):
        assert len(sample) == 7
        met: set[str] = set()
        for one in sample:
            assert bool(one.weight.any()) == (one.expression_id not in met)
            met.add(one.expression_id)
        assert 2 <= len(met) <= 4


def test_a_clip_is_mirrored_only_if_all_its_sentences_can_be(inputs: TrainInputs) -> None:
    """Sentences with left and right have no mirrored ones among the texts."""
    data = dataset(inputs, flip=1.0, sentences_per_clip=2)
    for number in range(MANY):
        clip = data.clip(number, number)
        texts = [_text(sample) for sample in clip]
        can = not any("left" in text or "right" in text for text in texts)
        assert {sample.flipped for sample in clip} == {can}


def test_a_copy_for_a_worker_reads_no_table_again(own: TrainInputs) -> None:
    """Reading them leaves more memory behind in each worker than the index takes."""
    data = dataset(own, sentences_per_clip=2)
    assert data.index.masks.has_rows
    copy = pickle.loads(pickle.dumps(data))
    expected = [data.clip(number, number) for number in range(8)]
    for table in ("videos", "expressions", "moments"):
        (own.index / f"{table}.parquet").unlink()
    for number, clip in enumerate(expected):
        for one, other in zip(clip, copy.clip(number, number), strict=True):
            assert one.name == other.name
            for part in ("targets", "relevant", "guided", "hidden", "weight"):
                assert torch.equal(getattr(one, part), getattr(other, part))


@pytest.fixture
def own(inputs: TrainInputs, tmp_path: Path) -> TrainInputs:
    """Inputs whose index may be damaged."""
    write_index(tmp_path / "index")
    return replace(inputs, index=tmp_path / "index")


def test_a_truncated_frame_is_named(own: TrainInputs) -> None:
    for video in VIDEO_IDS:
        for frame in range(FRAMES):
            path = own.index / "frames" / video / f"{frame:05d}.jpg"
            path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CorruptInput, match=r"0000\d\.jpg"):
        dataset(own)[0]


def test_a_lost_frame_is_named(own: TrainInputs) -> None:
    for path in (own.index / "frames").rglob("*.jpg"):
        path.unlink()
    with pytest.raises(MissingInput, match=r"0000\d\.jpg"):
        dataset(own)[0]


def test_a_frame_of_another_size_is_named(own: TrainInputs) -> None:
    from PIL import Image

    for path in (own.index / "frames").rglob("*.jpg"):
        Image.new("RGB", (20, 30)).save(path)
    with pytest.raises(CorruptInput, match=r"0000\d\.jpg: is 20x30, the index says 64x64"):
        dataset(own)[0]


def test_a_referent_without_masks_is_named(inputs: TrainInputs) -> None:
    index = Index.open(inputs.index)
    with pytest.raises(CorruptInput, match="no mask of ghost"):
        ReferentMasks.of(index, index.videos["one"], ("ghost",))
