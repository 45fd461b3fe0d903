"""Settings: limits, and their part in receipts."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from toy_stage import CopyConfig

from schemas.errors import ConfigError
from stages.core.engine.settings import Settings, setting


@dataclass(frozen=True)
class Config(Settings):
    size: int = setting(1, "Changes the result.")
    online: bool = setting(False, "A later setting.", omit_default=True)
    delay: int = setting(8, "Has an effect with --online.", only_with="online")
    batch: int = setting(4, "Changes nothing.", affects_result=False)


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"--times: 10 is outside \[1, 9\]"):
        CopyConfig(times=10)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (Config(), {"size": 1}),
        (Config(size=2, delay=0, batch=9), {"size": 2}),
        (Config(online=True), {"size": 1, "online": True, "delay": 8}),
    ],
)
def test_receipts_have_the_settings_that_affect_the_result(
    config: Config, expected: dict[str, object]
) -> None:
    assert list(config.to_dict().items()) == list(expected.items())
