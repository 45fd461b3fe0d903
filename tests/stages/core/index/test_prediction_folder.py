"""Folders of predicted masks."""

from __future__ import annotations

from pathlib import Path

from stages.core.index.prediction_folder import predicted_expressions


def test_videos_and_sentences_follow_their_numbers(tmp_path: Path) -> None:
    for name in ("clip10/0", "clip9/10", "clip9/2", "clip9/1", ".hidden/0"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    (tmp_path / "receipt.json").touch()
    assert list(predicted_expressions(tmp_path).items()) == [
        ("clip9", ["1", "2", "10"]),
        ("clip10", ["0"]),
    ]
