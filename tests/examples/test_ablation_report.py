"""The ablation's page."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

Load = Callable[[str], ModuleType]
KEYS = [(f"v{video}", str(sentence)) for video in range(4) for sentence in range(3)]


@pytest.fixture(scope="module")
def runs(load_script: Load) -> list[Any]:
    """Every arm with two seeds; what each arm adds is added to its scores."""
    arms, results = load_script("ablation_arms"), load_script("ablation_results")
    rng = np.random.default_rng(2)
    made = []
    for number, arm in enumerate(arms.ARMS):
        for moments in arm.moments:
            for seed in (0, 1):
                scores = 0.05 * number + rng.random(len(KEYS)) / 100
                figures = {key: (s, s, s) for key, s in zip(KEYS, scores.tolist(), strict=True)}
                parts = {
                    part: {key: row[2] for key, row in figures.items()} for part in results.PARTS
                }
                run = results.Run(arm.name, moments, seed, figures, parts, 0.5, 0.75, 0.9, 0.6)
                made.append(run)
    return made


def test_the_page_starts_with_what_was_found(
    load_script: Load, runs: list[Any], tmp_path: Path
) -> None:
    report, results = load_script("ablation_report"), load_script("ablation_results")
    reference = [results.Run("look-alikes", "", 0, runs[0].figures)]
    sentences = {key: results.Sentence(number % 3, 0.6, 0.2) for number, key in enumerate(KEYS)}
    spans = [results.Spans("tgl", seed, (0.5, 0.7), (1, 2)) for seed in (0, 1)]
    report.write_report(runs, spans, reference, sentences, tmp_path / "page.md", "command")
    text = (tmp_path / "page.md").read_text()
    title, heading, first = [line for line in text.splitlines() if line][:3]
    assert title.startswith("# ")
    assert heading == "## What was found"
    question, found = first.split(": **gains**, ")
    assert question == "- TGL, its own moments, against BASE"
    place = [arm.name for arm in load_script("ablation_arms").ARMS].index("TGL")
    assert float(found.split()[0]) == pytest.approx(0.05 * place, abs=0.01)
    for word in ("*look-alikes*", "several referents", "page.svg", "0.500 | 0.750", "`command`"):
        assert word in text
    assert "| TGL | 0.600 | 0.500 | 0.700 | 0.900 | 0.600 |" in text
    for comparison in report.COMPARISONS:
        assert f"- {comparison.question}: " in text, "an arm is missing, or named otherwise"
        assert f"| {comparison.question} | " in text
    ET.fromstring((tmp_path / "page.svg").read_text())


def test_a_difference_within_chance_is_no_finding(
    load_script: Load, runs: list[Any], tmp_path: Path
) -> None:
    report, results = load_script("ablation_report"), load_script("ablation_results")
    rng = np.random.default_rng(3)
    noisy = [
        results.Run(
            arm,
            "all",
            seed,
            {key: (s, s, s) for key, s in zip(KEYS, rng.random(12).tolist(), strict=True)},
        )
        for arm in ("TGL", "BASE")
        for seed in (0, 1)
    ]
    sentences = {key: results.Sentence(1, 0.6, 0.2) for key in KEYS}
    report.write_report(noisy, [], [], sentences, tmp_path / "page.md", "command")
    assert "All frames guided, against BASE: **not clear**" in (tmp_path / "page.md").read_text()


def test_an_ablation_without_results_yet_still_reports(load_script: Load, tmp_path: Path) -> None:
    load_script("ablation_report").write_report([], [], [], {}, tmp_path / "page.md", "command")
    assert (tmp_path / "page.md").is_file()


def test_every_arm_runs_known_weights_in_a_folder_of_its_own(load_script: Load) -> None:
    arms = load_script("ablation_arms")
    folders = [arm.folder(m, 0) for arm in arms.ARMS for m in arm.moments]
    assert len(set(folders)) == len(folders)
    assert {arm.weights for arm in arms.ARMS} == set(arms.WEIGHTS)
    assert len({arm.name for arm in arms.ARMS}) == len(arms.ARMS)
