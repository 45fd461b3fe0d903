"""Loading a format by its name."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from stages.tools.export_masks.formats import FORMATS
from stages.tools.export_masks.records import MaskFormat


def mask_format(name: str) -> MaskFormat:
    """Load a format, one of FORMAT_NAMES."""
    return cast(MaskFormat, import_module(f"{__package__}.{FORMATS[name]}").FORMAT)
