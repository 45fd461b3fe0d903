"""Fixtures and plain reference code of the scorer's tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

HERE = Path(__file__).parent


def _load(name: str) -> None:
    """Make a helper module of this folder importable under its own name."""
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


for helper in ("random_masks", "score_definition", "score_png_writer"):
    if helper not in sys.modules:
        _load(helper)


class Predictions:
    """Random masks for every sentence of a miniature split, as propagate would write them."""

    def __init__(self, root: Path, meta: dict[str, Any], size: tuple[int, int]):
        self.root = root
        self.masks: dict[tuple[str, str, str], np.ndarray] = {}
        rng = np.random.default_rng(7)
        for video, entry in meta["videos"].items():
            for expression in entry["expressions"]:
                for name in entry["frames"]:
                    self.masks[video, expression, name] = rng.random(size) < 0.3
        self.write()

    def path(self, video: str, expression: str, name: str) -> Path:
        """The file of a mask."""
        return self.root / video / expression / f"{name}.png"

    def write(self, *, backwards: bool = False) -> Path:
        """Write all files, in order of their names or against it."""
        for key in sorted(self.masks, reverse=backwards):
            self.path(*key).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(self.masks[key].astype(np.uint8) * 255).save(self.path(*key))
        return self.root


@pytest.fixture
def predictions(tmp_path: Path, mevis: Any) -> Predictions:
    """Random masks for the sentences of the miniature split."""
    return Predictions(tmp_path / "preds", mevis.meta, (12, 16))
