"""Devices by name."""

from __future__ import annotations

import pytest

from schemas.errors import ConfigError
from stages.core.model.device import pick_device


def test_an_unknown_device_is_one_line() -> None:
    with pytest.raises(ConfigError, match="no device 'abacus'"):
        pick_device("abacus")
