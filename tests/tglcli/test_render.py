"""tgl render."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from schemas.errors import MissingInput
from tglcli.main import app


def _write(root: Path) -> None:
    for frame in range(3):
        for kind, pixels in (
            ("frames/v", np.full((20, 30, 3), 90, np.uint8)),
            ("preds/v/0", np.eye(20, 30, dtype=np.uint8) * 255),
        ):
            (root / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(root / kind / f"{frame:05d}.png")


def test_draws_then_is_up_to_date(tmp_path: Path) -> None:
    _write(tmp_path)
    command = ["render", *(str(tmp_path / name) for name in ("preds", "frames", "out"))]
    command += ["--format", "gif", "--workers", "1"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "1 overlay, 1 expression, 3 frames drawn" in done.stdout
    assert (tmp_path / "out" / "v" / "sentences-0.gif").is_file()
    assert "render: up to date" in CliRunner().invoke(app, command).stdout


def test_missing_predictions_are_one_line(tmp_path: Path) -> None:
    command = ["render", *(str(tmp_path / name) for name in ("preds", "frames", "out"))]
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, MissingInput)
    assert str(done.exception) == f"{tmp_path / 'preds'}: no such folder"
