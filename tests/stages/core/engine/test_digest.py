"""Digests of inputs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.errors import MissingInput
from stages.core.engine import digest
from stages.core.engine.digest import artifact_digest, file_digest, known_sha256, tree_digest


@pytest.mark.parametrize("function", [artifact_digest, file_digest, tree_digest])
def test_a_missing_input_is_named(function: Callable[[Path], str], tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="nothing"):
        function(tmp_path / "nothing")


def test_a_file_is_read_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, reads = tmp_path / "video.mp4", []
    real = digest.sha256_file
    monkeypatch.setattr(digest, "sha256_file", lambda path: reads.append(path) or real(path))
    monkeypatch.setattr(digest, "_SETTLED_NS", 0)  # the files are new
    path.write_bytes(b"one")
    assert known_sha256(path) == known_sha256(path)
    assert len(reads) == 1
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert known_sha256(path) == real(path)
    assert len(reads) == 2


def test_a_file_that_may_still_change_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    for content in (b"one", b"two", b"six"):  # within a tick of the clock, with equal sizes
        path.write_bytes(content)
        assert known_sha256(path) == digest.sha256_file(path)
