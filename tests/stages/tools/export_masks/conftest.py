"""A toy split with its index, and predictions for it: the true masks of each sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.layouts import mask_path
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as BUILD_MOMENTS
from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.index.index import Expression, Index
from stages.core.media.mask_png import write_mask
from stages.tools.toy.config import ToyConfig, ToyInputs
from stages.tools.toy.stage import STAGE as TOY

TOY_CONFIG = ToyConfig(
    size=40, frames=16, train_clips=3, valid_clips=0, dev_clips=0, no_target=0.3, several=0.6
)


def work(stage: Any, config: Any, inputs: Any, out: Path) -> None:
    execute(stage, config, inputs, out, runtime=Runtime(workers=1), progress=SilentProgress())


def true_mask(index: Index, expression: Expression, frame: int) -> np.ndarray:
    """The union of a sentence's referents, bool (H, W)."""
    video = index.videos[expression.video_id]
    total = np.zeros((video.height, video.width), bool)
    for anno_id in expression.anno_ids:
        mask = index.masks.mask(anno_id, frame)
        if mask is not None:
            total |= mask.astype(bool)
    return total


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `toy`, `index` and `preds`."""
    root = tmp_path_factory.mktemp("export-masks")
    work(TOY, TOY_CONFIG, ToyInputs(), root / "toy")
    work(BUILD_MOMENTS, IndexConfig(), IndexInputs(root / "toy" / "train"), root / "index")
    index = Index.open(root / "index")
    for expression in index.expressions:
        for frame, name in enumerate(index.videos[expression.video_id].frame_names):
            path = mask_path(root / "preds", *expression.key, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_mask(path, true_mask(index, expression, frame))
    return root


@pytest.fixture(scope="session")
def index(root: Path) -> Index:
    """The index of the split."""
    return Index.open(root / "index")
