"""Settings of check."""

from __future__ import annotations

from dataclasses import dataclass

from stages.core.engine.settings import Settings, setting
from stages.core.submissions.servers import PREFIXES

AUTO = "auto"


@dataclass(frozen=True)
class CheckConfig(Settings):
    """What is looked at."""

    layout: str = setting(
        AUTO,
        "Layout of a data set; auto finds out.",
        choices=(AUTO, "mevis", "ref-youtube-vos", "ref-davis17", "folder"),
    )
    server: str = setting(
        AUTO,
        "Whose layout a submission's zip should have; auto goes by its folders.",
        choices=(AUTO, *PREFIXES),
    )
    split: str | None = setting(None, "The split, where a data set's folder holds several.")
    deep: bool = setting(
        False,
        "Of an index, also compare the frames that it points to with what extract-frames recorded "
        "(SHA-256), and decode every mask of its table.",
    )
    images: bool = setting(True, "Decode every picture; without it only their names are looked at.")
