"""Settings of check."""

from __future__ import annotations

from dataclasses import dataclass

from stages.core.datasets.layouts import LAYOUT_NAMES
from stages.core.engine.settings import Settings, setting
from stages.core.submissions.servers import SERVER_NAMES

AUTO = "auto"


@dataclass(frozen=True)
class CheckConfig(Settings):
    """What is checked, and how thoroughly."""

    layout: str = setting(
        AUTO,
        "Layout of a data set; auto detects it.",
        choices=(AUTO, *LAYOUT_NAMES),
    )
    server: str = setting(
        AUTO,
        "Server for which a submission is checked; auto detects it by the folders in the zip.",
        choices=(AUTO, *SERVER_NAMES),
    )
    split: str | None = setting(None, "The split, if the folder of a data set has several.")
    deep: bool = setting(
        False,
        "Of an index, also compare the frames that it points to with what extract-frames recorded "
        "(SHA-256), and decode every mask of its table.",
    )
    images: bool = setting(True, "Decode every picture; without it only their names are looked at.")
