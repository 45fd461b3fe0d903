"""Every kind of file that a stage reads against every damage: no hang, no traceback, and no silent
change where a digest or a checksum exists."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from damage_kinds import KINDS, Kind
from file_damage import damaged_copies
from tiny_world import TinyWorld

from schemas.errors import TglError

_SECONDS = 5
"""Far more than any of these files takes to read, and an end to waiting for a pipe."""
_TOLD = {
    "FIFO": "is a pipe",
    "link to a FIFO": "is a pipe",
    "link to nothing": "is a link to nowhere, which is gone",
    "link to itself": "is a link that leads back to itself",
}
"""What a message says of what is no file: no "missing" where something is there."""


def read_within(kind: Kind, folder: Path) -> tuple[object, str | None]:
    """What a kind's reader returns, or the message of its error; one that waits fails the test."""

    def ring(*_: object) -> None:
        pytest.fail(f"waited for more than {_SECONDS} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(_SECONDS)
    try:
        return kind.read(folder), None
    except TglError as error:
        return None, str(error)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("name", KINDS)
def test_no_damage_hangs_or_goes_unseen(name: str, tiny_world: TinyWorld, tmp_path: Path) -> None:
    kind = KINDS[name]
    kind.make(tiny_world, tmp_path / "whole")
    for damage, folder in damaged_copies(tmp_path / "whole", kind.name, tmp_path / "copy"):
        found, error = read_within(kind, folder)
        if error is not None:
            assert "\n" not in error, damage
            assert _TOLD.get(damage, "") in error, damage
        elif not kind.may_miss(damage):
            assert found == kind.read(tmp_path / "whole"), damage
