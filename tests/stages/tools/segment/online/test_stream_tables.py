"""The table of moments and masks of a stream."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.tools.segment.online.stream_tables import segments_table
from stages.tools.segment.outputs.segments import SCHEMA

COUNTS = b"a mask's runs"


def test_a_changed_byte_is_noticed_by_the_checksum_of_its_page(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    texts = dict.fromkeys(("video_id", "sentence", "name"), "it")
    numbers = dict.fromkeys(("frame", "area", "height", "width"), 1)
    row = texts | numbers | {"in_moment": True, "relevance": 0.5, "counts": COUNTS}
    with segments_table(path) as table:
        table.add(pa.Table.from_pylist([row], schema=SCHEMA))  # the others may be null
    content = path.read_bytes()
    assert pq.read_table(path, page_checksum_verification=True)["counts"][0].as_py() == COUNTS
    place = content.index(COUNTS)  # in its page, before the footer repeats it
    path.write_bytes(content[:place] + b"A" + content[place + 1 :])
    with pytest.raises(OSError, match="CRC"):
        pq.read_table(path, page_checksum_verification=True)
