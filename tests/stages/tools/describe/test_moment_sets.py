"""Reading sets of moments: every form, what they judge, and what does not fit the index."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from describe_mini import SPANS, VIDEO_FRAMES, moment_dicts, write_index

from schemas.errors import CorruptInput, SchemaMismatch
from schemas.layouts import (
    MOMENTS_TABLE,
    OBJECTS_TABLE,
    PROPAGATION_TABLE,
    VIDEOS_TABLE,
)
from schemas.parquet import read_table, rows_of, write_table
from schemas.tables import MOMENTS, OBJECTS, PROPAGATION, VIDEOS
from schemas.vocabulary import PREDICTED
from stages.core.index.index import Index
from stages.tools.describe.config import DescribeConfig
from stages.tools.describe.moment_sets import MomentSet, own_moments, read_moments

Write = Callable[..., Path]


def read(path: Path, index: Path, **settings: object) -> MomentSet:
    return read_moments(path, Index.open(index), DescribeConfig(**settings))


def test_own_moments(index: Path) -> None:
    own = own_moments(Index.open(index))
    assert own.judged == {("a", "0"), ("a", "1"), ("b", "0"), ("b", "1")}
    assert own.assumed == {("a", "2")}  # without a target; nothing is known of b/2
    assert own.of(("b", "1"), "b_1") == [(4, 10)]
    assert own.of(("b", "1"), None) == [(4, 14)]
    assert own.of(("b", "2"), "b_2") == []
    assert own.merged == 1


def test_a_table_judges_what_it_has_rows_of(index: Path, write_moments: Write) -> None:
    found = read(write_moments("bob", [("b", "2", "b_2", 3, 5)]), index)
    assert found.known == {("b", "2")}
    assert found.name.endswith("bob.parquet")


def test_other_formats_and_seconds(index: Path, tmp_path: Path) -> None:
    path = tmp_path / "times.txt"
    path.write_text("a 0.4 1.2##the dog that jumps\n")
    found = read(path, index, moments_format="charades-sta")
    assert found.of(("a", "0"), None) == [(2, 6)]
    assert not found.tells_referents(("a", "0"))


def test_a_row_that_says_never_judges(index: Path, write_moments: Write) -> None:
    rows = [("a", "0", "a_1", 2, 5), ("a", "2", None, 0, 0), ("b", "1", "b_1", 0, 0)]
    found = read(write_moments("ann", rows), index)
    assert found.judged == {("a", "0"), ("a", "2"), ("b", "1")}
    assert found.spans == {("a", "0"): {"a_1": [(2, 5)]}}
    assert (found.merged, found.sources) == (0, {"annotated": 1})


def test_tracks_of_propagate_are_no_referents(index: Path, tmp_path: Path) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    tracks = [("b", "1", "b_1", 1, 3), ("b", "1", "b_7", 3, 5)]  # b_1 is also a referent's id
    moments = [{**row, "source": PREDICTED} for row in moment_dicts(tracks)]
    write_table(folder / MOMENTS_TABLE, rows_of(moments, MOMENTS), MOMENTS)
    write_table(folder / OBJECTS_TABLE, OBJECTS.schema.empty_table(), OBJECTS)
    rows = [
        {"video_id": "b", "expression_id": name, "frame": t, "route": "propagated", "mask_area": 0}
        for name in ("0", "1", "9")
        for t in range(2)
    ]
    write_table(folder / PROPAGATION_TABLE, rows_of(rows, PROPAGATION), PROPAGATION)
    found = read(folder, index)
    assert found.spans == {("b", "1"): {None: [(1, 5)]}}
    assert found.judged == {("b", "0"), ("b", "1")}
    assert found.sources == {PREDICTED: 1}
    assert read(folder / MOMENTS_TABLE, index).spans == found.spans


def test_another_index_of_the_same_videos(index: Path, tmp_path: Path) -> None:
    other = write_index(tmp_path / "other", spans=SPANS[:1])
    found = read(other, index)
    assert (found.judged, found.assumed) == ({("a", "0")}, {("a", "2")})


def test_an_index_with_other_lengths_is_refused(index: Path, tmp_path: Path) -> None:
    other = write_index(tmp_path / "other", spans=SPANS[:1])
    rows = read_table(other / VIDEOS_TABLE, VIDEOS).to_pylist()
    rows[0] |= {"num_frames": 7, "frame_names": rows[0]["frame_names"][:7]}
    write_table(other / VIDEOS_TABLE, rows_of(rows, VIDEOS), VIDEOS)
    with pytest.raises(SchemaMismatch, match="video a has 7 frames, and 10 in"):
        read(other, index)


def test_sentences_that_the_index_lacks_are_named(index: Path, write_moments: Write) -> None:
    rows = [("a", "0", "a_1", 0, 1), ("z", "0", None, 0, 1), ("z", "0", None, 2, 3)]
    assert read(write_moments("bob", rows), index).unknown == (("z", "0"),)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("a", "0", "a_2", 0, 1), "anno id a_2 is not a referent of video a, expression 0"),
        (("a", "0", "a_1", 8, 11), r"\[8, 11\) is not a span of the 10 frames of video a"),
    ],
)
def test_what_does_not_fit_is_refused(
    index: Path, write_moments: Write, row: tuple, message: str
) -> None:
    assert VIDEO_FRAMES["a"][0] == 10
    with pytest.raises(CorruptInput, match=message):
        read(write_moments("bob", [row]), index)
