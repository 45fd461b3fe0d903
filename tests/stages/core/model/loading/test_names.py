"""Names of models."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.core.model.loading.names import public_name


@pytest.mark.parametrize(
    ("name", "public"),
    [
        ("facebook/sam2.1-hiera-tiny", "facebook/sam2.1-hiera-tiny"),
        (
            "/home/me/hub/models--facebook--sam2.1-hiera-tiny/snapshots/0a1b",
            "facebook/sam2.1-hiera-tiny",
        ),
        ("/home/me/models/sam2-tiny", "sam2-tiny"),
        ("", ""),
    ],
)
def test_a_models_name_does_not_tell_where_it_lies(name: str, public: str) -> None:
    assert public_name(name) == public


def test_a_relative_folder_is_not_taken_for_a_hub_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert public_name("models/tiny") == "tiny"
    assert public_name("models/other") == "models/other"
