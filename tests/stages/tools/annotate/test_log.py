"""The log: what is acknowledged is kept, whatever cuts or spoils its end."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import CorruptInput, DiskFull, OutputBlocked, SchemaMismatch, SystemRefused
from stages.tools.annotate.log import VERSION, Log, Reader, encode_line

HEADER = {"annotator": "anna", "mode": "annotate", "index": "index"}
RECORDS: list[dict[str, Any]] = [
    {"kind": "spans", "value": [[0, 4], [7, 9]], "from": None},
    {"kind": "note", "value": 'a "quote",\n a line feed, \u2028 and "crc":"00000000"}'},
    {"kind": "flag", "value": True},
    {"kind": "note", "value": "日本語 ' \\ \x00"},
]


def written(path: Path, records: list[dict[str, Any]] = RECORDS) -> bytes:
    """A log with these records, through the writer."""
    log = Log.create(path, HEADER)
    for record in records:
        log.append(record)
    log.close()
    return path.read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a log with all records."""
    return written(tmp_path_factory.mktemp("whole") / "log.jsonl")


def records_in(path: Path) -> list[Any]:
    return [line.record for line in Reader(path).follow()]


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    data = written(path)
    reader = Reader(path)
    assert reader.header == {"format": "tgl-annotation-log", "version": VERSION, **HEADER}
    lines = list(reader.follow())
    assert [line.number for line in lines] == [2, 3, 4, 5]
    assert [line.record for line in lines] == RECORDS
    assert (reader.count, reader.size, reader.torn) == (5, len(data), 0)
    assert data.count(b"\n") == 5


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_log_cut_at_any_byte_is_a_prefix(
    tmp_path_factory: Any, whole: bytes, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    first = whole.index(b"\n") + 1  # the header appears with its file
    end = data.draw(st.integers(first, len(whole)))
    tail = data.draw(st.sampled_from([b"", b"\0" * 7, b"{", b"\xff\xfe", b"\0\n"]))
    path = folder / "log.jsonl"
    path.write_bytes(whole[:end] + tail)
    kept = whole[:end].count(b"\n") - 1
    reader = Reader(path)
    assert [line.record for line in reader.follow()] == RECORDS[:kept]
    assert reader.torn == end + len(tail) - reader.size
    again = Log(path, reader)  # and work goes on from there
    again.append({"kind": "redo"})
    again.close()
    assert records_in(path) == [*RECORDS[:kept], {"kind": "redo"}]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_changed_byte_before_the_last_line_is_named(
    tmp_path_factory: Any, whole: bytes, data: st.DataObject
) -> None:
    last = whole[:-1].rindex(b"\n")
    place = data.draw(st.integers(0, last - 1))
    value = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[place]))
    spoilt = whole[:place] + bytes([value]) + whole[place + 1 :]
    line = whole[:place].count(b"\n") + 1
    path = tmp_path_factory.mktemp("spoilt") / "log.jsonl"
    path.write_bytes(spoilt)
    with pytest.raises(CorruptInput, match=rf"log\.jsonl, line {line}: is damaged; restore"):
        records_in(path)


def test_a_lost_or_repeated_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = [encode_line(1, {"format": "tgl-annotation-log", "version": VERSION})]
    lines += [encode_line(number, {"kind": "undo"}) for number in (2, 3, 4)]
    for order, wrong in (((0, 2, 3), 2), ((0, 1, 1, 2), 3), ((0, 2, 1, 3), 2), ((1, 2), 1)):
        path.write_bytes(b"".join(lines[n] for n in order))
        with pytest.raises(CorruptInput, match=f"line {wrong}: is damaged"):
            records_in(path)


def test_another_file_or_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for data in (b"", b"{}", encode_line(1, {"format": "tgl-moments"})):
        path.write_bytes(data)
        with pytest.raises(CorruptInput, match="is not a log of tgl annotate"):
            Reader(path)
    path.write_bytes(encode_line(1, {"format": "tgl-annotation-log", "version": 9}))
    with pytest.raises(SchemaMismatch, match=f"log of version 9, this tgl reads {VERSION}"):
        Reader(path)


def test_a_log_that_grows_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = Log.create(path, HEADER)
    reader = Reader(path)
    assert list(reader.follow()) == []
    for record in RECORDS:
        log.append(record)
        assert [line.record for line in reader.follow()] == [record]
    with path.open("ab") as file:  # a line that is being written
        file.write(b'{"line":6')
    assert list(reader.follow()) == []
    assert reader.torn == 9
    log.close()


def test_every_record_is_synced_before_append_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log.create(tmp_path / "log.jsonl", HEADER)
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_size))
    for record in RECORDS:
        log.append(record)
        assert synced[-1] == (tmp_path / "log.jsonl").stat().st_size
    assert len(synced) == len(RECORDS)
    log.close()


def test_a_full_disk_leaves_the_log_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.jsonl"
    log = Log.create(path, HEADER)
    log.append(RECORDS[0])
    before = path.read_bytes()
    write = os.write

    def half(descriptor: int, data: memoryview) -> int:
        if len(data) > 20:
            return write(descriptor, data[:20])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", half)
        with pytest.raises(DiskFull):
            log.append(RECORDS[1])
    assert path.read_bytes() == before
    log.append(RECORDS[2])
    log.close()
    assert records_in(path) == [RECORDS[0], RECORDS[2]]


def test_after_a_failed_sync_nothing_more_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.jsonl"
    log = Log.create(path, HEADER)

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(SystemRefused, match="input/output error"):
            log.append(RECORDS[0])
    with pytest.raises(OutputBlocked, match="start tgl annotate again"):
        log.append(RECORDS[0])
    log.close()
    assert records_in(path) == []
