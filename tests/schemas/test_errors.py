"""Errors are one line and survive a process boundary."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path

import pytest

from schemas import errors
from schemas.errors import CorruptInput, MissingInput, OutputBlocked, TglError, system_errors

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


def test_a_path_stays_a_path_and_can_be_replaced() -> None:
    error = pickle.loads(pickle.dumps(MissingInput("no such file", where=Path("a/b"), hint="do")))
    assert (error.path, error.where) == (Path("a/b"), "a/b")
    error.relocate("standard output")
    assert (error.path, str(error)) == (None, "standard output: no such file; do")


def test_exit_codes_tell_kinds_apart() -> None:
    own = {kind.exit_code for kind in KINDS if "exit_code" in vars(kind)}
    assert len(own) == len([kind for kind in KINDS if "exit_code" in vars(kind)])
    assert 0 not in own
    assert CorruptInput.exit_code != MissingInput.exit_code


def test_what_the_system_refuses_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for call, reason in (
        (lambda: (tmp_path / "no" / "file").write_bytes(b""), "no/file: no such file or directory"),
        (lambda: (tmp_path / "file" / "x").mkdir(parents=True), "file/x: not a directory"),
        (lambda: (tmp_path / "file").mkdir(parents=True), "file: is a file, not a folder"),
        (lambda: (tmp_path / ("x" * 300)).exists(), "xx: file name too long"),
    ):
        with pytest.raises(errors.SystemRefused) as caught, system_errors("out"):
            call()
        assert str(caught.value).endswith(reason)


def test_a_full_disk_names_what_was_written() -> None:
    with pytest.raises(OutputBlocked, match="out: the disk is full; free"), system_errors("out"):
        raise OSError(errno.ENOSPC, "No space left on device", "out/.tgl/part")


@pytest.mark.parametrize("error", [OSError("broken data"), BrokenPipeError(errno.EPIPE, "x", "y")])
def test_errors_that_are_not_the_systems_stay(error: OSError) -> None:
    with pytest.raises(type(error)) as caught, system_errors("out"):
        raise error
    assert caught.value is error
