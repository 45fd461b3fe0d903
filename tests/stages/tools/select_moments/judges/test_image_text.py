"""CLIP, SigLIP and BLIP-2 as judges: the formula, and one encoding per image."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest

from schemas.parquet import read_table
from schemas.tables import MOMENTS
from stages.core.engine.runtime import Runtime
from stages.core.index.index import Index
from stages.core.media.frames import read_frame
from stages.core.media.rle import decode
from stages.tools.select_moments import scorers
from stages.tools.select_moments.config import REFERENT, SelectConfig, SelectInputs, local_model
from stages.tools.select_moments.judges.drawing import object_crop, outlined
from stages.tools.select_moments.judges.image_text import NEUTRAL, ImageTextJudge, window_scores
from stages.tools.select_moments.referents import case_of
from stages.tools.select_moments.stage import STAGE

CPU = Runtime(workers=1, device="cpu")


def config(model: Path, **settings: object) -> SelectConfig:
    return SelectConfig(model=str(model), per=REFERENT, **settings)


def test_window_scores() -> None:
    similar = np.array([[0.30, 0.20, np.nan], [0.30, 0.25, 0.1], [0.20, 0.25, np.nan]])
    neutral = np.array([[0.20, 0.20, np.nan], [0.30, 0.20, 0.2], [0.20, 0.40, np.nan]])
    found = window_scores(similar, neutral, 100)
    assert found[0, 0] == pytest.approx(1 / (1 + np.exp(-10)))
    assert found[1, 0] == pytest.approx(0.5)  # as near to the sentence, and to a neutral prompt
    assert found[2, 0] == pytest.approx(0.5 * np.exp(-10))
    assert found[0, 1] == pytest.approx(0.5 * np.exp(-5))
    assert found[2, 1] < 1e-6
    assert np.isnan(found[[0, 2], 2]).all()  # not visible
    assert found[1, 2] == pytest.approx(1 / (1 + np.exp(10)))  # alone, but no target


@pytest.mark.parametrize("family", ["clip", "blip-2"])
def test_scores_are_those_of_each_window_alone(
    family: str, tiny_selector: Callable, tracks: Path
) -> None:
    model, index = tiny_selector(family), Index.open(tracks)
    case = case_of(index, "a")
    settings = config(model, window=2, stride=2, frames_per_window=2)
    judge = ImageTextJudge(settings, CPU)
    found = judge.scores(case, lambda n: None)
    assert found.whole is None
    scorer = scorers.load_scorer(str(model), CPU)
    known = cache(partial(by_hand, scorer, case))
    expected = np.zeros_like(found.frames)
    for number, pair in enumerate(case.pairs):
        sentence = case.expressions[pair.row].text
        rivals = [p.anno_id for p in case.pairs if p.row == pair.row]
        for start in (0, 2, 4):
            means = {}
            for name in rivals:
                shown = [f for f in (start, start + 1) if f in case.tracks[name]]
                if shown:
                    means[name] = np.mean([known(name, f, sentence) for f in shown], 0)
            if pair.anno_id not in means:
                continue
            own, best = means[pair.anno_id], max(values[0] for values in means.values())
            margin = scorer.scale * (own[0] - own[1:].max())
            score = np.exp(scorer.scale * (own[0] - best)) / (1 + np.exp(-margin))
            for frame in (start, start + 1):
                if frame in case.tracks[pair.anno_id]:
                    expected[number, frame] = score
    assert np.abs(found.frames - expected).max() < 1e-5
    assert np.ptp(expected[expected > 0]) > 1e-3  # windows and tracks are told apart


def by_hand(scorer, case, name: str, frame: int, sentence: str) -> np.ndarray:
    """Similarities of one track on one frame with the sentence and the neutral prompts."""
    pixels = read_frame(case.video.frame_path(frame))
    mask = decode(case.tracks[name][frame], where="").astype(bool)
    images = [object_crop(pixels, mask), outlined(pixels, mask, square=True)]
    values = [scorer.score([image], scorer.encode([sentence, *NEUTRAL])) for image in images]
    return np.mean(values, axis=0)[0]


def test_images_are_encoded_once_for_all_sentences(
    tiny_selector: Callable, tracks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded, passes, decoded = [], [], []
    scored = scorers.FrameScorer.score

    def score(self, images, sentences):
        encoded.extend(images)
        passes.append(len(images))
        return scored(self, images, sentences)

    monkeypatch.setattr(scorers.FrameScorer, "score", score)
    read = "stages.tools.select_moments.judges.looking.read_video_frame"
    monkeypatch.setattr(
        read, lambda video, frame: decoded.append(frame) or read_frame(video.frame_path(frame))
    )
    case = case_of(Index.open(tracks), "a")
    settings = config(tiny_selector("clip"), window=6, stride=3, frames_per_window=6)
    ImageTextJudge(settings, CPU).scores(case, lambda n: None)
    assert decoded == list(range(6))
    assert len(encoded) == 2 * (4 + 4 + 6)  # crop and outline of each track's visible frames
    assert len(passes) == 1


def test_the_stage(
    run_stage: Callable, tiny_selector: Callable, tracks: Path, tmp_path: Path
) -> None:
    model = tiny_selector("clip")
    settings = config(model, accept=0.0)
    inputs = SelectInputs(tracks, local_model(str(model), REFERENT))
    outcome = run_stage(STAGE, settings, inputs, tmp_path / "out")
    table = read_table(tmp_path / "out" / "moments.parquet", MOMENTS)
    assert set(table.column("source").to_pylist()) == {model.name}
    assert outcome.counts["tracks accepted"] == 8  # all but a.3, which shows nothing
    assert outcome.counts["expressions without a target"] == 0
    assert run_stage(STAGE, settings, inputs, tmp_path / "out").skipped
    none = run_stage(STAGE, config(model, accept=1.0), inputs, tmp_path / "out")
    assert none.counts["tracks accepted"] == 0
    assert none.counts["expressions without a target"] == 4
