"""Digests of inputs: what changes them, and what does not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from schemas.errors import MissingInput
from stages.core.engine.digest import weights_digest


def model(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(64))
    (folder / "README.md").write_text("read me")
    return folder


def test_a_model_installed_elsewhere_keeps_its_digest(tmp_path: Path) -> None:
    first = model(tmp_path / "a")
    other = shutil.copytree(first, tmp_path / "b")
    os.utime(other / "model.safetensors", (1, 1))
    (other / "README.md").write_text("read me again")
    assert weights_digest(first) == weights_digest(other)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "model-2.safetensors"])
def test_changed_weights_change_the_digest(tmp_path: Path, name: str) -> None:
    folder = model(tmp_path / "a")
    before = weights_digest(folder)
    (folder / name).write_bytes(bytes(63) + b"\x01")
    assert weights_digest(folder) != before


def test_a_missing_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="no such folder"):
        weights_digest(tmp_path / "none")
