"""Masks made of tracks: given ones, own ones, resumption, and what is refused.

The miniature's model is random: its masks are of any shape, and given tracks are squares.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from track_runs import TRACKS, content, objects, propagate, square, with_tracks, write_tracks

from schemas.errors import ConfigError, MissingInput
from schemas.layouts import EXPRESSIONS_TABLE, MASKS_TABLE, PROPAGATION_TABLE
from schemas.parquet import read_table, rows_of, write_table
from schemas.tables import EXPRESSIONS, MASKS, PROPAGATION
from stages.core.media.frames import read_frame
from stages.core.media.rle import encode
from stages.core.model.checkpoint import load_checkpoint, save_checkpoint
from stages.core.model.tgl import TglModel
from stages.propagate.config import PropagateInputs, tracks_index
from stages.propagate.tracks import runner

OWN = {
    "tracks": "own",
    "choose": "vote",
    "object_gate": False,
    "vote_threshold": 0.05,
    "track_frames": 16,
}
GIVEN = {"tracks": "file", "choose": "vote", "object_gate": False, "vote_threshold": 0.05}


@pytest.fixture(scope="module")
def whole(made_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact of own tracks; to be read only."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("whole") / "out"
    inputs = PropagateInputs(*(made_world / name for name in ("index", "text", "checkpoint")))
    propagate(inputs, out, **OWN)
    return out


def test_a_mask_is_the_union_of_the_chosen_tracks(world: Any, tmp_path: Path) -> None:
    inputs = with_tracks(world, tmp_path / "tracks")
    outcome, _ = propagate(inputs, tmp_path / "out", **GIVEN)
    chosen = objects(tmp_path / "out")
    assert chosen  # some sentence has a track
    assert outcome.counts["chosen tracks"] == sum(map(len, chosen.values()))
    rows = read_table(tmp_path / "out" / PROPAGATION_TABLE, PROPAGATION).to_pylist()
    areas = {(r["video_id"], r["expression_id"], r["frame"]): r["mask_area"] for r in rows}
    for (video, name), frames in ((key, world.lengths[key[0]]) for key in world.sentences):
        own = [TRACKS[row["anno_id"]] for row in chosen.get((video, name), [])]
        union = sum((square(world, left) for left in own), np.zeros(world.size, bool))
        for frame in range(frames):
            path = tmp_path / "out" / video / name / f"{frame:05d}.png"
            assert np.array_equal(read_frame(path)[:, :, 0] > 0, union)
            assert areas[video, name, frame] == union.sum()
    best = [rows[0]["score"] for rows in chosen.values()]
    assert all(
        row["score"] >= 0.7 * score
        for score, own in zip(best, chosen.values(), strict=True)
        for row in own
    )


def test_a_sentence_without_target_chooses_nothing(world: Any, tmp_path: Path) -> None:
    propagate(with_tracks(world, tmp_path / "tracks"), tmp_path / "out", **GIVEN)
    assert ("a", "2") not in objects(tmp_path / "out")
    rows = read_table(tmp_path / "out" / PROPAGATION_TABLE, PROPAGATION).to_pylist()
    assert {row["route"] for row in rows if row["expression_id"] == "2"} == {"empty"}


def test_an_annotated_moment_takes_its_best_track_whatever_its_vote(
    world: Any, tmp_path: Path
) -> None:
    """A predicted one may belong to a sentence without a target."""
    inputs = with_tracks(world, tmp_path / "tracks")
    high = GIVEN | {"vote_threshold": 1.0}
    propagate(inputs, tmp_path / "annotated", **high)
    assert set(objects(tmp_path / "annotated")) == {
        ("a", "0"),
        ("a", "1"),
        ("b", "0"),
        ("c", "x y"),
    }
    propagate(inputs, tmp_path / "all", **high, moments="all")
    assert objects(tmp_path / "all") == {}


def test_own_tracks_are_named_and_counted(world: Any, tmp_path: Path) -> None:
    outcome, warnings = propagate(world.inputs, tmp_path / "out", **OWN)
    counts = outcome.counts
    names = {row["anno_id"] for own in objects(tmp_path / "out").values() for row in own}
    assert names
    assert all(name[:2] in ("a_", "b_", "c_") and name[2:].isdigit() for name in names)
    assert counts["tracks"] == counts["objects tracked"] - counts["tracks merged"]
    without = counts["sentences without a track"]
    assert bool(without) == any("no track fits the masks" in line for line in warnings)


def test_more_sentences_per_batch_do_not_change_the_tracks(
    world: Any, whole: Path, tmp_path: Path
) -> None:
    propagate(world.inputs, tmp_path / "single", **OWN, expressions_per_batch=1)
    many, single = (content(out) for out in (whole, tmp_path / "single"))
    many.pop(PROPAGATION_TABLE), single.pop(PROPAGATION_TABLE)  # last bits of relevances
    assert many == single


def test_objects_beyond_the_limit_are_told(world: Any, tmp_path: Path) -> None:
    outcome, warnings = propagate(
        world.inputs, tmp_path / "out", **OWN, max_tracks=1, moments="all"
    )
    left = outcome.counts["masks not tracked (--max-tracks)"]
    assert left > 0
    assert any(f"{left} parts of masks not tracked: --max-tracks is 1" in w for w in warnings)


def test_a_video_is_finished_as_a_whole(
    world: Any, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tracks of a video depend on all of its sentences."""
    original = runner.write_chosen

    def stop(job: Any, *rest: Any) -> np.ndarray:
        if job.video.video_id == "b":
            raise KeyboardInterrupt
        return original(job, *rest)

    out = tmp_path / "out"
    monkeypatch.setattr(runner, "write_chosen", stop)
    with pytest.raises(KeyboardInterrupt):
        propagate(world.inputs, out, **OWN)
    assert not out.exists()
    monkeypatch.setattr(runner, "write_chosen", original)
    outcome, _ = propagate(world.inputs, out, **OWN)
    assert outcome.counts["videos finished before"] == 1
    assert outcome.counts["expressions finished before"] == 3
    assert content(out) == content(whole)
    assert propagate(world.inputs, out, **OWN)[0].skipped
    assert not propagate(world.inputs, out, **OWN, vote_share=0.5)[0].skipped


def test_one_new_sentence_costs_its_video(own_world: Any, tmp_path: Path) -> None:
    path = own_world.inputs.index / EXPRESSIONS_TABLE
    rows = read_table(path, EXPRESSIONS).to_pylist()
    before = [row for row in rows if (row["video_id"], row["expression_id"]) != ("a", "2")]
    write_table(path, rows_of(before, EXPRESSIONS), EXPRESSIONS)
    propagate(own_world.inputs, tmp_path / "out", **OWN)
    write_table(path, rows_of(rows, EXPRESSIONS), EXPRESSIONS)
    outcome, _ = propagate(own_world.inputs, tmp_path / "out", **OWN)
    assert outcome.counts["videos finished before"] == len(own_world.lengths) - 1


def test_other_tracks_recompute_their_video_alone(world: Any, tmp_path: Path) -> None:
    inputs = with_tracks(world, tmp_path / "tracks")
    propagate(inputs, tmp_path / "out", **GIVEN)
    changed = write_tracks(world, tmp_path / "changed", TRACKS | {"b1": 3})
    outcome, _ = propagate(replace(inputs, tracks=changed), tmp_path / "out", **GIVEN)
    assert outcome.counts["videos finished before"] == 2


def test_a_video_whose_tracks_do_not_fit_fails_alone(world: Any, tmp_path: Path) -> None:
    folder = write_tracks(world, tmp_path / "tracks", TRACKS)
    masks = read_table(folder / MASKS_TABLE, MASKS).to_pylist()
    small = encode(np.ones((4, 4), bool))["counts"]
    for row in masks:
        if row["anno_id"] == "b1":
            row |= {"height": 4, "width": 4, "counts": small}
    write_table(folder / MASKS_TABLE, rows_of(masks, MASKS), MASKS)
    outcome, _ = propagate(replace(world.inputs, tracks=folder), tmp_path / "out", **GIVEN)
    assert outcome.counts["videos failed"] == 1
    assert (
        "the mask of b1 in frame 0 does not fit the video of 70x50 pixels" in outcome.failures["b"]
    )


def test_the_stream_has_no_tracks(world: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--tracks: needs the whole video, --online reads it"):
        propagate(world.inputs, tmp_path / "out", online=True, tracks="own")


def test_tracks_are_a_word_or_an_index(world: Any, tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="'owm' is neither a folder nor one of auto, off, own"):
        tracks_index("owm")
    with pytest.raises(MissingInput, match="is not an index of tracks, it lacks"):
        tracks_index(str(tmp_path))
    assert tracks_index(str(world.inputs.index)) == world.inputs.index
    with pytest.raises(ConfigError, match="--tracks file go together"):
        propagate(world.inputs, tmp_path / "out", tracks="file")


def test_a_checkpoint_tracks_with_the_weights_before_training(world: Any, tmp_path: Path) -> None:
    """They are stored beside the trained ones, and share the image encoder with them."""
    first = load_checkpoint(world.inputs.checkpoint)
    assert first.original is None
    assert first.tracker() is first.backbone  # a checkpoint of an earlier release
    model = TglModel(
        first.config, first.backbone, first.text_dim, first.segmenter, keep_original=True
    )
    before = {name: p.clone() for name, p in model.backbone.named_parameters()}
    with torch.no_grad():
        for parameter in model.parameter_groups()["pretrained"].values():
            parameter.add_(1)
    save_checkpoint(tmp_path / "checkpoint", model, encoder="random")
    loaded = load_checkpoint(tmp_path / "checkpoint")
    tracker = loaded.tracker()
    assert all(torch.equal(p, before[name]) for name, p in tracker.named_parameters())
    assert tracker.image_encoder is loaded.backbone.image_encoder
    trained = dict(loaded.backbone.named_parameters())
    changed = [n for n in before if not torch.equal(trained[n], before[n])]
    assert len(changed) == len(loaded.parameter_groups()["pretrained"])
    assert not any(p.requires_grad for p in loaded.original.parameters())
