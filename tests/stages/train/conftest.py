"""Inputs of a training run of a few small steps."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from stages.core.model.tgl import TglModel
from stages.train.config import TrainInputs

sys.path.insert(0, str(Path(__file__).parent))

from train_mini import (
    SENTENCES,
    SIZE,
    CountingEncoder,
    loaded_model,
    write_index,
    write_texts,
)


@pytest.fixture(autouse=True)
def _one_thread(one_thread: None) -> None:
    """All tests."""


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy backbone with random weights."""
    from stages.core.model.backbones.families import build_backbone
    from stages.core.model.backbones.presets import toy_preset

    folder = tmp_path_factory.mktemp("backbone") / "tiny"
    torch.manual_seed(0)
    build_backbone(toy_preset(SIZE)).sam.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def shared_model(backbone: Path) -> TglModel:
    """A model on that backbone; to be read only."""
    return loaded_model(backbone)


@pytest.fixture
def encoder(shared_model: TglModel) -> CountingEncoder:
    """The encoder of that model, which counts from 0."""
    return CountingEncoder(shared_model)


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory, backbone: Path) -> TrainInputs:
    """The miniature index, its texts and the backbone; nobody may write into them."""
    root = tmp_path_factory.mktemp("data")
    write_index(root / "index")
    write_texts(root / "text", [text for text, _ in SENTENCES.values()])
    return TrainInputs(root / "index", root / "text", backbone)


@pytest.fixture(scope="session")
def stills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature index with the first frame of each video; its texts are those of `inputs`."""
    folder = tmp_path_factory.mktemp("stills") / "index"
    write_index(folder, frames=1)
    return folder
