"""Model cards: what a hub reads of them, and what a person does."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from stages.core.model.loading.catalog import DEFAULT_BACKBONE
from stages.train.config import TrainConfig
from stages.train.model_card import TrainedOn, model_card

COUNTS = {"weights trained": 14_300_000, "steps": 12, "valid J": 0.51234, "best step": 9}
DATA = [TrainedOn(2, 5, 1, 4), TrainedOn(100, 2_000, 0, 2_500)]


def card(backbone: str, config: TrainConfig | None = None) -> tuple[dict[str, Any], str]:
    """The header and the text below it."""
    text = model_card(
        config or TrainConfig(), COUNTS, DATA, backbone=backbone, encoder="roberta", version="1.2"
    )
    nothing, header, body = text.split("---\n", 2)
    assert nothing == ""
    return yaml.safe_load(header), body


def test_a_published_backbone_is_named_with_its_licence() -> None:
    header, body = card(DEFAULT_BACKBONE)
    assert (header["license"], header["base_model"]) == ("apache-2.0", DEFAULT_BACKBONE)
    assert f"made from those of {DEFAULT_BACKBONE}: Apache-2.0." in body


def test_a_licence_that_the_hub_has_no_key_for_is_named() -> None:
    header, _ = card("facebook/sam3")
    assert (header["license"], header["license_name"]) == ("other", "sam-license")


@pytest.mark.parametrize("backbone", ["toy_backbone", "somebody/a-model"])
def test_an_unknown_licence_is_left_to_the_user(backbone: str) -> None:
    header, body = card(backbone)
    assert header["license"] == "other"
    assert "base_model" not in header
    assert f"those of {backbone}, whose licence tgl does not know" in body


def test_data_settings_and_scores_are_told() -> None:
    _, body = card("toy", TrainConfig(steps=12, oss=False, lr=3e-5))
    for line in (
        "- 2 videos, 5 sentences (1 without a target), 4 moments",
        "- 100 videos, 2,000 sentences (0 without a target), 2,500 moments",
        "- Weights trained: 14,300,000",
        "- `--steps`: 12",
        "- `--oss`: False",
        "- `--lr`: 3e-05",
        "- valid J: 0.5123",
        "- best step: 9",
    ):
        assert f"{line}\n" in body
    assert "--batch" not in body
