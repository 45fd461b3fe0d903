"""Settings of a stage: frozen dataclasses whose fields are the command line's options.

A default is written once, in the config, with its help, limits and choices, for the command line,
the validation and the documentation. A setting also says itself whether it affects the result.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Mapping
from typing import Any, ClassVar

from schemas.errors import ConfigError

_SETTING = "tgl"


@dataclasses.dataclass(frozen=True)
class Setting:
    """The description of one field, beside its type and default.

    Attributes:
        help: one or two sentences with the unit and, where it has one, the source of the value.
        low, high: inclusive limits of a number.
        choices: the words that a string may be.
        affects_result: whether the artifact depends on it; if not, receipts leave it out.
        only_with: a setting without which this one has no effect, and receipts leave it out.
        omit_default: leave the default out of receipts, so that artifacts made before the setting
            existed stay up to date.
        flag: the option's name where it is not the field's own name (`--expr` style, no dashes).
        panel: the heading in --help of this setting and of those that follow it in its class, up
            to the next one that names a panel.
        former: earlier names of the option, which still work but are not shown (no dashes).
    """

    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] | None = None
    affects_result: bool = True
    only_with: str | None = None
    omit_default: bool = False
    flag: str | None = None
    panel: str | None = None
    former: tuple[str, ...] = ()

    def check(self, name: str, value: object) -> None:
        """Raise ConfigError if `value` is outside the limits."""
        if value is None:
            return
        if self.choices is not None and value not in self.choices:
            raise ConfigError(
                f"{value!r} is not one of {', '.join(self.choices)}", where=option_name(name, self)
            )
        if isinstance(value, bool) or not isinstance(value, int | float):
            return
        below = self.low is not None and value < self.low
        above = self.high is not None and value > self.high
        if below or above or not math.isfinite(value):
            raise ConfigError(f"{value} is outside {self._limits()}", where=option_name(name, self))

    def _limits(self) -> str:
        low = "-inf" if self.low is None else f"{self.low:g}"
        high = "inf" if self.high is None else f"{self.high:g}"
        return f"[{low}, {high}]"


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
    affects_result: bool = True,
    only_with: str | None = None,
    omit_default: bool = False,
    flag: str | None = None,
    panel: str | None = None,
    former: tuple[str, ...] = (),
) -> Any:
    """A dataclass field with its help, limits and choices; see :class:`Setting`.

    Args:
        default: the value, or a function that gives it (help then says what it is).
    """
    effect = affects_result, only_with, omit_default
    known = Setting(help, low, high, choices, *effect, flag, panel, former)
    metadata = {_SETTING: known}
    if isinstance(default, list | dict | set):
        raise TypeError("settings are immutable: use a tuple")
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


class Settings:
    """Base of every config dataclass: checks its fields when it is made.

    Attributes:
        panel: the heading in --help of settings that no heading of their own precedes.

    Raises:
        ConfigError: a value is not of its default's kind, or outside its limits or choices.
    """

    panel: ClassVar[str] = "Options"

    def __post_init__(self) -> None:
        defaults = defaults_of(type(self))
        for name, known in settings_of(type(self)).items():
            value = getattr(self, name)
            if not _is_like(value, defaults[name]):
                raise ConfigError(f"{value!r} is not a valid value", where=option_name(name, known))
            known.check(name, value)

    def to_dict(self) -> dict[str, Any]:
        """Settings that the result depends on, as JSON values; the fingerprint covers these."""
        return {
            field.name: _plain(getattr(self, field.name))
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
            if self._affects_result(field)
        }

    def _affects_result(self, field: dataclasses.Field[Any]) -> bool:
        known = field.metadata.get(_SETTING)
        if known is None:
            return True
        if known.omit_default and getattr(self, field.name) == field.default:
            return False
        return known.affects_result and (known.only_with is None or getattr(self, known.only_with))


def _is_like(value: object, default: object) -> bool:
    """Whether a value, of a document perhaps, is of the kind of a field's default."""
    if default is None:
        return value is None or isinstance(value, str | int | float)
    if isinstance(default, bool) or isinstance(value, bool):
        return type(value) is type(default)
    kind = (int, float) if isinstance(default, float) else type(default)
    return isinstance(value, kind)


def _plain(value: object) -> Any:
    if isinstance(value, Settings):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def settings_of(kind: type) -> dict[str, Setting]:
    """The settings of a config class by field name, in order."""
    return {
        field.name: field.metadata[_SETTING]
        for field in dataclasses.fields(kind)
        if _SETTING in field.metadata
    }


def defaults_of(kind: type) -> dict[str, Any]:
    """The default of each setting of a config class by field name."""
    return {
        field.name: field.default
        if field.default_factory is dataclasses.MISSING
        else field.default_factory()
        for field in dataclasses.fields(kind)
        if _SETTING in field.metadata
    }


def panels_of(kind: type) -> dict[str, str]:
    """The heading of each setting by field name: a class's own settings, then inherited ones."""
    settings, found = settings_of(kind), {}
    for owner in kind.__mro__:
        heading = vars(owner).get("panel", Settings.panel)
        for name in inspect.get_annotations(owner):
            if name in settings and name not in found:
                heading = found[name] = settings[name].panel or heading
    return found


def option_name(name: str, known: Setting) -> str:
    """The option as the user types it: `--memory-frames`."""
    return "--" + (known.flag or name).replace("_", "-")
