"""select-moments --per referent with the judges that need no network, and its life as a stage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tracks_mini import write_tracks

from schemas.directories import list_folder
from schemas.errors import ConfigError, CorruptInput, MissingInput, TglError
from schemas.parquet import read_table, rows_of, write_table
from schemas.tables import EXPRESSIONS, MASKS, MOMENTS, VIDEOS, TableSpec
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as BUILD
from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.index.index import read_moments
from stages.core.media.rle import encode
from stages.core.model.loading.catalog import DEFAULT_JUDGE
from stages.tools.select_moments.config import REFERENT, SelectConfig, SelectInputs
from stages.tools.select_moments.stage import STAGE

TRUTH = SelectConfig(per=REFERENT, model="truth")
BEST = SelectConfig(per=REFERENT, model="none")


@pytest.fixture
def index(run_stage: Callable, mevis, tmp_path: Path) -> Path:
    """An index with true masks."""
    run_stage(BUILD, IndexConfig(), IndexInputs(mevis.write()), tmp_path / "index")
    return tmp_path / "index"


@pytest.fixture
def tracks(index: Path, tmp_path: Path) -> Path:
    """Tracks of the same videos."""
    return write_tracks(index, tmp_path / "tracks")


def select(
    run_stage: Callable, config: SelectConfig, tracks: Path, truth: Path | None, out: Path
) -> tuple[object, dict]:
    outcome = run_stage(STAGE, config, SelectInputs(tracks, truth=truth), out)
    return outcome, read_moments(out / "moments.parquet")


def test_the_truth_accepts_tracks_that_follow_a_referent(
    run_stage: Callable, index: Path, tracks: Path, tmp_path: Path
) -> None:
    outcome, found = select(run_stage, TRUTH, tracks, index, tmp_path / "out")
    assert found == {
        ("a", "0"): {"a.0": [(1, 3)]},
        ("a", "1"): {"a.0": [(0, 2)], "a.1": [(0, 1), (4, 6)]},
        ("b", "0"): {"b.0": [(0, 3)]},
    }
    table = read_table(tmp_path / "out" / "moments.parquet", MOMENTS)
    assert set(table.column("source").to_pylist()) == {"truth (reference)"}
    assert table.column("score").to_pylist() == pytest.approx([1, 1, 0.6, 0.6, 1])
    counts = dict(outcome.counts)
    assert counts == {
        "videos": 2,
        "expressions": 4,
        "tracks accepted": 4,
        "tracks rejected": 6,
        "expressions without a target": 1,
        "moments": 5,
        "videos kept from before": 0,
    }


def test_without_annotated_moments_the_visible_frames_are_the_moment(
    run_stage: Callable, mevis, tmp_path: Path
) -> None:
    mevis.moments = None
    run_stage(BUILD, IndexConfig(), IndexInputs(mevis.write()), tmp_path / "index")
    tracks = write_tracks(tmp_path / "index", tmp_path / "tracks")
    _, found = select(run_stage, TRUTH, tracks, tmp_path / "index", tmp_path / "out")
    assert found["a", "1"] == {"a.0": [(0, 4)], "a.1": [(0, 2), (4, 6)]}


def test_the_best_candidate_is_one_visible_track_per_sentence(
    run_stage: Callable, tracks: Path, tmp_path: Path
) -> None:
    outcome, found = select(run_stage, BEST, tracks, None, tmp_path / "out")
    assert found == {
        ("a", "0"): {"a.2": [(0, 6)]},
        ("a", "1"): {"a.2": [(0, 6)]},
        ("a", "2"): {"a.2": [(0, 6)]},
        ("b", "0"): {"b.0": [(0, 3)]},
    }
    assert outcome.counts["tracks accepted"] == 4


def test_moments_of_true_masks_are_compared_with_annotated_ones(
    run_stage: Callable, index: Path, tmp_path: Path
) -> None:
    outcome, _ = select(run_stage, TRUTH, index, index, tmp_path / "out")
    assert outcome.counts["with annotated moments"] == 3  # those of b are of no referent
    assert outcome.counts["frame IoU"] == 1
    assert outcome.counts["span IoU"] == 1


def test_skip_and_rerun(run_stage: Callable, index: Path, tracks: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    select(run_stage, TRUTH, tracks, index, out)
    assert select(run_stage, TRUTH, tracks, index, out)[0].skipped
    assert not select(run_stage, BEST, tracks, None, out)[0].skipped
    (index / "masks.parquet").unlink()
    with pytest.raises(MissingInput, match="masks table is missing"):
        select(run_stage, TRUTH, tracks, index, out)


def test_a_killed_run_completes_with_the_same_artifact(
    run_stage: Callable, killed_run: Callable, index: Path, tracks: Path, tmp_path: Path
) -> None:
    inputs = SelectInputs(tracks, truth=index)
    run_stage(STAGE, TRUTH, inputs, tmp_path / "whole")
    killed_run(STAGE, TRUTH, inputs, tmp_path / "out", after=7)
    outcome = run_stage(STAGE, TRUTH, inputs, tmp_path / "out")
    assert outcome.counts["videos kept from before"] == 1
    assert list_folder(tmp_path / "out").tables == list_folder(tmp_path / "whole").tables


def test_a_network_judges_changed_videos_alone(
    run_stage: Callable, tracks: Path, tiny_selector: Callable, tmp_path: Path
) -> None:
    model = tiny_selector("clip")
    config = SelectConfig(per=REFERENT, model=str(model))

    def kept() -> int:
        outcome = run_stage(STAGE, config, SelectInputs(tracks, model), tmp_path / "out")
        return int(outcome.counts["videos kept from before"])

    def change(name: str, spec: TableSpec, column: str, value: object) -> None:
        """Change a column in the rows of b."""
        rows = read_table(tracks / f"{name}.parquet", spec).to_pylist()
        for row in rows:
            if "b" in (row.get("video_id"), str(row.get("anno_id")).split(".")[0]):
                row[column] = value
        write_table(tracks / f"{name}.parquet", rows_of(rows, spec), spec)

    assert kept() == 0
    change("expressions", EXPRESSIONS, "expression", "another one")
    assert kept() == 1
    mask = np.zeros((12, 16), bool)
    mask[2:9, 3:5] = True
    change("masks", MASKS, "counts", encode(mask)["counts"])
    assert kept() == 1
    change("videos", VIDEOS, "fps", 7.0)
    assert kept() == 1


def test_two_devices_equal_one(
    run_stage: Callable, index: Path, tracks: Path, tmp_path: Path
) -> None:
    inputs = SelectInputs(tracks, truth=index)
    run_stage(STAGE, TRUTH, inputs, tmp_path / "one")
    two = Runtime(workers=1, devices="cpu,cpu")
    execute(STAGE, TRUTH, inputs, tmp_path / "two", runtime=two, progress=SilentProgress())
    assert list_folder(tmp_path / "one").tables == list_folder(tmp_path / "two").tables


def test_a_damaged_mask_fails_its_video_alone(
    run_stage: Callable, index: Path, tracks: Path, tmp_path: Path
) -> None:
    table = pq.read_table(tracks / "masks.parquet")
    heights = [14 if name == "b.0" else 12 for name in table.column("anno_id").to_pylist()]
    place = table.schema.get_field_index("height")
    changed = table.set_column(place, table.schema.field(place), pa.array(heights, pa.int32()))
    pq.write_table(changed, tracks / "masks.parquet")
    outcome, found = select(run_stage, TRUTH, tracks, index, tmp_path / "out")
    assert {video for video, _ in found} == {"a"}
    assert outcome.counts["videos failed"] == 1
    assert "the mask of track b.0 on frame 0 (16x14) does not fit" in outcome.failures["b"]


def test_mistakes(run_stage: Callable, index: Path, tracks: Path, tmp_path: Path) -> None:
    def fails(kind: type[TglError], match: str, config: SelectConfig, **inputs: Path) -> None:
        with pytest.raises(kind, match=match):
            run_stage(STAGE, config, SelectInputs(**{"index": tracks, **inputs}), tmp_path / "o")

    fails(ConfigError, "--truth: --model truth needs an index", TRUTH)
    fails(ConfigError, "--truth: has no effect", BEST, truth=index)
    fails(MissingInput, "has no tracks.parquet", BEST, index=index)
    (tracks / "tracks.parquet").write_bytes(b"PAR1")
    fails(CorruptInput, "tracks.parquet", BEST)
    with pytest.raises(ConfigError, match="'truth' judges tracks"):
        SelectConfig(model="truth")


def test_settings_per_sentence_keep_their_receipt() -> None:
    assert SelectConfig().to_dict() == {
        "model": DEFAULT_JUDGE,
        "stride": 1,
        "window": 5,
        "threshold": 0.5,
        "fill": 4,
        "drop": 2,
    }
    assert SelectConfig(per=REFERENT).to_dict() == {
        "model": DEFAULT_JUDGE,
        "stride": 8,
        "window": 16,
        "threshold": 0.5,
        "fill": 4,
        "drop": 2,
        "per": "referent",
        "frames_per_window": 4,
        "accept": 0.5,
    }
