"""Random reads of masks touch only the row groups that can hold them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pycocotools import mask as coco

from schemas.errors import CorruptInput, SchemaMismatch, TglError
from schemas.parquet import TableWriter, read_table
from schemas.tables import MASKS
from stages.core.index.masks import MaskStore, Track
from stages.core.media.rle import decode

FRAMES = 40
ROW_GROUP = 16
ANNOS = ["0", "1", "2", "3"]
AS_WRITTEN: dict[str, Any] = {"dictionary": ["anno_id"], "statistics": ["anno_id"]}
"""How build-moments writes the table."""
HEADER, SEAL, TAIL = 24, 16 + 2 * 32, 8
"""Bytes of a page's header (the least), of the seal with its two digests and of a file's end."""


def _mask(anno: int, frame: int) -> np.ndarray:
    mask = np.zeros((20, 30), np.uint8)
    mask[anno % 10 : anno % 10 + 4, frame % 20 : frame % 20 + 5] = 1
    return mask


def _table(annos: list[str]) -> pa.Table:
    rows = []
    for anno in annos:
        for frame in range(0, FRAMES, 1 + int(anno) % 3):
            rle = coco.encode(np.asfortranarray(_mask(int(anno), frame)))
            row = {"anno_id": anno, "frame": frame, "height": 20, "width": 30, "area": 20}
            rows.append({**row, "counts": rle["counts"]})
    return pa.Table.from_pylist(rows, schema=MASKS.schema)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Masks of the objects 0 to 24, visible in every, every second or every third frame."""
    path = tmp_path / "masks.parquet"
    with TableWriter(path, MASKS, row_group_rows=ROW_GROUP) as writer:
        writer.write(_table(sorted(str(n) for n in range(25))))
    return path


def test_visible_spans_are_those_of_the_frames(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.core.index.masks._GROUPS_AT_ONCE", 2)  # tracks lie across reads
    found = MaskStore(path).visible_spans()
    assert found.keys() == {str(anno) for anno in range(25)}
    for anno in range(25):
        step = 1 + anno % 3
        frames = [(frame, frame + 1) for frame in range(0, FRAMES, step)]
        assert found[str(anno)] == ([(0, FRAMES)] if step == 1 else frames)


def test_a_mask_without_pixels_is_not_visible(tmp_path: Path) -> None:
    rows = _table(["0", "1"]).to_pylist()
    for row in rows:
        if row["anno_id"] == "1" or row["frame"] in (3, 4):
            row["area"] = 0
    path = tmp_path / "masks.parquet"
    with TableWriter(path, MASKS, row_group_rows=ROW_GROUP) as writer:
        writer.write(pa.Table.from_pylist(rows, schema=MASKS.schema))
    assert MaskStore(path).visible_spans() == {"0": [(0, 3), (5, FRAMES)]}


def test_every_mask_is_found(path: Path) -> None:
    store = MaskStore(path)
    for anno in range(25):
        frames = list(range(0, FRAMES, 1 + anno % 3))
        assert sorted(store.frames_of(str(anno))) == frames
        assert np.array_equal(store.mask(str(anno), frames[-1]), _mask(anno, frames[-1]))
    assert store.mask("1", 1) is None
    assert store.rle("2", 3) == {
        "size": [20, 30],
        "counts": coco.encode(np.asfortranarray(_mask(2, 3)))["counts"],
    }
    for absent in ("25", "", "zzz", "00", "1 "):
        assert store.frames_of(absent) == {}


def test_a_file_without_statistics_is_read_too(path: Path, tmp_path: Path) -> None:
    table = pq.read_table(path)
    bare = tmp_path / "bare.parquet"
    pq.write_table(table, bare, row_group_size=ROW_GROUP, write_statistics=False)
    store = MaskStore(bare)
    assert sorted(store.frames_of("13")) == list(range(0, FRAMES, 2))


def test_an_unsorted_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "masks.parquet"
    with TableWriter(path, MASKS, row_group_rows=ROW_GROUP) as writer:
        writer.write(_table(["3", "1", "2"]))
    with pytest.raises(SchemaMismatch, match="not sorted"):
        MaskStore(path)


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "masks.parquet"
    with TableWriter(path, MASKS) as writer:
        writer.write(MASKS.schema.empty_table())
    assert MaskStore(path).frames_of("1") == {}


def test_a_damaged_group_names_the_file(path: Path) -> None:
    data = bytearray(path.read_bytes())
    middle = len(data) // 4
    data[4:middle] = bytes(middle - 4)
    path.write_bytes(data)
    with pytest.raises(CorruptInput, match=r"masks\.parquet"):
        MaskStore(path).frames_of("0")


def _read_at_random(path: Path) -> dict[str, Track]:
    store = MaskStore(path)
    try:
        return {anno: store.frames_of(anno) for anno in ANNOS}
    finally:
        store.close()


def _found(read: Callable[[Path], Any], path: Path) -> Any:
    """What a reader returns, or the message of its error."""
    try:
        return read(path)
    except TglError as error:
        return str(error)


def _spread(first: int, last: int, number: int) -> list[int]:
    """`number` of the bits of the bytes from `first` to `last`, drawn with a fixed seed."""
    return sorted(random.Random(first).sample(range(8 * first, 8 * last), number))


def test_no_flipped_bit_changes_a_mask_unseen(path: Path) -> None:
    """A random read trusts the pages' checksums, which leave out their headers."""
    with TableWriter(path, MASKS, row_group_rows=ROW_GROUP, receipt="{}", **AS_WRITTEN) as writer:
        writer.write(_table(ANNOS))
    whole, track_of = path.read_bytes(), _read_at_random(path)
    rows = read_table(path, MASKS)
    chunk = pq.read_metadata(path).row_group(0).column(MASKS.schema.get_field_index("counts"))
    header, seal = chunk.data_page_offset, whole.index(b"tgl.seal:")
    footer, end = seal + SEAL, len(whole)
    bits = {
        *range(8 * header, 8 * (header + HEADER)),
        *_spread(0, seal, 200), *_spread(seal, footer, 40),
        *_spread(footer, end - TAIL, 100), *_spread(end - TAIL, end, 16),
    }  # fmt: skip
    refused = 0
    for bit in sorted(bits):
        spoilt = bytearray(whole)
        spoilt[bit // 8] ^= 1 << bit % 8
        path.unlink()
        path.write_bytes(spoilt)
        found = _found(_read_at_random, path)
        refused += isinstance(found, str)
        assert found == track_of or str(path) in found, bit
        table = _found(lambda path: read_table(path, MASKS), path)
        if seal <= bit // 8 < seal + len("tgl.seal:sha256:"):  # a seal that counts as absent
            assert table == rows, bit
        else:
            assert str(path) in table, bit
    assert refused > len(bits) // 2


def test_runs_that_do_not_fill_the_frame_are_refused() -> None:
    rle = coco.encode(np.asfortranarray(_mask(1, 1)))
    with pytest.raises(CorruptInput, match="here"):
        decode({"size": [4, 4], "counts": rle["counts"]}, where="here")


@pytest.mark.parametrize(
    ("size", "counts"),
    [([8, 9], b"P"), ([8, 9], b""), ([8, 9], b"o0o0o0"), ([8, 9], bytes([200])),
     ([2**31 - 1, 2**31 - 1], b"0"), ([0, 5], b"0"), ([-1, -5], b"5")],
)  # fmt: skip
def test_runs_that_would_leave_their_memory_are_refused(size: list[int], counts: bytes) -> None:
    """pycocotools would read or write beyond its arrays, and take the process with it."""
    with pytest.raises(CorruptInput, match="here: "):
        decode({"size": size, "counts": counts}, where="here")


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("counts", ["P04", "P04"], None),  # text casts to bytes
        ("anno_id", [7, 7], None),  # numbers cast to text
        ("frame", [None, 1], "column frame is null in row 0"),
        ("counts", [None, b"0"], "column counts is null in row 0"),
        ("anno_id", [None, None], "column anno_id is null in row 0"),
        ("height", ["x", "y"], "column height is string"),
    ],
)
def test_a_foreign_file_is_cast_or_refused(
    tmp_path: Path, column: str, values: list[object], words: str | None
) -> None:
    rows = {"anno_id": ["7", "7"], "frame": [0, 1], "height": [4, 4], "width": [5, 5],
            "counts": [b"P04", b"P04"], "area": [4, 4]}  # fmt: skip
    path = tmp_path / "foreign.parquet"
    pq.write_table(pa.table({**rows, column: values}), path)
    if words is None:
        assert MaskStore(path).frames_of("7")[1] == {"size": [4, 5], "counts": b"P04"}
    else:
        with pytest.raises(SchemaMismatch, match=words):
            MaskStore(path).frames_of("7")
