"""Errors are one line and survive a process boundary."""

from __future__ import annotations

import pickle

import pytest

from schemas import errors
from schemas.errors import CorruptInput, MissingInput, TglError

KINDS = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TglError)
]


def test_message_says_where_what_and_what_to_do() -> None:
    error = MissingInput("no such\n video", where="/a/b.mp4", hint="check the name")
    assert str(error) == "/a/b.mp4: no such video; check the name"


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
def test_every_kind_survives_pickling(kind: type[TglError]) -> None:
    error = pickle.loads(pickle.dumps(kind("what", where="x", hint="do")))
    assert type(error) is kind
    assert (error.message, error.where, error.hint) == ("what", "x", "do")


def test_exit_codes_tell_kinds_apart() -> None:
    own = {kind.exit_code for kind in KINDS if "exit_code" in vars(kind)}
    assert len(own) == len([kind for kind in KINDS if "exit_code" in vars(kind)])
    assert 0 not in own
    assert CorruptInput.exit_code != MissingInput.exit_code
