"""The setting that every command with a local server has."""

from __future__ import annotations

from typing import Any

from stages.core.engine.settings import setting

_LARGEST_PORT = 65535


def port_setting() -> Any:
    """The dataclass field of the server's port."""
    return setting(
        None,
        "Port of the local server; 0 takes any free one. By default 8765, or a free one if that is "
        "taken.",
        low=0,
        high=_LARGEST_PORT,
        affects_result=False,
    )
