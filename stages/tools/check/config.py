"""Settings of check."""

from __future__ import annotations

from dataclasses import dataclass

from stages.core.datasets.layouts import LAYOUT_NAMES
from stages.core.engine.settings import Settings, setting
from stages.core.submissions.servers import SERVER_NAMES

AUTO = "auto"


@dataclass(frozen=True)
class CheckConfig(Settings):
    """Recognition of the data, and depth of the check."""

    layout: str = setting(
        AUTO,
        "Layout of a data set; auto detects it.",
        choices=(AUTO, *LAYOUT_NAMES),
    )
    server: str = setting(
        AUTO,
        "Server that a zip is meant for; auto goes by its folders.",
        choices=(AUTO, *SERVER_NAMES),
    )
    split: str | None = setting(None, "Split to check, if the data set's folder holds several.")
    deep: bool = setting(
        False,
        "Also compare the frames of an index with their recorded SHA-256, and every mask in its "
        "table with its area and its video.",
    )
    images: bool = setting(True, "Decode every image; --no-images checks names only.")
