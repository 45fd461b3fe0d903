"""Settings that depend on the checkpoint."""

from pathlib import Path

import pytest

from schemas.errors import ConfigError
from stages.propagate.config import AUTO, OWN, PropagateConfig, has_track_head


def checkpoint(folder: Path, text: str | None) -> Path:
    folder.mkdir()
    if text is not None:
        (folder / "config.json").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"tracks": {"no_target": 0.5}}', True),
        ('{"format": "tgl-checkpoint"}', False),
        ("[]", False),
        ("{", False),
        (None, False),
    ],
)
def test_own_tracks_are_the_default_where_a_head_chooses(
    tmp_path: Path, text: str | None, expected: bool
) -> None:
    folder = checkpoint(tmp_path / "ck", text)
    assert has_track_head(folder) == expected
    assert PropagateConfig().for_checkpoint(folder).tracks == (OWN if expected else AUTO)


def test_a_stream_and_an_explicit_choice_stay_as_they_are(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "ck", '{"tracks": {}}')
    assert not PropagateConfig(online=True).for_checkpoint(folder).uses_tracks
    assert PropagateConfig(tracks="off").for_checkpoint(folder).tracks == "off"


@pytest.mark.parametrize("given", ["1.5", "-0.1", "often", ""])
def test_a_threshold_is_a_probability_or_a_word(given: str) -> None:
    with pytest.raises(ConfigError, match="is not a number from 0 to 1, auto or off"):
        PropagateConfig(no_target_threshold=given)


def test_words_for_thresholds() -> None:
    assert PropagateConfig().least_target(0.3) == 0.3
    assert PropagateConfig(no_target_threshold="off").least_target(0.3) == 0
    assert PropagateConfig(no_target_threshold="0.7").least_target(0.3) == 0.7
