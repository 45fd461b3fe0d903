"""Paired comparison of two runs."""

from __future__ import annotations

import numpy as np
import pytest

from schemas.errors import SchemaMismatch
from schemas.parquet import rows_of, write_table
from schemas.tables import SCORES
from stages.score.results.compare import compare_runs, interval


def write_scores(path, values: dict[tuple[str, str], float]):
    """A scores table with J = F = the value."""
    rows = [
        {"video_id": v, "expression_id": e, "J": x, "F": x, "JF": x, "frames": 3, "referents": 1}
        for (v, e), x in values.items()
    ]
    write_table(path, rows_of(rows, SCORES), SCORES)
    return path


def test_difference_of_two_runs(tmp_path):
    rng = np.random.default_rng(1)
    base = {(f"v{n % 20}", str(n)): float(rng.random()) * 0.5 for n in range(100)}
    better = {key: value + 0.1 for key, value in base.items()}
    ours, other = (
        write_scores(tmp_path / "ours.parquet", better),
        write_scores(tmp_path / "other.parquet", base),
    )
    found = compare_runs(ours, other)
    assert (found["videos"], found["expressions"]) == (20, 100)
    assert found["JF"]["mean"] == pytest.approx(0.1)
    assert found["JF"]["low"] == pytest.approx(0.1)
    assert found["JF"]["high"] == pytest.approx(0.1)
    assert (found["J"]["better"], found["J"]["worse"]) == (100, 0)
    assert compare_runs(ours, other) == found
    back = compare_runs(other, ours)
    assert back["JF"]["mean"] == pytest.approx(-found["JF"]["mean"])
    same = compare_runs(ours, ours)["F"]
    assert (same["mean"], same["low"], same["high"], same["better"]) == (0, 0, 0, 0)


def test_order_of_rows_does_not_matter(tmp_path):
    rng = np.random.default_rng(2)
    base = {(f"v{n % 7}", str(n)): float(rng.random()) for n in range(50)}
    other = {key: float(rng.random()) for key in base}
    turned = dict(reversed(list(base.items())))
    a = write_scores(tmp_path / "a.parquet", base)
    b = write_scores(tmp_path / "b.parquet", turned)
    o = write_scores(tmp_path / "o.parquet", other)
    assert compare_runs(a, o) == compare_runs(b, o)


def test_runs_over_other_expressions_are_refused(tmp_path):
    a = write_scores(tmp_path / "a.parquet", {("v", "0"): 0.5, ("v", "1"): 0.5})
    b = write_scores(tmp_path / "b.parquet", {("v", "0"): 0.5})
    with pytest.raises(SchemaMismatch, match="1 expression in only one of the two runs, first v/1"):
        compare_runs(a, b)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(60):
        owner = np.repeat(np.arange(40), 5)
        gains = 0.2 + np.repeat(rng.normal(0, 1, 40), 5) + rng.normal(0, 0.3, 200)
        low, high = interval(gains, owner, 40)
        covered += low <= 0.2 <= high
    assert 50 <= covered <= 60
