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
    texts = {name: ["it"] for name in ("video_id", "sentence", "name")}
    numbers = {name: [1] for name in ("frame", "area", "height", "width")}
    with segments_table(path) as table:
        row = texts | numbers | {"in_moment": [True], "relevance": [0.5], "counts": [COUNTS]}
        table.add(pa.table(row, schema=SCHEMA))
    content = path.read_bytes()
    assert pq.read_table(path, page_checksum_verification=True)["counts"][0].as_py() == COUNTS
    place = content.index(COUNTS)  # in its page, before the footer repeats it
    path.write_bytes(content[:place] + b"A" + content[place + 1 :])
    with pytest.raises(OSError, match="CRC"):
        pq.read_table(path, page_checksum_verification=True)
