"""Moments through every format and back; moments that a format cannot store are refused."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import ConfigError, CorruptInput, TglError
from stages.core.datasets.moment_rows import MomentRow
from stages.core.index.index import Expression
from stages.core.media.spans import NEVER
from stages.core.moment_formats import FORMAT_NAMES
from stages.core.moment_formats.context import MomentContext, Timing
from stages.core.moment_formats.registry import detect_format, moment_format, read_moments_file

FRAMES = 200
RATES = (None, 24.0, 25.0, 24000 / 1001, 29.97, 30000 / 1001, 12.5, 7.0, 60.0)
WITHOUT_REFERENTS = ("qvhighlights", "charades-sta")
IN_SECONDS = ("qvhighlights", "charades-sta", "via", "elan")
NAMES = {"cvat": "many", "elan": "many", "tgl": "m.json", "label-studio": "m.json", "via": "m.csv",
         "csv": "m.csv", "parquet": "m.parquet", "qvhighlights": "m.jsonl", "charades-sta": "m.txt",
         }  # fmt: skip
SENTENCES = ('the "left" cat, jumping', "a dog ## that runs", "né <b> & 'c'", "zwei\tHunde  rennen")


def _context(rates: dict[str, float | None], rounding: str = "refuse") -> MomentContext:
    expressions = [
        Expression(video, str(number), text, ("1", "2"), ("7", "8:b"))
        for video in rates
        for number, text in enumerate(SENTENCES)
    ]
    timings = {video: Timing(FRAMES, rate, 30, 40) for video, rate in rates.items()}
    return MomentContext(tuple(expressions), timings, rounding)


@st.composite
def moments(draw: st.DrawFn) -> tuple[MomentContext, list[MomentRow]]:
    """A context, and rows whose spans neither overlap nor touch within a referent."""
    names = draw(st.lists(st.sampled_from(["a", "b.c", "日本", "x_1"]), min_size=1, unique=True))
    rates = {name: draw(st.sampled_from(RATES)) for name in names}
    rows = []
    for video in names:
        for expression in draw(st.sets(st.integers(0, len(SENTENCES) - 1), max_size=3)):
            for anno in draw(st.sets(st.sampled_from([None, "7", "8:b"]), max_size=2)):
                cuts = sorted(draw(st.sets(st.integers(0, FRAMES), max_size=6)))
                spans = zip(cuts[::2], cuts[1::2], strict=False)
                rows += [MomentRow(video, str(expression), anno, *span) for span in spans]
    return _context(rates), rows


def _identity(rows: list[MomentRow]) -> list[tuple]:
    return sorted((*row.key, str(row.anno_id), *row.span) for row in rows)


def _fits(name: str, context: MomentContext, rows: list[MomentRow]) -> bool:
    referents = any(row.anno_id is not None for row in rows)
    unknown = any(context.videos[row.video_id].fps is None for row in rows)
    if name in WITHOUT_REFERENTS and referents:
        return False
    return not (name in IN_SECONDS and unknown)


@pytest.mark.parametrize("name", FORMAT_NAMES)
@settings(max_examples=60, deadline=None)
@given(moments())
def test_there_and_back(name: str, made: tuple[MomentContext, list[MomentRow]]) -> None:
    context, rows = made
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NAMES[name]
        if not _fits(name, context, rows):
            with pytest.raises(ConfigError):
                moment_format(name).write(path, rows, context)
            return
        moment_format(name).write(path, rows, context)
        if not rows and name in ("cvat", "elan"):
            return  # no video, no file
        if not rows and name in WITHOUT_REFERENTS:
            with pytest.raises(CorruptInput, match="is empty"):  # a file that lost its content
                list(read_moments_file(path, name, context))
            return
        if name not in ("via", "label-studio") or rows:
            assert detect_format(path) == name
        found = list(read_moments_file(path, name, context))
        assert _identity(found) == _identity(rows)


@pytest.mark.parametrize("name", ["csv", "parquet", "tgl"])
def test_never_is_kept(name: str, tmp_path: Path) -> None:
    context = _context({"a": None})
    rows = [MomentRow("a", "0", "7", 0, 5), MomentRow("a", "0", "8:b", *NEVER)]
    rows.append(MomentRow("a", "1", None, *NEVER))
    path = tmp_path / NAMES[name]
    assert moment_format(name).says_never
    moment_format(name).write(path, rows, context)
    assert list(read_moments_file(path, None, context)) == rows


@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_tables_keep_source_and_score(name: str, tmp_path: Path) -> None:
    context = _context({"a": None})
    rows = [MomentRow("a", "0", "7", 0, 5, "clip", 0.25), MomentRow("a", "1", None, 2, 3)]
    path = tmp_path / NAMES[name]
    moment_format(name).write(path, rows, context)
    assert list(read_moments_file(path, None, context)) == rows


def test_predictions_of_qvhighlights_keep_their_scores(tmp_path: Path) -> None:
    context = _context({"a": 25.0})
    rows = [MomentRow("a", "0", None, 0, 50, "predicted", 0.5)]
    moment_format("qvhighlights").write(tmp_path / "m.jsonl", rows, context)
    assert "pred_relevant_windows" in (tmp_path / "m.jsonl").read_text()
    assert list(read_moments_file(tmp_path / "m.jsonl", None, context)) == rows


def test_half_frames_are_refused_or_rounded(tmp_path: Path) -> None:
    path = tmp_path / "m.txt"
    path.write_text("a 0.5 1.02##a dog ## that runs\n")
    with pytest.raises(CorruptInput, match=r"line 1: the time of frame 12\.500 lies between"):
        list(read_moments_file(path, None, _context({"a": 25.0})))
    outward = list(read_moments_file(path, None, _context({"a": 25.0}, "outward")))
    nearest = list(read_moments_file(path, None, _context({"a": 25.0}, "nearest")))
    assert [row.span for row in outward] == [(12, 26)]
    assert [row.span for row in nearest] == [(13, 26)]


def test_an_unknown_frame_rate_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "m.txt"
    path.write_text("a 1 2##a dog ## that runs\n")
    with pytest.raises(ConfigError, match=r"frame rate of video a is not known.*--fps"):
        list(read_moments_file(path, None, _context({"a": None})))


def test_rates_are_fractions() -> None:
    assert Timing(1, 23.976024, 1, 1).rate == Fraction(24000, 1001)
    assert Timing(1, 29.97003, 1, 1).rate == Fraction(30000, 1001)


LABEL_STUDIO = """[{"id": 3, "data": {"video": "/data/upload/1/0123abcd-a.mp4"}, "annotations": [
 {"was_cancelled": true, "result": [{"value": {"ranges": [], "timelinelabels": ["?"]}}]},
 {"result": [
  {"value": {"ranges": [{"start": 1, "end": 10}, {"start": 15, "end": 15}],
   "timelinelabels": ["1:7"]}, "type": "timelinelabels"},
  {"value": {"x": 1, "rectanglelabels": ["box"]}, "type": "rectanglelabels"},
  {"value": {"ranges": [{"start": 4, "end": 5}], "timelinelabels": ["A dog ##  that runs"]}}]}]}]"""
CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><task><name>my task</name><size>200</size><source>a.mp4</source></task></meta>
<track id="0" label="1:7" source="manual">
 <box frame="3" keyframe="1" outside="0" occluded="0" xtl="1" ytl="1" xbr="2" ybr="2"/>
 <box frame="4" keyframe="0" outside="0" occluded="0" xtl="1" ytl="1" xbr="2" ybr="2"/>
 <box frame="9" keyframe="1" outside="1" occluded="0" xtl="1" ytl="1" xbr="2" ybr="2"/>
 <polygon frame="150" keyframe="1" outside="0" occluded="0" points="1,1;2,2;3,3"/>
</track></annotations>"""
VIA_OLD = """# Exported using VGG Image Annotator
# CSV_HEADER = metadata_id,file_list,temporal_segment_start,temporal_segment_end,metadata
"1_a","[""a.mp4""]",0.4,2,"{""TEMPORAL-SEGMENTS"":""1:7""}"
"""
VIA_NEW = """# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,\
spatial_coordinates,metadata
"1_a","[""a.mp4""]",0,"[0.4, 2]","[]","{""1"":""1:7""}"
"1_b","[""a.mp4""]",0,"[]","[2,1,1,5,5]","{""1"":""a box""}"
"""
ELAN = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0">
<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/clips/a.mp4" MIME_TYPE="video/mp4"/></HEADER>
<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="400"/>
<TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="2000"/></TIME_ORDER>
<TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="1:7"><ANNOTATION><ALIGNABLE_ANNOTATION
 ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
<ANNOTATION_VALUE>jumps</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>
</ANNOTATION_DOCUMENT>"""
QV = """{"qid": 8, "query": "A dog ## that runs", "duration": 8, "vid": "a",
"relevant_clip_ids": [0], "saliency_scores": [[1, 2, 3]],
"relevant_windows": [[0, 2], [4, 6]]}""".replace("\n", " ")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.json", LABEL_STUDIO, [("1", "7", 0, 10), ("1", "7", 14, 15), ("1", None, 3, 5)]),
        ("a.xml", CVAT, [("1", "7", 3, 9), ("1", "7", 150, 200)]),
        ("old.csv", VIA_OLD, [("1", "7", 10, 50)]),
        ("new.csv", VIA_NEW, [("1", "7", 10, 50)]),
        ("a.eaf", ELAN, [("1", "7", 10, 50)]),
        ("a.jsonl", QV, [("1", None, 0, 50), ("1", None, 100, 150)]),
    ],
)
def test_files_as_the_tools_write_them(
    tmp_path: Path, name: str, text: str, expected: list[tuple]
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    found = list(read_moments_file(tmp_path / name, None, _context({"a": 25.0})))
    assert [(row.expression_id, row.anno_id, *row.span) for row in found] == expected


BOMB = """<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY c "&a;&a;&a;&a;">]>
<annotations><track label="&c;"/></annotations>"""
EXTERNAL = """<!DOCTYPE b [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<ANNOTATION_DOCUMENT>&x;</ANNOTATION_DOCUMENT>"""


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.xml", BOMB, "document type"),
        ("a.eaf", EXTERNAL, "document type"),
        ("a.xml", "<annotations>" * 500, "nested too deep"),
        ("a.xml", "<other/>", "expected 'annotations'"),
        ("a.xml", CVAT.replace("a.mp4", "zz.mp4"), "no video 'zz.mp4'"),
        ("a.xml", CVAT.replace('"1:7"', '"cat"'), "no sentence reads 'cat'"),
        ("a.xml", CVAT.replace('frame="3"', 'frame="3.5"'), "track 0: '3.5' is not a frame number"),
        (
            "a.xml",
            CVAT.replace("<size>", "<frame_filter>step=2</frame_filter><size>"),
            "skips frames",
        ),
        ("a.eaf", ELAN.replace(' TIME_VALUE="400"', ""), "time slot ts1 has no time"),
        ("a.eaf", ELAN.replace('"2000"', '"400"'), "is not a span of seconds"),
        ("a.jsonl", QV.replace("[4, 6]", "[4, NaN]"), "line 1: nan is not a number"),
        ("a.jsonl", QV.replace("[4, 6]", "[4]"), "not a list of [start, end]"),
        ("a.jsonl", "[]", "a JSON object is needed"),
        ("a.txt", "a 1##x", "is not `video start end##sentence`"),
        ("a.json", LABEL_STUDIO.replace('"was_cancelled": true', '"x": 1'), "has 2 annotations"),
        ("a.json", LABEL_STUDIO.replace('"start": 4', '"start": 0'), "[-1, 5) is not a span"),
        ("a.csv", "video_id,expression_id\na,0\n", "lacks the column anno_id"),
        ("a.csv", VIA_NEW.replace("[0.4, 2]", "[0.4]"), "is not [start, end]"),
        ("a.csv", VIA_OLD.replace("1:7", "x"), "no sentence reads"),
    ],
)
def test_damage_is_one_line(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(CorruptInput if "column" not in words else Exception) as caught:
        list(read_moments_file(tmp_path / name, None, _context({"a": 25.0})))
    assert words in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_csv_that_is_cut_anywhere_is_refused(tmp_path: Path) -> None:
    context = _context({"a": None})
    rows = [MomentRow("a", "0", "7", 0, 5, "clip", 0.25), MomentRow("a", "1", None, 2, 3)]
    path = tmp_path / "m.csv"
    moment_format("csv").write(path, rows, context)
    whole = path.read_text()
    for length in range(len(whole)):
        if whole[length - 1 : length] == "\n":
            continue  # whole lines alone: what is missing cannot be seen
        path.write_text(whole[:length])
        with pytest.raises(TglError):
            list(moment_format("csv").read(path, context))
