"""A video whose frame rate varies keeps its time stamps everywhere; a constant one has a rate."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tiny_world import TinyWorld, tgl

from stages.core.browser.videos import Videos
from stages.core.index.index import Index
from stages.core.media.ffmpeg import ffmpeg_binary
from stages.extract_frames.log import Log

TIMES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.2, 1.7, 2.2, 2.7, 3.2)
LENGTH = 3.7
"""The last frame is shown as long as the one before it."""
MOMENT = (4, 9)
SENTENCE = "two that run"
FILTER = "settb=1/1000,setpts='if(lt(N,6),N*100,700+(N-6)*500)'"


def encode(path: Path, rate: str, *filters: str) -> Path:
    source = f"testsrc=size=48x32:rate={rate}"
    command = [ffmpeg_binary(), "-v", "error", "-f", "lavfi", "-i", source, "-frames:v", "12"]
    command += ["-fps_mode", "passthrough", "-enc_time_base", "1/1000", "-pix_fmt", "yuv420p"]
    subprocess.run([*command, *filters, str(path)], check=True)
    return path


def succeed(*words: object) -> str:
    code, printed, said = tgl(*words)
    assert (code, said) == (0, "")
    return printed


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of a clip of variable rate (a) and one of 24000/1001 frames per second (b)."""
    root = tmp_path_factory.mktemp("rates")
    varying = encode(root / "a.mp4", "10", "-vf", FILTER)
    constant = encode(root / "b.mkv", "24000/1001")
    succeed("extract-frames", varying, constant, root / "frames", "-q")
    names = [f"{frame:05d}" for frame in range(len(TIMES))]
    videos = {
        name: {"frames": names, "expressions": {"0": {"exp": SENTENCE}}} for name in ("a", "b")
    }
    (root / "data").mkdir()
    (root / "data" / "meta_expressions.json").write_text(json.dumps({"videos": videos}))
    spans = "".join(f"{name},0,,{MOMENT[0]},{MOMENT[1]}\n" for name in ("a", "b"))
    columns = "video_id,expression_id,anno_id,start_frame,end_frame"
    (root / "m.csv").write_text(f"{columns}\n{spans}")
    where = ("--frames", root / "frames", "--moments", root / "m.csv")
    succeed("build-moments", root / "data", root / "index", *where, "-q")
    return root / "index"


def test_a_rate_is_missing_only_where_it_varies(index: Path) -> None:
    frames = pq.read_table(index.parent / "frames/frames.parquet")
    assert tuple(frames["pts_seconds"].to_pylist()[: len(TIMES)]) == TIMES
    varying, constant = pq.read_table(index / "videos.parquet")["fps"].to_pylist()
    assert varying is None
    assert constant == pytest.approx(24000 / 1001, rel=1e-3)  # of whole milliseconds


def test_described_lengths_are_those_of_the_time_stamps(index: Path, tmp_path: Path) -> None:
    succeed("describe", index, "--json", tmp_path / "d.json", "--fps", 5)
    found = json.loads((tmp_path / "d.json").read_text())
    rate = pq.read_table(index / "videos.parquet")["fps"].to_pylist()[1]
    assert found["videos"]["seconds"] == pytest.approx(LENGTH + len(TIMES) / rate)
    longest = found["moments"]["span_seconds"]["most"]
    assert longest == pytest.approx(TIMES[MOMENT[1]] - TIMES[MOMENT[0]])


@pytest.mark.parametrize(
    ("form", "out"),
    [("qvhighlights", "m.jsonl"), ("charades-sta", "m.txt"), ("via", "m.csv"), ("elan", "elan")],
)
def test_moments_in_seconds_come_back_as_the_same_frames(
    index: Path, tmp_path: Path, form: str, out: str
) -> None:
    written = ("export-moments", index, tmp_path / out, "--moments-format", form)
    succeed(*written)
    succeed("export-moments", index, tmp_path / "own.csv")
    again = tmp_path / "again"
    where = ("--frames", index.parent / "frames", "--moments", tmp_path / out)
    succeed("build-moments", index.parent / "data", again, *where, "--moments-format", form, "-q")
    spans = pq.read_table(again / "moments.parquet", columns=["start_frame", "end_frame"])
    assert [tuple(row.values()) for row in spans.to_pylist()] == [MOMENT, MOMENT]
    if form == "qvhighlights":
        first = json.loads((tmp_path / out).read_text().splitlines()[0])
        assert first["duration"] == pytest.approx(LENGTH)
        assert first["relevant_windows"] == [[TIMES[4], TIMES[9]]]


def test_a_time_between_two_frames_is_rounded_only_when_told(index: Path, tmp_path: Path) -> None:
    (tmp_path / "m.txt").write_text(f"a 0.45 1.9##{SENTENCE}\n")
    build = ("build-moments", index.parent / "data", tmp_path / "i", "--moments-format")
    where = ("charades-sta", "--frames", index.parent / "frames", "--moments", tmp_path / "m.txt")
    code, _, said = tgl(*build, *where)
    assert code == 5
    assert "the time of frame 4.500 lies between two frames" in said
    for rounding, span in (("outward", (4, 9)), ("nearest", (5, 8))):
        succeed(*build, *where, "--rounding", rounding, "-q")
        found = pq.read_table(tmp_path / "i/moments.parquet").to_pylist()
        assert (found[0]["start_frame"], found[0]["end_frame"]) == span


def test_segment_has_exact_seconds_and_the_overlay_the_same_length(
    tiny_world: TinyWorld, index: Path, tmp_path: Path
) -> None:
    table, out = tmp_path / "t.csv", tmp_path / "o.mp4"
    words = ("--checkpoint", tiny_world.model, "--tracks", "off", "--moments", "all")
    fixed = ("--device", "cpu", "--workers", 1, "--table", table)
    line = succeed("segment", index.parent / "a.mp4", SENTENCE, "-o", out, *words, *fixed)
    assert f"moment frames 0-11 (0.0-{LENGTH:.1f} s)" in line
    with table.open(newline="") as file:
        assert tuple(float(row["seconds"]) for row in csv.DictReader(file)) == TIMES
    shown = subprocess.run(
        [ffmpeg_binary(), "-i", str(out), "-f", "null", "-"], capture_output=True, text=True
    )
    assert Log().read(shown.stderr.splitlines()).seconds == pytest.approx(LENGTH, abs=0.02)


def test_the_page_gets_the_times(index: Path) -> None:
    videos = Videos(list(Index.open(index).videos.values()), None)
    assert videos.facts(0)["times"] == (*TIMES, pytest.approx(LENGTH))
    assert (videos.facts(0)["fps"], videos.facts(1)["times"]) == (None, None)
