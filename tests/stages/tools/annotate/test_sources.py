"""Lanes from moments of every kind, and the agreement of two."""

from __future__ import annotations

from pathlib import Path

import pytest
from index_mini import LENGTHS, write_index

from schemas.errors import ConfigError, CorruptInput, MissingInput, TglError
from schemas.layouts import MOMENTS_TABLE
from schemas.parquet import write_table
from schemas.tables import MOMENTS
from stages.core.datasets.moment_rows import MomentRow, moments_table
from stages.core.engine.progress import SilentProgress
from stages.core.index.index import Index
from stages.core.media.spans import Span, frame_iou
from stages.tools.annotate.config import AnnotateConfig
from stages.tools.annotate.run import AnnotateInputs, workbench
from stages.tools.annotate.sources import Material
from stages.tools.export_moments.export import export_moments

MARKS: dict[tuple[str, str, str | None], list[Span]] = {
    ("a", "1", "a_1"): [(0, 2), (4, 6)],
    ("b", "2", None): [(1, 3)],
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small index with moments."""
    return write_index(tmp_path_factory.mktemp("sources") / "index", moments=MARKS)


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet", ""])
def test_moments_of_any_format_are_lanes(index: Path, tmp_path: Path, suffix: str) -> None:
    named = index
    if suffix:
        named = tmp_path / f"moments.{suffix}"
        name = {"csv": "csv", "json": "tgl", "parquet": "parquet"}[suffix]
        export_moments(index, named, name)
    lanes = Material.of(Index.open(index)).moments(str(named))
    assert [lanes(n) for n in range(6)] == [
        None,
        ((), ((0, 2), (4, 6))),
        None,
        None,
        None,
        (((1, 3),),),
    ]


def test_moments_of_all_referents_are_of_each(index: Path, tmp_path: Path) -> None:
    rows = [MomentRow("a", "1", None, 1, 3), MomentRow("a", "1", "a_0", 2, 5)]
    write_table(tmp_path / MOMENTS_TABLE, moments_table(rows), MOMENTS)
    lanes = Material.of(Index.open(index)).moments(str(tmp_path))
    assert lanes(1) == (((1, 5),), ((1, 3),))


def test_visibility_is_where_masks_are(index: Path) -> None:
    lanes = Material.of(Index.open(index)).moments("visibility")
    assert lanes(1) == (((1, 7),), ((0, 8),))
    assert lanes(2) is None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (MomentRow("c", "0", None, 0, 1), "video c, expression 0, which the index lacks"),
        (MomentRow("a", "0", "a_1", 0, 1), "a_1 is not a referent of video a, expression 0"),
        (MomentRow("a", "0", None, 0, 9), r"\[0, 9\) is not a span of the 8 frames of video a"),
    ],
)
def test_moments_of_something_else_are_refused(
    index: Path, tmp_path: Path, row: MomentRow, message: str
) -> None:
    write_table(tmp_path / "m.parquet", moments_table([row]), MOMENTS)
    with pytest.raises(CorruptInput, match=message):
        Material.of(Index.open(index)).moments(str(tmp_path / "m.parquet"))
    with pytest.raises(MissingInput, match="no such moments file"):
        Material.of(Index.open(index)).moments(str(tmp_path / "nowhere"))


def test_what_an_annotator_finished_counts_without_the_log(index: Path, tmp_path: Path) -> None:
    """A copied artifact: a finished sentence without rows is never, another one unknown."""
    inputs = AnnotateInputs(index)
    with workbench(
        AnnotateConfig(annotator="anna"), inputs, tmp_path / "out", SilentProgress()
    ) as bench:
        session = bench.session
        for n, flag in ((0, False), (3, True)):
            session.act(n, {"kind": "spans", "revision": 0, "referent": 0, "spans": []})
            session.act(n, {"kind": "status", "revision": 1, "value": "done"})
            if flag:
                session.act(n, {"kind": "flag", "revision": 2, "value": True})
    (tmp_path / "out/anna/log.jsonl").unlink()
    material = Material.of(Index.open(index))
    lanes = material.moments(str(tmp_path / "out/anna"))
    assert [lanes(n) for n in range(6)] == [((),), None, None, None, None, None]


def test_out_of_one_annotator_is_a_choice(index: Path, tmp_path: Path) -> None:
    for name in ("anna", "ben"):
        config = AnnotateConfig(annotator=name)
        with workbench(
            config, AnnotateInputs(index), tmp_path / f"of-{name}", SilentProgress()
        ) as b:
            b.session.act(0, {"kind": "spans", "revision": 0, "referent": 0, "spans": []})
            b.session.act(0, {"kind": "status", "revision": 1, "value": "done"})
    pair = AnnotateInputs(index, (tmp_path / "of-anna", tmp_path / "of-ben/ben"))
    config = AnnotateConfig(annotator="judge")
    with workbench(config, pair, tmp_path / "decided", SilentProgress()) as bench:
        assert [found["name"] for found in bench.session.session()["sources"]] == ["anna", "ben"]
        assert bench.session.sentence(0)["lanes"] == {"s0": ((),), "s1": ((),)}
        assert bench.session.sentences()["rows"][0][6:] == [1.0, 0]


def test_another_log_that_is_damaged_stops_nobody(index: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name in ("anna", "ben"):
        config = AnnotateConfig(annotator=name)
        with workbench(config, AnnotateInputs(index), out, SilentProgress()):
            pass
    log = out / "anna/log.jsonl"
    log.write_bytes(log.read_bytes().replace(b"anna", b"anne"))
    progress = SilentProgress()
    config = AnnotateConfig(annotator="ben")
    with workbench(config, AnnotateInputs(index), out, progress) as bench:
        assert bench.session.session()["sources"] == []
    assert progress.warnings == [
        f"{log}, line 1: is damaged; restore the file from a copy; the work of anna is not shown"
    ]


def test_out_of_one_annotator_is_read_and_of_two_is_not(index: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    material = Material.of(Index.open(index))
    for name in ("anna", "ben"):
        config = AnnotateConfig(annotator=name)
        with workbench(config, AnnotateInputs(index), out, SilentProgress()) as bench:
            bench.session.act(0, {"kind": "spans", "revision": 0, "referent": 0, "spans": [[1, 2]]})
            bench.session.act(0, {"kind": "status", "revision": 1, "value": "done"})
        if name == "anna":
            assert material.moments(str(out))(0) == (((1, 2),),)
            export_moments(index, tmp_path / "m.csv", "csv", table=out)
            assert "a,0,a_0,1,2,annotated" in (tmp_path / "m.csv").read_text()
    for read in (
        lambda: material.moments(str(out)),
        lambda: export_moments(index, tmp_path / "n.csv", "csv", table=out),
    ):
        with pytest.raises(ConfigError) as caught:
            read()
        assert str(caught.value) == (
            f"{out}: has the moments of 2 annotators (anna, ben); name one of them, such as "
            f"{out / 'anna'}"
        )
    assert isinstance(caught.value, TglError)


def test_frame_iou() -> None:
    frames = LENGTHS["a"]
    assert frame_iou([], [], frames) == 1.0
    assert frame_iou([(0, 4)], [], frames) == 0.0
    assert frame_iou([(0, 4)], [(2, 6)], frames) == pytest.approx(2 / 6)
    assert frame_iou([(0, 2), (1, 4)], [(0, 4)], frames) == 1.0
