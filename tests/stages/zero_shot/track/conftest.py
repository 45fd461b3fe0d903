"""A tiny random tracker and candidates for the miniature of MeViS; one thread."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from schemas.parquet import rows_of, write_table
from schemas.tables import CANDIDATES
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as BUILD
from stages.core.engine.progress import SilentProgress
from stages.core.model.backbones.families import build_backbone
from stages.core.model.backbones.presets import toy_preset

sys.path.insert(0, str(Path(__file__).parents[2] / "core/model"))  # for tiny_backbones

SIZE = 64
Box = tuple[float, float, float, float]


@pytest.fixture(autouse=True)
def _one_thread(one_thread: None) -> None:
    """All tests."""


class CountingProgress(SilentProgress):
    """Keeps the steps done and the steps in all after each report."""

    def __init__(self) -> None:
        super().__init__()
        self.reports: list[tuple[int, int]] = []

    @contextmanager
    def task(self, name: str, total: int | None, unit: str) -> Iterator[Any]:
        assert (name, unit) == ("track", "step")
        self.reports.append((0, total or 0))
        yield self

    def advance(self, n: int = 1, **figures: float | str) -> None:
        done, total = self.reports[-1]
        self.reports.append((done + n, total))

    def expect(self, total: int) -> None:
        self.reports.append((self.reports[-1][0], total))


@pytest.fixture
def counting() -> CountingProgress:
    """A progress that keeps what the task reports."""
    return CountingProgress()


@pytest.fixture(scope="session")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random SAM 2 that finds everything visible."""
    torch.manual_seed(0)
    backbone = build_backbone(toy_preset(SIZE))
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
        backbone.sam.mask_decoder.pred_obj_score_head.proj_out.bias.add_(4.3)
    folder = tmp_path_factory.mktemp("tracker")
    backbone.sam.save_pretrained(folder)
    return folder


@pytest.fixture
def index(run_stage: Callable, mevis, tmp_path: Path) -> Path:
    """An index of the videos a (6 frames, 3 sentences) and b (3 frames, 1 sentence)."""
    run_stage(BUILD, IndexConfig(), IndexInputs(mevis.write()), tmp_path / "index")
    return tmp_path / "index"


@pytest.fixture
def write_candidates(tmp_path: Path) -> Callable[..., Path]:
    """`write_candidates([(video, expression, frame, box, score), ...])`: a table of tgl ground."""

    def write(
        rows: Sequence[tuple[str, str, int, Box, float]], counts: bytes | None = None
    ) -> Path:
        ranks: dict[tuple[str, str, int], int] = {}
        records = []
        for video, expression, frame, box, score in rows:
            rank = ranks[video, expression, frame] = ranks.get((video, expression, frame), -1) + 1
            corners = dict(zip(("x0", "y0", "x1", "y1"), box, strict=True))
            records.append(
                {
                    "video_id": video,
                    "expression_id": expression,
                    "frame": frame,
                    "rank": rank,
                    **corners,
                    "score": score,
                    "counts": counts,
                    "source": "test",
                }
            )
        path = tmp_path / "candidates.parquet"
        write_table(path, rows_of(records, CANDIDATES), CANDIDATES)
        return path

    return write
