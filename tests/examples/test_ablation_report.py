"""The ablation's statistics and its report."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture(scope="module")
def report(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("ablation_report")


def keys(videos: int, sentences: int) -> list[tuple[str, str]]:
    return [(f"v{v}", str(s)) for v in range(videos) for s in range(sentences)]


def make_run(report: ModuleType, arm: str, route: str, seed: int, scores: np.ndarray):  # type: ignore[no-untyped-def]
    names = keys(len(scores), scores.shape[1])
    figures = {k: (s, s, s) for k, s in zip(names, scores.ravel().tolist(), strict=True)}
    return report.Run(arm, route, seed, figures, 2.0)


def test_a_constant_difference_has_no_width(report: ModuleType) -> None:
    scores = np.random.default_rng(0).random((6, 4)) / 2
    one = make_run(report, "TGL", "all", 0, scores + 0.25)
    two = make_run(report, "BASE", "all", 0, scores)
    found = report.paired_difference([one], [two], keys(6, 4))
    assert (found.mean, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))


def test_the_interval_covers_the_true_difference_as_often_as_stated(report: ModuleType) -> None:
    """Videos differ more than their sentences: an interval over sentences would be too narrow."""
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        by_video = rng.normal(0.1, 0.2, (30, 1)) + rng.normal(0, 0.02, (30, 5))
        one = make_run(report, "TGL", "all", 0, by_video)
        two = make_run(report, "BASE", "all", 0, np.zeros((30, 5)))
        found = report.paired_difference([one], [two], keys(30, 5), seed=trial)
        hits += found.low <= 0.1 <= found.high
    assert 0.90 <= hits / 200 <= 0.98


def test_seeds_are_paired_and_missing_ones_left_out(report: ModuleType) -> None:
    ours = [make_run(report, "TGL", "all", s, np.full((3, 2), 0.5 + s)) for s in (0, 1, 2)]
    theirs = [make_run(report, "BASE", "all", s, np.full((3, 2), 0.0 + s)) for s in (1, 2)]
    assert report.paired_difference(ours, theirs, keys(3, 2)).mean == pytest.approx(0.5)
    with pytest.raises(ValueError, match="nothing to compare"):
        report.paired_difference(ours[:1], theirs, keys(3, 2))


def test_sentences_are_grouped_by_their_moments(report: ModuleType) -> None:
    made = {
        ("v", "0"): report.Sentence(0, None, None),
        ("v", "1"): report.Sentence(1, 0.5, 0.1),
        ("v", "2"): report.Sentence(3, 0.1, 0.3),
    }
    found = {name: [k[1] for k in group] for name, group in report.groups(made).items()}
    assert found == {
        "with a target": ["1", "2"],
        "no referent": ["0"],
        "one referent": ["1"],
        "several referents": ["2"],
        "early moment": ["2"],
        "late moment": ["1"],
        "short moment": ["1"],
        "long moment": ["2"],
    }


def test_the_report_has_every_arm_and_a_plot(report: ModuleType, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    runs = [
        make_run(report, arm, route, seed, rng.random((4, 3)))
        for arm in ("BASE", "TGL")
        for route in ("annotated", "all")
        for seed in (0, 1)
    ]
    reference = [report.Run("look-alikes", "", 0, runs[0].figures, None)]
    sentences = {key: report.Sentence(1, 0.6, 0.2) for key in keys(4, 3)}
    report.write_report(runs, reference, sentences, tmp_path / "ablation.md", "command")
    text = (tmp_path / "ablation.md").read_text()
    for word in ("BASE", "TGL", "annotated", "*look-alikes*", "several referents", "ablation.svg"):
        assert word in text
    lines = [line for line in text.splitlines() if line.startswith("| TGL | annotated")]
    assert len(lines) == 2
    ET.fromstring((tmp_path / "ablation.svg").read_text())


def test_a_report_without_runs_is_written(report: ModuleType, tmp_path: Path) -> None:
    report.write_report([], [], {}, tmp_path / "ablation.md", "command")
    assert (tmp_path / "ablation.md").is_file()
