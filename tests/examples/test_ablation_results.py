"""The ablation's statistics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture(scope="module")
def results(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("ablation_results")


def keys(videos: int, sentences: int) -> list[tuple[str, str]]:
    return [(f"v{v}", str(s)) for v in range(videos) for s in range(sentences)]


def make_run(results: ModuleType, seed: int, scores: np.ndarray, **more: Any) -> Any:
    """A run with these J&F, (videos, sentences)."""
    names = keys(len(scores), scores.shape[1])
    figures = {k: (s, s, s) for k, s in zip(names, scores.ravel().tolist(), strict=True)}
    return results.Run("an arm", "all", seed, figures, **more)


def test_a_constant_difference_has_no_width(results: ModuleType) -> None:
    scores = np.random.default_rng(0).random((6, 4)) / 2
    ours = [make_run(results, seed, scores + 0.25 + seed) for seed in (0, 1)]
    theirs = [make_run(results, seed, scores + seed) for seed in (0, 1)]
    found = results.paired_difference(ours, theirs, keys(6, 4))
    assert (found.mean, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))
    assert found.seeds == pytest.approx(0)
    assert found.is_clear
    alone = results.paired_difference(ours[:1], theirs, keys(6, 4))
    assert alone.seeds is None


def test_the_interval_covers_the_true_difference_as_often_as_stated(results: ModuleType) -> None:
    """Videos differ more than their sentences: an interval over sentences would be too narrow."""
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        by_video = rng.normal(0.1, 0.2, (30, 1)) + rng.normal(0, 0.02, (30, 5))
        one = make_run(results, 0, by_video)
        two = make_run(results, 0, np.zeros((30, 5)))
        found = results.paired_difference([one], [two], keys(30, 5), seed=trial)
        hits += found.low <= 0.1 <= found.high
    assert 0.90 <= hits / 200 <= 0.98


def test_the_interval_over_seeds_covers_the_true_difference_as_often_as_stated(
    results: ModuleType,
) -> None:
    rng = np.random.default_rng(2)
    theirs = [make_run(results, seed, np.zeros((3, 1))) for seed in range(3)]
    hits = 0
    for _ in range(400):
        shifts = rng.normal(0.1, 0.05, 3)
        ours = [make_run(results, seed, np.full((3, 1), s)) for seed, s in enumerate(shifts)]
        found = results.paired_difference(ours, theirs, keys(3, 1))
        hits += abs(found.mean - 0.1) <= found.seeds
    assert 0.92 <= hits / 400 <= 0.98


def test_seeds_that_disagree_are_not_clear(results: ModuleType) -> None:
    theirs = [make_run(results, seed, np.zeros((5, 2))) for seed in range(3)]
    ours = [make_run(results, s, np.full((5, 2), d)) for s, d in enumerate((0.2, 0.0, 0.01))]
    found = results.paired_difference(ours, theirs, keys(5, 2))
    assert found.low > 0
    assert not found.is_clear


def test_seeds_are_paired_and_missing_ones_left_out(results: ModuleType) -> None:
    ours = [make_run(results, s, np.full((3, 2), 0.5 + s)) for s in (0, 1, 2)]
    theirs = [make_run(results, s, np.full((3, 2), 0.0 + s)) for s in (1, 2)]
    assert results.paired_difference(ours, theirs, keys(3, 2)).mean == pytest.approx(0.5)
    with pytest.raises(ValueError, match="nothing to compare"):
        results.paired_difference(ours[:1], theirs, keys(3, 2))


def test_a_part_of_the_videos_is_compared_where_it_has_frames(results: ModuleType) -> None:
    scores = np.zeros((2, 1))
    ours = [make_run(results, 0, scores, parts={"before": {("v0", "0"): 0.5}})]
    theirs = [make_run(results, 0, scores, parts={"before": {("v0", "0"): 0.2}})]
    found = results.paired_difference(ours, theirs, keys(2, 1), part="before")
    assert found.mean == pytest.approx(0.3)


def test_sentences_are_grouped_by_their_moments(results: ModuleType) -> None:
    made = {
        ("v", "0"): results.Sentence(0, None, None),
        ("v", "1"): results.Sentence(1, 0.5, 0.1),
        ("v", "2"): results.Sentence(3, 0.1, 0.3),
    }
    found = {name: [k[1] for k in group] for name, group in results.groups(made).items()}
    assert found == {
        "all": ["0", "1", "2"],
        "with a target": ["1", "2"],
        "no referent": ["0"],
        "one referent": ["1"],
        "several referents": ["2"],
        "early moment": ["2"],
        "late moment": ["1"],
        "short moment": ["1"],
        "long moment": ["2"],
    }


def write_scores(folder: Path, relevant: str) -> None:
    """Scores of one sentence; J of a frame is its number, F twice that."""
    row = {"video_id": "v", "expression_id": "0"}
    folder.mkdir()
    table = [row | {"J": 0.1, "F": 0.3, "JF": 0.2}]
    pq.write_table(pa.Table.from_pylist(table), folder / "scores.parquet")
    frames = [
        row | {"frame": frame, "J": float(frame), "F": 2.0 * frame, "relevant": letter == "R"}
        for frame, letter in enumerate(relevant)
    ]
    pq.write_table(pa.Table.from_pylist(frames), folder / "frames.parquet")
    (folder / "summary.json").write_text('{"no_target": {"N_acc": 0.5, "T_acc": 0.75}}')


def test_a_run_is_read_with_the_parts_of_its_videos(results: ModuleType, tmp_path: Path) -> None:
    write_scores(tmp_path / "scores", "..RR.R")
    log = [("valid_relevance_auc", 0.5), ("loss", 1.0), ("valid_relevance_auc", 0.9)]
    rows = [{"step": 1, "name": name, "value": value} for name, value in log]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "history.parquet")
    run = results.Run.read("arm", "all", 3, tmp_path / "scores", tmp_path / "history.parquet")
    assert run.mean() == pytest.approx((0.1, 0.3, 0.2))
    assert (run.n_acc, run.t_acc, run.auc) == (0.5, 0.75, 0.9)
    assert run.scores("before") == {("v", "0"): 0.75}
    assert run.scores("inside") == {("v", "0"): pytest.approx(1.5 * 10 / 3)}
    assert run.scores("after") == {}


def write_moments(path: Path, spans: dict[tuple[str, str], list[tuple[int, int]]]) -> None:
    rows = [
        {"video_id": "v", "expression_id": expression, "anno_id": referent}
        | {"start_frame": start, "end_frame": end}
        for (expression, referent), own in spans.items()
        for start, end in own
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)


def test_spans_of_referents_are_compared_frame_by_frame(
    results: ModuleType, tmp_path: Path
) -> None:
    index = tmp_path / "index"
    index.mkdir()
    expressions = [("0", ["a"]), ("1", ["a", "b"])]
    rows = [
        {"video_id": "v", "expression_id": expression, "anno_ids": referents}
        for expression, referents in expressions
    ]
    pq.write_table(pa.Table.from_pylist(rows), index / "expressions.parquet")
    write_moments(
        index / "moments.parquet",
        {("0", "a"): [(0, 4)], ("1", "a"): [(0, 2), (4, 6)], ("1", "b"): [(1, 2)]},
    )
    predicted = tmp_path / "moments.parquet"
    write_moments(predicted, {("0", "a"): [(2, 6)], ("1", "a"): [(0, 6)], ("0", "b"): [(0, 9)]})
    spans = results.Spans.read("tgl", 0, predicted, index)
    assert spans.mean(several=False) == pytest.approx(2 / 6)
    assert spans.mean(several=True) == pytest.approx((4 / 6 + 0) / 2)
    assert spans.mean() == pytest.approx((2 / 6 + 4 / 6) / 3)
