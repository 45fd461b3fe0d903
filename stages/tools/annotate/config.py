"""Settings of annotate."""

from __future__ import annotations

import getpass
import re
from dataclasses import dataclass

from stages.core.browser.settings import port_setting
from stages.core.engine.settings import Settings, setting

_NOBODY = "annotator"


def login_name() -> str:
    """The user's login name as the name of a folder."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user without an entry, as in containers
        name = ""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name) or _NOBODY


@dataclass(frozen=True)
class AnnotateConfig(Settings):
    """Who annotates, and what."""

    annotator: str | None = setting(
        None, "Name of the annotator, a folder in OUT; by default your login name."
    )
    proposals: str | None = setting(
        None,
        "Moments to start from: a moments file, OUT of tgl select-moments or tgl propagate, or "
        "visibility (the frames that show each referent). They count only once they are accepted.",
    )
    blind: bool = setting(False, "Do not show the work of other annotators in OUT.")
    only: tuple[str, ...] = setting(
        (),
        "Show only these sentences: VIDEO, VIDEO/EXPRESSION, or those that are todo, done or "
        "flagged at the start; may be repeated.",
    )
    port: int | None = port_setting()
