"""Only regular files are opened; nothing else is waited for, and each is one line."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.documents import load_object
from schemas.errors import CorruptInput, MissingInput, TglError
from schemas.files import open_regular, read_regular, require_regular
from schemas.parquet import TableWriter, read_table, rows_of
from schemas.tables import MOMENTS
from stages.core.datasets.documents.json_stream import stream_members
from stages.core.media.frames import read_frame


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


IRREGULAR: dict[str, tuple[Callable[[Path], object], type[TglError], str]] = {
    "pipe": (os.mkfifo, CorruptInput, "is a pipe, a regular file is needed"),
    "folder": (Path.mkdir, CorruptInput, "is a folder, a regular file is needed"),
    "socket": (_socket, CorruptInput, "is a socket, a regular file is needed"),
    "device": (lambda p: p.symlink_to("/dev/null"), CorruptInput, "is a device, a regular"),
    "loop": (lambda p: p.symlink_to(p), CorruptInput, "is a link that leads back to itself"),
    "dangling": (lambda p: p.symlink_to("gone"), MissingInput, "is a link to gone, which is gone"),
}
READERS: dict[str, Callable[[Path], object]] = {
    "open": open_regular,
    "read": read_regular,
    "require": require_regular,
    "JSON": load_object,
    "JSON stream": lambda path: list(stream_members(path)),
    "table": lambda path: read_table(path, MOMENTS),
    "frame": read_frame,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", IRREGULAR)
def test_what_is_no_regular_file(kind: str, reader: str, tmp_path: Path, monkeypatch) -> None:
    make, error, words = IRREGULAR[kind]
    monkeypatch.chdir(tmp_path)  # a socket's name is short
    make(Path("x"))
    with pytest.raises(error, match=words):
        READERS[reader](Path("x"))


def test_content_and_absence(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with pytest.raises(MissingInput, match="no such thing; make one"):
        read_regular(path, missing="no such thing", hint="make one")
    path.write_bytes(b"abc")
    assert read_regular(path) == b"abc"
    with open_regular(path) as file:
        assert (file.read(), os.get_blocking(file.fileno())) == (b"abc", True)


def test_no_flipped_bit_of_a_table_changes_a_value(tmp_path: Path) -> None:
    path = tmp_path / "moments.parquet"
    row = {"expression_id": "0", "start_frame": 1, "end_frame": 4, "source": "annotated"}
    rows = rows_of([row | {"video_id": f"v{n}"} for n in range(8)], MOMENTS)
    with TableWriter(path, MOMENTS, receipt="{}") as writer:
        writer.write(rows)
    whole = path.read_bytes()
    noticed = 0
    for place in range(0, 8 * len(whole), 61):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            assert read_table(path, MOMENTS).equals(rows), place
        except CorruptInput:
            noticed += 1
    assert noticed > 8 * len(whole) / 61 / 2
