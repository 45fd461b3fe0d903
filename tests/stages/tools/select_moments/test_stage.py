"""select-moments with tiny models of the real classes, loaded as real ones are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from schemas.directories import list_folder
from schemas.errors import ConfigError, CorruptInput, MissingInput
from schemas.parquet import read_table
from schemas.tables import MOMENTS
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as BUILD
from stages.core.engine.runtime import Runtime
from stages.core.index.index import Index, read_moments
from stages.core.media.frames import read_frame
from stages.tools.select_moments.config import SelectConfig, SelectInputs, local_model
from stages.tools.select_moments.scorers import load_scorer
from stages.tools.select_moments.stage import STAGE


@pytest.fixture
def index(run_stage: Callable, mevis, tmp_path: Path) -> Path:
    """An index of two videos."""
    run_stage(BUILD, IndexConfig(), IndexInputs(mevis.write()), tmp_path / "index")
    return tmp_path / "index"


def _config(model: Path, **settings: object) -> tuple[SelectConfig, SelectInputs | None]:
    return SelectConfig(model=str(model), window=1, **settings)


def _inputs(index: Path, model: object) -> SelectInputs:
    return SelectInputs(index, local_model(str(model)))


@pytest.mark.parametrize("family", ["clip", "siglip", "blip-2"])
def test_every_family_writes_a_moments_table(
    run_stage: Callable, index: Path, tiny_selector: Callable, tmp_path: Path, family: str
) -> None:
    model = tiny_selector(family)
    outcome = run_stage(STAGE, _config(model), _inputs(index, model), tmp_path / "out")
    table = read_table(tmp_path / "out" / "moments.parquet", MOMENTS)
    opened = Index.open(index)
    found = read_moments(tmp_path / "out" / "moments.parquet")
    assert set(found) == {expression.key for expression in opened.expressions}
    for (video, _), spans in found.items():
        assert all(0 <= a < b <= opened.videos[video].num_frames for a, b in spans[None])
    assert set(table.column("source").to_pylist()) == {model.name}
    assert np.isfinite(table.column("score").to_numpy()).all()
    assert outcome.counts["with annotated moments"] == 3
    assert 0 <= outcome.counts["key-frame top-1"] <= 1
    again = run_stage(STAGE, _config(model), _inputs(index, model), tmp_path / "out")
    assert again.skipped


def test_stride_scores_fewer_frames(
    run_stage: Callable, index: Path, tiny_selector: Callable, tmp_path: Path
) -> None:
    model = tiny_selector("clip")
    run_stage(STAGE, _config(model, stride=4), _inputs(index, model), tmp_path / "out")
    found = read_moments(tmp_path / "out" / "moments.parquet")
    edges = {edge for spans in found["a", "0"].values() for span in spans for edge in span}
    assert edges <= {0, 2, 6}  # 0-1 take frame 0's score, 2-5 that of frame 4


def test_a_killed_run_completes_with_the_same_artifact(
    run_stage: Callable,
    killed_run: Callable,
    index: Path,
    tiny_selector: Callable,
    tmp_path: Path,
) -> None:
    model = tiny_selector("clip")
    run_stage(STAGE, _config(model), _inputs(index, model), tmp_path / "whole")
    killed_run(STAGE, _config(model), _inputs(index, model), tmp_path / "out", after=7)
    outcome = run_stage(STAGE, _config(model), _inputs(index, model), tmp_path / "out")
    assert outcome.counts["videos kept from before"] == 1
    assert list_folder(tmp_path / "out").tables == list_folder(tmp_path / "whole").tables


def test_the_best_frame_is_compared_with_annotated_moments(
    run_stage: Callable, index: Path, tiny_selector: Callable, tmp_path: Path
) -> None:
    model = tiny_selector("clip")
    outcome = run_stage(STAGE, _config(model), _inputs(index, model), tmp_path / "out")
    opened = Index.open(index)
    scorer = load_scorer(str(model), Runtime(workers=1, device="cpu"))
    hits = []
    for expression in opened.expressions:
        if not opened.moments(*expression.key):
            continue
        video = opened.videos[expression.video_id]
        frames = [read_frame(video.frame_path(n)) for n in range(video.num_frames)]
        best = scorer.score(frames, scorer.encode([expression.text]))[:, 0].argmax()
        hits.append(opened.relevant(*expression.key)[best])
    assert outcome.counts["key-frame top-1"] == pytest.approx(np.mean(hits))


def test_unsuitable_models_are_refused(
    run_stage: Callable, index: Path, tiny_selector: Callable, tmp_path: Path
) -> None:
    def select(model: object) -> None:
        run_stage(STAGE, _config(model), _inputs(index, model), tmp_path / "out")

    with pytest.raises(MissingInput, match="no such folder"):
        select("./absent")
    with pytest.raises(MissingInput, match=r"nobody/no-model.*--model"):
        select("nobody/no-model")
    other = tmp_path / "other"
    shutil.copytree(tiny_selector("clip"), other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "model_type": "bert"}))
    with pytest.raises(ConfigError, match="is a bert model"):
        select(other)
    (other / "config.json").write_text(json.dumps(config))
    (other / "preprocessor_config.json").write_text('{"do_resize": true, "size": "large"}')
    with pytest.raises(CorruptInput, match=r"cannot load it \(Could not convert size.*: large"):
        select(other)
    (other / "preprocessor_config.json").unlink()
    with pytest.raises(MissingInput, match="no preprocessor_config"):
        select(other)
    assert not (tmp_path / "out").exists()
