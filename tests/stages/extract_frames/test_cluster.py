"""Videos extracted by an existing Dask cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.directories import list_folder
from schemas.errors import ConfigError
from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.extract_frames.config import ExtractConfig, ExtractInputs
from stages.extract_frames.stage import STAGE


def test_a_cluster_makes_the_same_artifact(
    run_stage: Callable, make_video: Callable, scheduler: str, tmp_path: Path
) -> None:
    videos = [make_video(f"v{n}.mp4", frames=3 + n) for n in range(3)]
    videos[1].write_bytes(videos[1].read_bytes()[:300])
    inputs = ExtractInputs(tuple(videos))
    here = run_stage(STAGE, ExtractConfig(), inputs, tmp_path / "here")
    there = execute(
        STAGE,
        ExtractConfig(),
        inputs,
        tmp_path / "there",
        runtime=Runtime(workers=1, scheduler=scheduler),
        progress=SilentProgress(),
    )
    assert there.failures == here.failures
    assert there.counts == here.counts
    assert list_folder(tmp_path / "there") == list_folder(tmp_path / "here")


def test_a_scheduler_that_is_not_there(make_video: Callable, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not-a-scheme"):
        execute(
            STAGE,
            ExtractConfig(),
            ExtractInputs((make_video("v.mp4", frames=2),)),
            tmp_path / "out",
            runtime=Runtime(workers=1, scheduler="not-a-scheme://127.0.0.1:1"),
            progress=SilentProgress(),
        )
