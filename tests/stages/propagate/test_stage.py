"""The stage on a miniature index: layout, equal results, resumption, failures."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from schemas.errors import (
    ConfigError,
    CorruptInput,
    MissingInput,
    OutputBlocked,
    SchemaMismatch,
)
from schemas.layouts import (
    EXPRESSIONS_TABLE,
    MOMENTS_TABLE,
    PROPAGATION_TABLE,
    TEXTS_TABLE,
    WEIGHTS_FILE,
)
from schemas.parquet import read_table, rows_of, write_table
from schemas.receipts import read_receipt
from schemas.tables import EXPRESSIONS, MOMENTS, PROPAGATION
from stages.core.engine.execute import Outcome, execute
from stages.core.engine.progress import SilentProgress, SilentTask
from stages.core.engine.runtime import Runtime
from stages.core.index import mask_writer
from stages.core.index.texts import TextStore
from stages.core.media.frames import read_frame
from stages.core.model import budgets
from stages.core.model.backbones.preprocess import preprocess
from stages.core.model.checkpoint import load_checkpoint
from stages.core.model.masks import enlarge_masks
from stages.core.model.text import TextBatch
from stages.propagate import runner
from stages.propagate.config import PropagateConfig, PropagateInputs
from stages.propagate.stage import MASK_RATE, STAGE


def propagate(inputs: PropagateInputs, out: Path, **fields: Any) -> Outcome:
    """Run the stage through the engine on one CPU thread."""
    config = PropagateConfig(**({"moments": "annotated"} | fields))
    runtime = Runtime(workers=1, device="cpu")
    return execute(STAGE, config, inputs, out, runtime=runtime, progress=SilentProgress())


def pictures(out: Path) -> dict[str, bytes]:
    """All PNGs by relative path."""
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.png")}


def rows_by_key(out: Path) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Rows of the propagation table by sentence."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in read_table(out / PROPAGATION_TABLE, PROPAGATION).to_pylist():
        found.setdefault((row["video_id"], row["expression_id"]), []).append(row)
    return found


@pytest.fixture(scope="module")
def reference(made_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact with annotated moments and default limits."""
    return made(made_world, tmp_path_factory.mktemp("reference"), moments="annotated")


@pytest.fixture(scope="module")
def predicted(made_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact with predicted moments and default limits."""
    return made(made_world, tmp_path_factory.mktemp("predicted"), moments="predicted")


def made(world: Path, folder: Path, *, moments: str) -> Path:
    """Run the stage on the miniature index."""
    torch.set_num_threads(1)
    inputs = PropagateInputs(*(world / name for name in ("index", "text", "checkpoint")))
    propagate(inputs, folder / "out", moments=moments)
    return folder / "out"


def test_the_receipt_says_threads(reference: Path) -> None:
    receipt = read_receipt(reference)
    assert receipt is not None
    assert receipt.threads == 1


def test_every_frame_of_every_sentence_has_a_mask_of_the_videos_size(
    world: Any, reference: Path
) -> None:
    expected = {
        f"{video}/{name}/{frame:05d}.png"
        for video, name in world.sentences
        for frame in range(world.lengths[video])
    }
    assert set(pictures(reference)) == expected
    height, width = world.size
    for name in expected:
        with Image.open(reference / name) as picture:
            assert picture.mode == "L"
            assert picture.size == (width, height)
            assert set(np.unique(np.asarray(picture))) <= {0, 255}


def test_rows_say_what_the_files_hold(world: Any, reference: Path) -> None:
    rows = rows_by_key(reference)
    assert set(rows) == set(world.sentences)
    areas = []
    for (video, name), own in rows.items():
        assert [row["frame"] for row in own] == list(range(world.lengths[video]))
        for row in own:
            mask = np.asarray(Image.open(reference / video / name / f"{row['frame']:05d}.png"))
            assert row["mask_area"] == np.count_nonzero(mask)
            areas.append(row["mask_area"])
    assert 0 < np.count_nonzero(areas) < len(areas)


def test_annotated_moments_route_the_frames(world: Any, reference: Path) -> None:
    rows = rows_by_key(reference)
    for key, spans in world.moments.items():
        inside = {frame for start, end in spans for frame in range(start, end)}
        for row in rows[key]:
            assert row["route"] == ("language" if row["frame"] in inside else "propagated")
    nothing = rows["a", "2"]
    assert {row["route"] for row in nothing} == {"empty"}
    assert {row["mask_area"] for row in nothing} == {0}
    assert {row["object_score"] for row in nothing} == {None}


@pytest.mark.parametrize(
    "limits",
    [
        {"chunk_frames": 1},
        {"chunk_frames": 3, "expressions_per_batch": 1},
        {"feature_memory": 0.0, "chunk_frames": 2},
        {"feature_memory": 0.0, "expressions_per_batch": 2},
        {"expressions_per_batch": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("moments", ["annotated", "predicted"])
def test_limits_change_no_mask(
    world: Any,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limits: Any,
    moments: str,
) -> None:
    unlimited = request.getfixturevalue("reference" if moments == "annotated" else "predicted")
    monkeypatch.setattr(budgets, "BLOCK_FRAMES", 4)
    monkeypatch.setattr(budgets, "BLOCK_BYTES", 0)
    monkeypatch.setattr(budgets, "LAYER_BYTES", 0)
    propagate(world.inputs, tmp_path / "limited", moments=moments, **limits)
    assert pictures(unlimited) == pictures(tmp_path / "limited")
    plain, limited = rows_by_key(unlimited), rows_by_key(tmp_path / "limited")
    for key, rows in plain.items():
        for one, other in zip(rows, limited[key], strict=True):
            assert one["route"] == other["route"]
            assert one["relevance"] == pytest.approx(other["relevance"], abs=1e-5)


def test_masks_equal_the_models_own_clip(world: Any, reference: Path) -> None:
    """The streaming path against ``TglModel.clip``, which training uses."""
    model = load_checkpoint(world.inputs.checkpoint)
    frames = np.stack([read_frame(world.frame("a", frame)) for frame in range(11)])
    features = model.encode(preprocess(frames, model.backbone.image_size))
    embedding = TextStore.open(world.inputs.text).get(world.sentences["a", "1"])
    with torch.no_grad():
        out = model.clip(features, TextBatch.of([embedding]), torch.ones(1, 11).bool())
    shown = (out.object_score_logits[0] > 0).numpy()
    masks = enlarge_masks(out.mask_logits[0], *world.size).numpy() & shown[:, None, None]
    for frame, mask in enumerate(masks):
        written = np.asarray(Image.open(reference / "a" / "1" / f"{frame:05d}.png"))
        assert np.array_equal(written > 0, mask)


def test_each_frame_is_encoded_once_for_all_sentences(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []
    original = runner.VideoFeatures.close

    def spy(self: Any) -> None:
        encoded.append(self.encoded)
        original(self)

    monkeypatch.setattr(runner.VideoFeatures, "close", spy)
    propagate(world.inputs, tmp_path / "out")
    assert encoded == list(world.lengths.values())


def test_masks_per_second_stand_beside_the_bar(world: Any, tmp_path: Path) -> None:
    shown: list[float] = []

    class Bar(SilentTask):
        def advance(self, n: int = 1, **figures: float | str) -> None:
            shown.extend(float(value) for name, value in figures.items() if name == MASK_RATE)

    class Bars(SilentProgress):
        @contextmanager
        def task(self, name: str, total: int | None, unit: str) -> Iterator[SilentTask]:
            yield Bar()

    config = PropagateConfig(moments="annotated", tracks="off")
    runtime = Runtime(workers=1, device="cpu")
    start = time.monotonic()
    execute(STAGE, config, world.inputs, tmp_path / "out", runtime=runtime, progress=Bars())
    masks = sum(world.lengths[video] for video, _ in world.sentences)
    assert len(shown) == len(world.lengths)
    assert shown[-1] > masks / (time.monotonic() - start)


def test_a_second_run_is_skipped_and_limits_do_not_count(world: Any, tmp_path: Path) -> None:
    propagate(world.inputs, tmp_path / "out")
    assert propagate(world.inputs, tmp_path / "out").skipped
    assert propagate(world.inputs, tmp_path / "out", chunk_frames=2).skipped
    assert not propagate(world.inputs, tmp_path / "out", moments="all").skipped


def test_an_interrupted_run_goes_on_after_the_last_whole_batch(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    propagate(world.inputs, tmp_path / "whole", expressions_per_batch=1)
    original = runner.OfflineRunner._batch
    worked: list[tuple[str, str]] = []

    def spy(self: Any, job: Any, *rest: Any) -> pa.Table:
        keys = [expression.key for expression in job.expressions]
        if ("a", "2") in keys:
            raise KeyboardInterrupt
        worked.extend(keys)
        return original(self, job, *rest)

    out = tmp_path / "out"
    monkeypatch.setattr(runner.OfflineRunner, "_batch", spy)
    with pytest.raises(KeyboardInterrupt):
        propagate(world.inputs, out, expressions_per_batch=1)
    assert not out.exists()
    assert worked == [("a", "0"), ("a", "1")]
    monkeypatch.setattr(runner.OfflineRunner, "_batch", original)
    outcome = propagate(world.inputs, out, expressions_per_batch=1)
    assert outcome.counts["expressions finished before"] == 2
    assert outcome.counts["videos finished before"] == 0
    assert outcome.counts["videos"] == 3
    assert pictures(out) == pictures(tmp_path / "whole")
    table = PROPAGATION_TABLE
    assert (out / table).read_bytes() == (tmp_path / "whole" / table).read_bytes()


def test_one_new_sentence_costs_one_sentence(own_world: Any, tmp_path: Path) -> None:
    path = own_world.inputs.index / EXPRESSIONS_TABLE
    rows = read_table(path, EXPRESSIONS).to_pylist()
    before = [row for row in rows if (row["video_id"], row["expression_id"]) != ("a", "2")]
    write_table(path, rows_of(before, EXPRESSIONS), EXPRESSIONS)
    propagate(own_world.inputs, tmp_path / "out")
    write_table(path, rows_of(rows, EXPRESSIONS), EXPRESSIONS)
    outcome = propagate(own_world.inputs, tmp_path / "out")
    assert outcome.counts["expressions finished before"] == len(rows) - 1
    assert outcome.counts["videos finished before"] == len(own_world.lengths) - 1
    assert list(rows_by_key(tmp_path / "out")) == list(own_world.sentences)


def test_a_disk_that_fills_up_is_one_line_and_keeps_what_is_finished(
    world: Any, reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, written = mask_writer._write, []

    def full(path: Path, bits: np.ndarray, width: int) -> None:
        written.append(path)
        if len(written) > 2 * world.lengths["a"] + 3:
            path.write_bytes(b"")
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        original(path, bits, width)

    out = tmp_path / "out"
    monkeypatch.setattr(mask_writer, "_write", full)
    with pytest.raises(OutputBlocked, match="the disk is full; free some space"):
        propagate(world.inputs, out, expressions_per_batch=1)
    assert not out.exists()
    monkeypatch.setattr(mask_writer, "_write", original)
    outcome = propagate(world.inputs, out, expressions_per_batch=1)
    assert outcome.counts["expressions finished before"] == 2
    assert pictures(out) == pictures(reference)


@pytest.mark.parametrize("damage", ["truncated", "missing", "other size"])
def test_a_bad_frame_fails_its_video_alone(own_world: Any, tmp_path: Path, damage: str) -> None:
    path = own_world.frame("b", 3)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:300])
    elif damage == "missing":
        path.unlink()
    else:
        Image.new("RGB", (9, 9)).save(path)
    outcome = propagate(own_world.inputs, tmp_path / "out")
    (line,) = outcome.failures.values()
    assert line.startswith("video b: ")
    assert str(path.name) in line
    assert "\n" not in line
    assert outcome.counts["videos failed"] == 1
    assert {name.split("/")[0] for name in pictures(tmp_path / "out")} == {"a", "c"}
    assert {key[0] for key in rows_by_key(tmp_path / "out")} == {"a", "c"}


def test_texts_of_another_width_are_one_line(own_world: Any, tmp_path: Path) -> None:
    own_world.write_texts(tmp_path / "text", 5)
    inputs = replace(own_world.inputs, text=tmp_path / "text")
    with pytest.raises(SchemaMismatch, match="5 numbers per token, the checkpoint expects 8"):
        propagate(inputs, tmp_path / "out")


def test_texts_of_another_index_are_refused_before_the_work(own_world: Any, tmp_path: Path) -> None:
    path = own_world.inputs.index / EXPRESSIONS_TABLE
    rows = read_table(path, EXPRESSIONS).to_pylist()
    rows[-1]["expression"] = "never encoded"
    write_table(path, rows_of(rows, EXPRESSIONS), EXPRESSIONS)
    with pytest.raises(MissingInput) as caught:
        propagate(own_world.inputs, tmp_path / "out")
    assert str(caught.value) == (
        f"{own_world.inputs.text / TEXTS_TABLE}: no embedding of 1 of 4 sentences, first "
        "'never encoded'; run tgl precompute-text on this index"
    )
    assert not (tmp_path / "out").exists()


def test_an_index_that_was_moved_is_told_once(own_world: Any, tmp_path: Path) -> None:
    (own_world.root / "frames").rename(own_world.root / "elsewhere")
    with pytest.raises(MissingInput, match=r"no frames of 3 of 3 videos, first .*--frames FOLDER"):
        propagate(own_world.inputs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_truncated_checkpoint_is_one_line(own_world: Any, tmp_path: Path) -> None:
    path = own_world.inputs.checkpoint / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CorruptInput, match="not a whole safetensors file") as caught:
        propagate(own_world.inputs, tmp_path / "out")
    assert str(path) in str(caught.value)


def test_a_moments_file_routes_what_it_lists(world: Any, tmp_path: Path) -> None:
    path = world.write_moments(tmp_path / "moments.parquet", [("a", "0", 6, 9), ("a", "2", 0, 1)])
    inputs = replace(world.inputs, moments=path)
    outcome = propagate(inputs, tmp_path / "out", moments="file")
    assert outcome.counts["routed by file"] == 2
    rows = rows_by_key(tmp_path / "out")["a", "0"]
    assert [row["frame"] for row in rows if row["route"] == "language"] == [6, 7, 8]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("a", "9", 0, 1), "video a, expression 9, which is not in the index"),
        (("nowhere", "0", 0, 1), "video nowhere, expression 0"),
        (("b", "0", 2, 6), "ends at frame 6, the video has 5"),
    ],
)
def test_a_moments_file_that_does_not_fit_is_refused(
    world: Any, tmp_path: Path, row: tuple[str, str, int, int], message: str
) -> None:
    path = world.write_moments(tmp_path / "moments.parquet", [row])
    with pytest.raises(CorruptInput, match=message):
        propagate(replace(world.inputs, moments=path), tmp_path / "out", moments="file")


def test_file_routing_and_a_file_go_together(world: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="go together"):
        propagate(world.inputs, tmp_path / "out", moments="file")
    path = world.write_moments(tmp_path / "moments.parquet", [("a", "0", 0, 1)])
    with pytest.raises(ConfigError, match="go together"):
        propagate(replace(world.inputs, moments=path), tmp_path / "out", moments="all")


def test_annotated_routing_needs_annotations(own_world: Any, tmp_path: Path) -> None:
    write_table(own_world.inputs.index / MOMENTS_TABLE, rows_of([], MOMENTS), MOMENTS)
    with pytest.raises(MissingInput, match="the index has no moments"):
        propagate(own_world.inputs, tmp_path / "out")


def test_a_high_no_target_threshold_empties_all(world: Any, tmp_path: Path) -> None:
    propagate(world.inputs, tmp_path / "out", moments="predicted", no_target_threshold="1")
    rows = rows_by_key(tmp_path / "out")
    assert {row["route"] for own in rows.values() for row in own} == {"empty"}
    assert len(set(pictures(tmp_path / "out").values())) == 1


def test_overrides_reach_the_model(world: Any, reference: Path, tmp_path: Path) -> None:
    for number, fields in enumerate(
        ({"memory_frames": 1}, {"banks": "one"}, {"object_gate": False})
    ):
        out = tmp_path / str(number)
        propagate(world.inputs, out, **fields)
        assert pictures(out) != pictures(reference), fields


def test_half_precision_runs_and_stays_near(world: Any, reference: Path, tmp_path: Path) -> None:
    """The scores of random weights lie near 0, where the gate flips; so it is off here."""
    for precision in ("fp32", "bf16"):
        execute(
            STAGE,
            PropagateConfig(moments="annotated", object_gate=False),
            world.inputs,
            tmp_path / precision,
            runtime=Runtime(workers=1, device="cpu", precision=precision),
            progress=SilentProgress(),
        )
        receipt = read_receipt(tmp_path / precision)
        assert receipt is not None
        assert receipt.precision == precision
    exact, half = (rows_by_key(tmp_path / name) for name in ("fp32", "bf16"))
    for key, rows in exact.items():
        for one, other in zip(rows, half[key], strict=True):
            assert one["route"] == other["route"]
            if one["object_score"] is not None:
                assert one["object_score"] == pytest.approx(other["object_score"], abs=0.3)


def test_two_moments_give_the_union_of_each_alone(
    world: Any, reference: Path, tmp_path: Path
) -> None:
    alone = []
    for number, (start, end) in enumerate(world.moments["a", "0"]):
        path = world.write_moments(tmp_path / f"{number}.parquet", [("a", "0", start, end)])
        inputs = replace(world.inputs, moments=path)
        propagate(inputs, tmp_path / str(number), moments="file")
        alone.append(tmp_path / str(number))
    some = 0
    for frame in range(world.lengths["a"]):
        name = f"a/0/{frame:05d}.png"
        parts = [np.asarray(Image.open(out / name)) for out in alone]
        assert np.array_equal(np.asarray(Image.open(reference / name)), np.maximum(*parts))
        some += any(part.any() for part in parts)
    assert some
