"""`tgl propagate --online`: the same artifact, and offline's masks if the delay is long."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from schemas.layouts import PROPAGATION_TABLE
from schemas.parquet import read_table
from schemas.tables import PROPAGATION
from stages.core.engine.execute import Outcome, execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.propagate.config import PropagateConfig, PropagateInputs
from stages.propagate.stage import STAGE

LONG = 30
"""More than twice the longest video of the miniature index."""


def propagate(inputs: PropagateInputs, out: Path, **fields: Any) -> Outcome:
    """Run the stage through the engine on one CPU thread."""
    runtime = Runtime(workers=1, device="cpu")
    config = PropagateConfig(**fields)
    return execute(STAGE, config, inputs, out, runtime=runtime, progress=SilentProgress())


def rows_by_key(out: Path) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Rows of the propagation table by sentence."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in read_table(out / PROPAGATION_TABLE, PROPAGATION).to_pylist():
        found.setdefault((row["video_id"], row["expression_id"]), []).append(row)
    return found


def pictures(out: Path, key: tuple[str, str]) -> dict[str, bytes]:
    """A sentence's PNGs by name."""
    return {path.name: path.read_bytes() for path in (out / key[0] / key[1]).iterdir()}


@pytest.mark.parametrize(
    "fields",
    [
        {"moments": "annotated"},
        {"moments": "all"},
        {"moments": "predicted", "relevance_threshold": 0.25},
        {"moments": "annotated", "banks": "one", "memory_frames": 2},
    ],
    ids=str,
)
def test_a_delay_of_twice_the_video_gives_the_offline_masks(
    world: Any, tmp_path: Path, fields: dict[str, Any]
) -> None:
    offline, online = tmp_path / "offline", tmp_path / "online"
    propagate(world.inputs, offline, **fields)
    propagate(world.inputs, online, online=True, delay=LONG, **fields)
    mine, theirs = rows_by_key(online), rows_by_key(offline)
    assert set(mine) == set(theirs) == set(world.sentences)
    compared = 0
    for key, rows in theirs.items():
        if not any(row["route"] == "language" for row in mine[key]):
            continue  # nothing passes the threshold: offline falls back on its best frame
        compared += 1
        assert pictures(online, key) == pictures(offline, key)
        for one, other in zip(mine[key], rows, strict=True):
            assert (one["route"], one["mask_area"]) == (other["route"], other["mask_area"])
            assert one["relevance"] == pytest.approx(other["relevance"], abs=1e-5)
            assert one["object_score"] == pytest.approx(other["object_score"], abs=1e-3)
    assert compared >= 3


def test_every_frame_has_a_mask_and_a_row_that_says_what_it_holds(
    world: Any, tmp_path: Path
) -> None:
    outcome = propagate(world.inputs, tmp_path / "out", moments="annotated", online=True, delay=2)
    assert outcome.counts["masks"] == sum(world.lengths[video] for video, _ in world.sentences)
    rows = rows_by_key(tmp_path / "out")
    assert set(rows) == set(world.sentences)
    for (video, name), own in rows.items():
        assert [row["frame"] for row in own] == list(range(world.lengths[video]))
        for row in own:
            path = tmp_path / "out" / video / name / f"{row['frame']:05d}.png"
            mask = np.asarray(Image.open(path))
            assert mask.shape == world.size
            assert row["mask_area"] == np.count_nonzero(mask)
            assert (row["object_score"] is None) == (row["route"] == "empty")
    # Without a referent all is empty; before a moment, what the delay does not reach.
    assert {row["route"] for row in rows["a", "2"]} == {"empty"}
    before = [row["route"] for row in rows["a", "0"][:2]]
    assert before == ["empty", "propagated"]
    assert outcome.counts["routed by annotated"] == 4
    assert outcome.counts["routed by no moment"] == 1


def test_a_second_run_skips_and_the_delay_counts_only_online(world: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert not propagate(world.inputs, out, online=True, delay=3).skipped
    assert propagate(world.inputs, out, online=True, delay=3).skipped
    assert propagate(world.inputs, out, online=True, delay=3, chunk_frames=2).skipped
    assert not propagate(world.inputs, out, online=True, delay=4).skipped
    assert not propagate(world.inputs, out).skipped
    assert propagate(world.inputs, out, delay=7, online_moments=1).skipped


def test_online_belongs_to_the_fingerprint_only_where_it_is_on() -> None:
    plain = PropagateConfig().to_dict()
    assert not {"online", "delay", "online_moments"} & set(plain)
    told = PropagateConfig(online=True, delay=5).to_dict()
    assert {name: told[name] for name in set(told) - set(plain)} == {
        "online": True,
        "delay": 5,
        "online_moments": 4,
    }


def test_a_bad_frame_fails_its_video_alone(own_world: Any, tmp_path: Path) -> None:
    path = own_world.frame("b", 3)
    path.write_bytes(path.read_bytes()[:300])
    outcome = propagate(own_world.inputs, tmp_path / "out", online=True)
    (line,) = outcome.failures.values()
    assert line.startswith("video b: ")
    assert path.name in line
    assert {key[0] for key in rows_by_key(tmp_path / "out")} == {"a", "c"}


def test_a_moments_file_routes_online_too(world: Any, tmp_path: Path) -> None:
    path = world.write_moments(tmp_path / "moments.parquet", [("a", "0", 6, 9)])
    inputs = replace(world.inputs, moments=path)
    propagate(inputs, tmp_path / "out", moments="file", online=True, delay=0)
    rows = rows_by_key(tmp_path / "out")["a", "0"]
    assert [row["route"] for row in rows] == ["empty"] * 6 + ["language"] * 3 + ["propagated"] * 2
