"""The published models: defaults exist, sizes are those of their networks, rows fit a table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from stages.core.model.backbones.presets import sam21_preset
from stages.core.model.loading import catalog
from stages.core.model.loading.catalog import MODELS, catalog_rows, published, size_text

BYTES_PER_NUMBER = 4
ROOT = Path(__file__).resolve().parents[5]


def test_every_default_is_in_the_catalog_with_its_role() -> None:
    for name, role in (
        (catalog.DEFAULT_DETECTOR, catalog.DETECTOR),
        (catalog.DEFAULT_TRACKER, catalog.TRACKER),
        (catalog.CPU_TRACKER, catalog.TRACKER),
        (catalog.DEFAULT_BACKBONE, catalog.TRACKER),
        (catalog.DEFAULT_JUDGE, catalog.JUDGE),
    ):
        model = published(name)
        assert model is not None
        assert role in model.roles
        assert model.size
        assert not model.gated
        assert not model.extra, "a default must work after a plain pip install"
    assert published("someone/unknown") is None


def test_names_are_unique_hub_ids() -> None:
    names = [model.name for model in MODELS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+", name) for name in names)


@pytest.mark.parametrize(
    ("name", "preset"),
    [(catalog.CPU_TRACKER, "tiny"), (catalog.DEFAULT_BACKBONE, "base-plus")],
)
def test_a_trackers_size_is_that_of_its_network(name: str, preset: str) -> None:
    from transformers import Sam2VideoModel

    with torch.device("meta"):
        model = Sam2VideoModel(sam21_preset(preset))
    size = BYTES_PER_NUMBER * sum(tensor.numel() for tensor in model.state_dict().values())
    stated = published(name)
    assert stated is not None
    assert stated.size == pytest.approx(size, rel=0.05)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, "size unknown"),
        (1, "1 MB"),
        (156_000_000, "156 MB"),
        (690_000_000, "0.7 GB"),
        (3_400_000_000, "3.4 GB"),
    ],
)
def test_sizes_are_told_as_on_the_hub(size: int | None, text: str) -> None:
    assert size_text(size) == text


def test_rows_say_what_a_user_must_know() -> None:
    rows = {row[0]: row for row in catalog_rows()}
    assert len(rows) == len(MODELS)
    assert rows["`facebook/sam3`"] == (
        "`facebook/sam3`",
        "detector, tracker",
        "3.4 GB",
        "SAM License, access on request",
        "noun phrases, with masks; one encoder pass serves detector and tracker "
        "(needs `tgl[sam3]`)",
    )
    assert rows["`facebook/sam2.1-hiera-tiny`"][2:4] == ("160 MB", "Apache-2.0")
    assert all("|" not in cell and "\n" not in cell for row in rows.values() for cell in row)


def test_the_page_without_training_has_the_same_table() -> None:
    page = (ROOT / "docs" / "zero-shot.md").read_text(encoding="utf-8")
    assert "\n".join(f"| {' | '.join(row)} |" for row in catalog_rows()) in page
