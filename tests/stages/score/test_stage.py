"""The stage end to end: equal scores from every form of ground truth, and no lost sample."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import score_definition as definition
from PIL import Image
from pycocotools import mask as coco

from schemas.errors import ConfigError, CorruptInput, MissingInput
from schemas.parquet import read_table
from schemas.tables import SCORE_FRAMES, SCORES
from schemas.wording import amount
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as BUILD
from stages.core.engine.progress import SilentProgress
from stages.score.config import ScoreConfig, ScoreInputs
from stages.score.stage import STAGE

ZERO = ScoreConfig(missing="zero")


def scores(out: Path) -> dict[tuple[str, str], dict]:
    """Rows of the scores table by key."""
    rows = read_table(out / "scores.parquet", SCORES).to_pylist()
    return {(row["video_id"], row["expression_id"]): row for row in rows}


def summary(out: Path) -> dict:
    """The summary."""
    return json.loads((out / "summary.json").read_text())


def truth(mevis, video: str, expression: str, frame: int) -> np.ndarray:
    """The true mask of a sentence, bool (12, 16)."""
    mask = np.zeros((12, 16), bool)
    for anno in mevis.expression(video, expression)["anno_id"]:
        rle = mevis.masks[str(anno)][frame]
        if rle is not None:
            mask |= coco.decode(rle).astype(bool)
    return mask


def write_truth(mevis, root: Path) -> Path:
    """The ground truth of the miniature as a folder of masks."""
    for video, entry in mevis.meta["videos"].items():
        for expression in entry["expressions"]:
            folder = root / video / expression
            folder.mkdir(parents=True)
            for frame, name in enumerate(entry["frames"]):
                mask = truth(mevis, video, expression, frame)
                Image.fromarray(mask).save(folder / f"{name}.png")
    return root


def test_scores_are_those_of_the_definition(mevis, predictions, run_stage, tmp_path):
    out = run_stage(
        STAGE, ScoreConfig(), ScoreInputs(predictions.root, mevis.write()), tmp_path / "out"
    ).path
    found = scores(out)
    assert len(found) == 4  # equal sentences of two videos stay two rows
    for (video, expression), row in found.items():
        names = mevis.meta["videos"][video]["frames"]
        pairs = [
            definition.scores(
                predictions.masks[video, expression, name], truth(mevis, video, expression, frame)
            )
            for frame, name in enumerate(names)
        ]
        assert row["J"] == pytest.approx(np.mean([j for j, _ in pairs]), abs=1e-15)
        assert row["F"] == pytest.approx(np.mean([f for _, f in pairs]), abs=1e-15)
        assert row["frames"] == len(names)
    for name in ("J", "F", "JF"):
        mean = np.mean([row[name] for row in found.values()])
        assert summary(out)[name] == pytest.approx(mean, abs=1e-15)


def test_index_split_and_folder_give_the_same_frames(mevis, predictions, run_stage, tmp_path):
    split = mevis.write()
    index = run_stage(BUILD, IndexConfig(), IndexInputs(split, None, None), tmp_path / "index").path
    tables = []
    for number, gt in enumerate([split, index, write_truth(mevis, tmp_path / "masks")]):
        inputs = ScoreInputs(predictions.root, gt)
        out = run_stage(STAGE, ScoreConfig(), inputs, tmp_path / f"out{number}").path
        tables.append(read_table(out / "frames.parquet", SCORE_FRAMES))
    assert tables[0].equals(tables[1])
    assert tables[0].drop_columns(["relevant"]).equals(tables[2].drop_columns(["relevant"]))


@pytest.mark.parametrize("workers", [2, 7])
def test_workers_and_order_of_files_do_not_matter(mevis, predictions, run_stage, tmp_path, workers):
    split = mevis.write()
    one = run_stage(
        STAGE, ScoreConfig(), ScoreInputs(predictions.root, split), tmp_path / "one"
    ).path
    shutil.rmtree(predictions.root)
    preds = predictions.write(backwards=True)
    many = run_stage(
        STAGE,
        ScoreConfig(),
        ScoreInputs(preds, split),
        tmp_path / "many",
        workers=workers,
        force=True,
    ).path
    for name in ("scores.parquet", "frames.parquet", "summary.json"):
        assert (one / name).read_bytes() == (many / name).read_bytes()


def test_a_second_run_is_skipped_and_a_changed_video_is_scored_again(
    mevis, predictions, run_stage, tmp_path, monkeypatch
):
    import stages.score.stage as module

    inputs, out = ScoreInputs(predictions.root, mevis.write()), tmp_path / "out"
    before = scores(run_stage(STAGE, ScoreConfig(), inputs, out).path)
    assert run_stage(STAGE, ScoreConfig(), inputs, out).skipped
    worked = []

    def spy(job):
        worked.append(job.video.video_id)
        return module_score(job)

    module_score = module.score_video
    monkeypatch.setattr(module, "score_video", spy)
    path = predictions.path("b", "0", "00001")
    Image.fromarray(np.zeros((12, 16), np.uint8)).save(path)
    after = scores(run_stage(STAGE, ScoreConfig(), inputs, out).path)
    assert worked == ["b"]
    assert before["a", "1"] == after["a", "1"]
    assert before["b", "0"]["J"] != after["b", "0"]["J"]


def test_a_killed_run_is_completed(mevis, predictions, run_stage, killed_run, tmp_path):
    inputs = ScoreInputs(predictions.root, mevis.write())
    whole = run_stage(STAGE, ScoreConfig(), inputs, tmp_path / "whole").path
    killed_run(STAGE, ScoreConfig(), inputs, tmp_path / "out", after=1)
    out = run_stage(STAGE, ScoreConfig(), inputs, tmp_path / "out").path
    for name in ("scores.parquet", "frames.parquet", "summary.json"):
        assert (whole / name).read_bytes() == (out / name).read_bytes()


def damage(predictions, what: str) -> None:
    """Do one kind of harm to the predictions."""
    path = predictions.path("a", "1", "00002")
    if what == "no video":
        shutil.rmtree(predictions.root / "b")
    elif what == "no expression":
        shutil.rmtree(path.parent)
    elif what == "no frame":
        path.unlink()
    elif what == "wrong size":
        Image.new("L", (16, 13), 255).save(path)
    elif what == "unreadable":
        path.write_bytes(path.read_bytes()[:30])
    elif what == "a folder":
        path.unlink()
        path.mkdir()


FAULTS = {
    "no video": (MissingInput, "video b: video has no predictions", 3),
    "no expression": (MissingInput, "video a, expression 1: expression has no predictions", 6),
    "no frame": (MissingInput, "video a, expression 1, frame 00002: mask is missing", 1),
    "wrong size": (CorruptInput, "frame 00002: mask has another size than the ground truth", 1),
    "unreadable": (CorruptInput, "frame 00002: mask cannot be read", 1),
    "a folder": (MissingInput, "frame 00002: mask is missing", 1),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_stops_the_run_or_counts_as_zero(mevis, predictions, run_stage, tmp_path, what):
    kind, message, frames = FAULTS[what]
    damage(predictions, what)
    inputs = ScoreInputs(predictions.root, mevis.write())
    with pytest.raises(kind) as caught:
        run_stage(STAGE, ScoreConfig(), inputs, tmp_path / "out")
    assert message in str(caught.value)
    assert "--missing zero" in str(caught.value)
    assert "\n" not in str(caught.value)
    progress = SilentProgress()
    outcome = run_stage(STAGE, ZERO, inputs, tmp_path / "out", progress=progress)
    assert outcome.counts["frames counted as 0"] == frames
    assert summary(outcome.path)["faults"]["frames"] == frames
    assert f"{amount(frames, 'frames')} counted as 0" in progress.warnings[0]
    rows = read_table(outcome.path / "frames.parquet", SCORE_FRAMES).to_pylist()
    bad = [row for row in rows if row["fault"] is not None]
    assert len(bad) == frames
    assert all(row["J"] == 0 and row["F"] == 0 for row in bad)
    assert len(scores(outcome.path)) == 4


def test_missing_predictions_of_an_empty_truth_do_not_score(
    mevis, predictions, run_stage, tmp_path
):
    shutil.rmtree(predictions.root / "a" / "2")  # the sentence without a target
    inputs = ScoreInputs(predictions.root, mevis.write())
    out = run_stage(STAGE, ZERO, inputs, tmp_path / "out").path
    assert scores(out)["a", "2"]["JF"] == 0
    assert summary(out)["no_target"]["N_acc"] == 0


def test_the_first_five_faults_and_the_total_are_told(mevis, predictions, run_stage, tmp_path):
    for expression in ("0", "1"):
        for frame in range(4):
            predictions.path("a", expression, f"{frame:05}").unlink()
    inputs = ScoreInputs(predictions.root, mevis.write())
    with pytest.raises(MissingInput, match=r"8 faults \(8 frames\)") as caught:
        run_stage(STAGE, ScoreConfig(), inputs, tmp_path / "out")
    assert str(caught.value).count("mask is missing") == 5
    assert "and 3 more" in str(caught.value)


TRUTH_FAULTS = {
    "unknown anno id 9": lambda mevis: mevis.masks.pop("9"),
    "mask list is shorter than the video (2 of 3)": lambda mevis: mevis.masks["9"].pop(),
    "ground truth cannot be read": lambda mevis: mevis.masks["9"][1].update(counts="0"),
    "masks of the ground truth differ in size": lambda mevis: mevis.masks["8"].__setitem__(
        0, {"size": [3, 3], "counts": "9"}
    ),
}


@pytest.mark.parametrize("message", TRUTH_FAULTS)
def test_a_fault_of_the_ground_truth_is_told_too(mevis, predictions, run_stage, tmp_path, message):
    TRUTH_FAULTS[message](mevis)
    inputs = ScoreInputs(predictions.root, mevis.write())
    with pytest.raises(CorruptInput) as caught:
        run_stage(STAGE, ScoreConfig(), inputs, tmp_path / "out")
    assert message in str(caught.value)
    out = run_stage(STAGE, ZERO, inputs, tmp_path / "out").path
    assert summary(out)["faults"]["frames"] >= 1


def test_extra_files_are_told_and_not_scored(mevis, predictions, run_stage, tmp_path):
    inputs = ScoreInputs(predictions.root, mevis.write())
    before = scores(run_stage(STAGE, ScoreConfig(), inputs, tmp_path / "before").path)
    shutil.copytree(predictions.root / "b", predictions.root / "c")
    shutil.copytree(predictions.root / "b" / "0", predictions.root / "b" / "1")
    shutil.copy(predictions.path("b", "0", "00001"), predictions.path("b", "0", "00009"))
    (predictions.root / "propagation.log").write_text("not a mask")
    progress = SilentProgress()
    outcome = run_stage(STAGE, ScoreConfig(), inputs, tmp_path / "after", progress=progress)
    assert outcome.counts["extra files left out"] == 3
    assert any("3 extra files or folders" in line for line in progress.warnings)
    assert scores(outcome.path) == before


def test_no_target_accuracy(mevis, predictions, run_stage, tmp_path):
    for name in mevis.meta["videos"]["a"]["frames"]:
        predictions.masks["a", "2", name][:] = False  # right: nothing is there
        predictions.masks["a", "0", name][:] = False  # wrong: something is
    split = mevis.write()
    out = run_stage(
        STAGE, ScoreConfig(), ScoreInputs(predictions.write(), split), tmp_path / "out"
    ).path
    found = summary(out)["no_target"]
    assert found["expressions"] == 1
    assert found["N_acc"] == 1.0
    assert found["T_acc"] == 2 / 3
    assert found["Final"] == pytest.approx((summary(out)["JF"] + 1.0 + 2 / 3) / 3)
    assert scores(out)["a", "2"]["J"] == 1.0


def test_relevant_and_irrelevant_frames_are_told_apart(mevis, predictions, run_stage, tmp_path):
    out = run_stage(
        STAGE, ScoreConfig(), ScoreInputs(predictions.root, mevis.write()), tmp_path / "out"
    ).path
    row = scores(out)["a", "1"]
    frames = [
        definition.scores(predictions.masks["a", "1", f"{n:05}"], truth(mevis, "a", "1", n))[0]
        for n in range(6)
    ]
    assert row["relevant_frames"] == 4
    assert row["J_relevant"] == pytest.approx(np.mean([frames[n] for n in (0, 1, 4, 5)]))
    assert row["J_irrelevant"] == pytest.approx(np.mean([frames[n] for n in (2, 3)]))
    assert scores(out)["b", "0"]["J_irrelevant"] is None  # all of its frames are relevant
    assert [part["group"] for part in summary(out)["by_referents"]] == ["0", "1", "2"]
    assert {part["group"]: part["expressions"] for part in summary(out)["by_moment_length"]} == {
        "30-60 %": 1,
        "60-100 %": 2,
    }


def test_an_expression_without_any_known_size_fits_every_mask(
    mevis, predictions, run_stage, tmp_path
):
    mevis.expression("b", "0").update(obj_id=[], anno_id=[])
    out = run_stage(
        STAGE, ScoreConfig(), ScoreInputs(predictions.root, mevis.write()), tmp_path / "out"
    ).path
    assert scores(out)["b", "0"]["J"] == 0
    assert scores(out)["b", "0"]["referents"] == 0


def test_frames_of_a_folder_that_have_no_truth_are_not_asked_for(
    mevis, predictions, run_stage, tmp_path
):
    gt = write_truth(mevis, tmp_path / "gt")
    (gt / "b" / "0" / "00001.png").unlink()
    out = run_stage(STAGE, ScoreConfig(), ScoreInputs(predictions.root, gt), tmp_path / "out").path
    assert scores(out)["b", "0"]["frames"] == 2


def test_sparse_truth_of_an_index_counts_only_where_it_is(mevis, predictions, run_stage, tmp_path):
    for anno in ("7", "8"):
        for frame in (1, 2, 3, 5):
            mevis.masks[anno][frame] = None
    split = mevis.write()
    config = ScoreConfig(protocol="ref-youtube-vos")
    out = run_stage(STAGE, config, ScoreInputs(predictions.root, split), tmp_path / "out").path
    assert scores(out)["a", "0"]["frames"] == 2
    assert scores(out)["b", "0"]["frames"] == 3


def label_tree(root: Path, labels: dict[str, np.ndarray]) -> Path:
    """Label images as palette PNGs, <video>/<frame>.png."""
    for name, image in labels.items():
        path = root / "dog" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(image)
        picture.putpalette([0, 0, 0, 0, 0, 1, 255, 0, 0] + [0] * 759)  # object 1 is near black
        picture.save(path)
    return root


def test_davis_compares_objects_without_the_first_and_last_frame(run_stage, tmp_path):
    rng = np.random.default_rng(0)
    true = {f"{n:05}": rng.integers(0, 3, (20, 30), np.uint8) for n in range(5)}
    predicted = {name: rng.integers(0, 3, (20, 30), np.uint8) for name in true}
    gt, preds = label_tree(tmp_path / "gt", true), label_tree(tmp_path / "preds", predicted)
    config = ScoreConfig(protocol="davis")
    out = run_stage(STAGE, config, ScoreInputs(preds, gt), tmp_path / "out").path
    for number in (1, 2):
        pairs = [
            definition.scores(predicted[f"{n:05}"] == number, true[f"{n:05}"] == number)
            for n in (1, 2, 3)
        ]
        row = scores(out)["dog", str(number)]
        assert row["J"] == pytest.approx(np.mean([j for j, _ in pairs]))
        assert row["F"] == pytest.approx(np.mean([f for _, f in pairs]))
        assert row["frames"] == 3


@pytest.mark.parametrize("protocol", ["davis", "ref-davis"])
def test_void_is_background_for_davis_and_not_judged_for_ref_davis(run_stage, tmp_path, protocol):
    rng = np.random.default_rng(0)
    true = {f"{n:05}": rng.choice([0, 1, 255], (20, 30)).astype(np.uint8) for n in range(3)}
    predicted = {name: rng.integers(0, 2, (20, 30), np.uint8) for name in true}
    gt = label_tree(tmp_path / "gt", true)
    judged = protocol == "ref-davis"
    for folder in [f"anno_{n}" for n in range(4)] if judged else ["."]:
        label_tree(tmp_path / "preds" / folder, predicted)
    config = ScoreConfig(protocol=protocol)
    out = run_stage(STAGE, config, ScoreInputs(tmp_path / "preds", gt), tmp_path / "out").path
    pairs = []
    for name in true if judged else ["00001"]:
        kept = (true[name] != 255) | (not judged)
        pairs.append(definition.scores((predicted[name] == 1) & kept, true[name] == 1))
    rows = scores(out)
    assert {key[1] for key in rows} == ({f"anno_{n}-1" for n in range(4)} if judged else {"1"})
    for row in rows.values():
        assert row["J"] == pytest.approx(np.mean([j for j, _ in pairs]))
        assert row["F"] == pytest.approx(np.mean([f for _, f in pairs]))


def test_ref_davis_averages_four_annotators(run_stage, tmp_path):
    true = {"00000": np.tile(np.array([0, 1, 2], np.uint8), (9, 10))}
    gt = label_tree(tmp_path / "gt", true)
    for number in range(4):
        part = {"00000": np.where(true["00000"] == 2, 2 if number < 3 else 0, 1).astype(np.uint8)}
        label_tree(tmp_path / "preds" / f"anno_{number}", part)
    config = ScoreConfig(protocol="ref-davis")
    out = run_stage(STAGE, config, ScoreInputs(tmp_path / "preds", gt), tmp_path / "out").path
    assert len(scores(out)) == 8
    assert scores(out)["dog", "anno_0-2"]["J"] == 1.0
    assert scores(out)["dog", "anno_3-2"]["J"] == 0.0
    assert [part["group"] for part in summary(out)["by_annotator"]] == [
        f"anno_{n}" for n in range(4)
    ]
    shutil.rmtree(tmp_path / "preds" / "anno_2")
    with pytest.raises(MissingInput, match="expression anno_2-1"):
        run_stage(STAGE, config, ScoreInputs(tmp_path / "preds", gt), tmp_path / "out")


def test_ground_truth_that_is_none_is_told(mevis, predictions, run_stage, tmp_path):
    split = mevis.write()
    (tmp_path / "nothing").mkdir()
    with pytest.raises(MissingInput, match="has neither an index"):
        run_stage(
            STAGE,
            ScoreConfig(),
            ScoreInputs(predictions.root, tmp_path / "nothing"),
            tmp_path / "o",
        )
    with pytest.raises(MissingInput, match="no such folder"):
        run_stage(STAGE, ScoreConfig(), ScoreInputs(tmp_path / "absent", split), tmp_path / "o")
    with pytest.raises(ConfigError, match="label images"):
        run_stage(
            STAGE,
            ScoreConfig(protocol="davis"),
            ScoreInputs(predictions.root, split),
            tmp_path / "o",
        )
    (tmp_path / "frames" / "JPEGImages").mkdir(parents=True)
    (tmp_path / "frames" / "frames.parquet").touch()
    with pytest.raises(MissingInput, match="has frames, not masks; name the index"):
        run_stage(
            STAGE, ScoreConfig(), ScoreInputs(predictions.root, tmp_path / "frames"), tmp_path / "o"
        )
    for name in ("JPEGImages", "meta_expressions", "davis_text_annotations"):
        (tmp_path / name / name).mkdir(parents=True)
        with pytest.raises(MissingInput, match="make an index of it"):
            run_stage(
                STAGE, ScoreConfig(), ScoreInputs(predictions.root, tmp_path / name), tmp_path / "o"
            )
    (split / "mask_dict.json").unlink()
    with pytest.raises(MissingInput, match="score valid_u"):
        run_stage(STAGE, ScoreConfig(), ScoreInputs(predictions.root, split), tmp_path / "o")
