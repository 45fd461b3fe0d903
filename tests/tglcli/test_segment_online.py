"""tgl segment --online: streams from three sources, their outputs, and their early ends."""

from __future__ import annotations

import signal
import subprocess
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from PIL import Image
from pycocotools import mask as coco
from typer.testing import CliRunner

from schemas.errors import ConfigError, CorruptInput, MissingInput, OutputBlocked
from schemas.layouts import PROPAGATION_TABLE
from schemas.parquet import read_table
from schemas.tables import PROPAGATION
from stages.core.media.ffmpeg import ffmpeg_binary
from stages.extract_frames.log import Log
from tglcli.main import app

FRAMES, HEIGHT, WIDTH, FPS = 10, 48, 64, 5
FRAME_BYTES = HEIGHT * WIDTH * 3
SENTENCES = ["the ball that jumps", "a cube"]
RAW = ("--size", f"{WIDTH}x{HEIGHT}", "--fps", FPS)


def ffmpeg(*arguments: object) -> bytes:
    command = [ffmpeg_binary(), "-loglevel", "error", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("videos") / "clip.mp4"
    source = f"testsrc=size={WIDTH}x{HEIGHT}:rate={FPS}"
    ffmpeg("-f", "lavfi", "-i", source, "-frames:v", FRAMES, "-pix_fmt", "yuv420p", path)
    return path


@pytest.fixture(scope="session")
def raw(clip: Path) -> bytes:
    return ffmpeg("-i", clip, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")


def run(
    source: object, checkpoint: Path, out: Path, *options: object, given: bytes = b""
) -> Result:
    fixed = ("--online", "--checkpoint", checkpoint, "--workers", "1", "--device", "cpu")
    arguments = ("segment", source, *SENTENCES, "-o", out, *fixed, *options)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=given)


def masks_of(folder: Path) -> dict[str, bytes]:
    """PNGs below `folder/<video>` by relative path."""
    (video,) = (path for path in folder.iterdir() if path.is_dir())
    return {p.relative_to(video).as_posix(): p.read_bytes() for p in video.rglob("*.png")}


def frames_in(video: Path) -> int:
    shown = ffmpeg("-i", video, "-f", "rawvideo", "-pix_fmt", "gray", "-s", "2x2", "-")
    return len(shown) // 4


def test_a_file_a_folder_and_a_pipe_give_the_same_masks(
    clip: Path, raw: bytes, checkpoint: Path, tmp_path: Path
) -> None:
    shots = tmp_path / "shots"
    shots.mkdir()
    ffmpeg("-i", clip, "-start_number", 0, shots / "%05d.png")
    sources = {"file": (clip, (), b""), "folder": (shots, (), b""), "pipe": ("-", RAW, raw)}
    found = {}
    for name, (source, options, given) in sources.items():
        masks = tmp_path / f"{name}-masks"
        out = tmp_path / f"{name}.mp4"
        done = run(source, checkpoint, out, "--masks", masks, *options, given=given)
        assert done.exit_code == 0, repr(done.exception)
        assert f"{FRAMES} frames -> " in done.stdout
        assert frames_in(out) == FRAMES
        found[name] = masks_of(masks)
    assert found["file"] == found["folder"] == found["pipe"]
    names = [f"{row}/{frame:05d}.png" for row in range(2) for frame in range(FRAMES)]
    assert sorted(found["file"]) == names
    assert len(set(found["file"].values())) > 1
    left = {path.name for path in tmp_path.iterdir() if path.name.startswith(".")}
    assert not left


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_tables_agree_with_the_masks(
    clip: Path, checkpoint: Path, tmp_path: Path, suffix: str
) -> None:
    masks, table = tmp_path / "masks", tmp_path / f"found{suffix}"
    done = run(clip, checkpoint, tmp_path / "o.mp4", "--masks", masks, "--table", table)
    assert done.exit_code == 0, repr(done.exception)
    typed = pa_csv.ConvertOptions(column_types={"name": pa.string(), "counts": pa.binary()})
    read = partial(pa_csv.read_csv, convert_options=typed)
    rows = (pq.read_table if suffix == ".parquet" else read)(table).to_pylist()
    known = read_table(masks / PROPAGATION_TABLE, PROPAGATION).to_pylist()
    assert len(rows) == len(known) == FRAMES * len(SENTENCES)
    for row, other in zip(rows, known, strict=True):
        number = SENTENCES.index(row["sentence"])
        path = masks / "clip" / str(number) / f"{row['name']}.png"
        mask = np.asarray(Image.open(path)) > 0
        rle = {"size": [row["height"], row["width"]], "counts": row["counts"]}
        assert np.array_equal(coco.decode(rle) > 0, mask)
        assert row["area"] == other["mask_area"] == mask.sum()
        assert (other["video_id"], other["expression_id"]) == ("clip", str(number))
        assert (other["frame"], other["relevance"]) == (
            row["frame"],
            pytest.approx(row["relevance"]),
        )
        assert row["seconds"] == pytest.approx(row["frame"] / FPS)
        assert row["in_moment"] == (other["route"] == "language")


def test_a_stream_that_ends_early_leaves_its_frames(
    clip: Path, raw: bytes, checkpoint: Path, tmp_path: Path
) -> None:
    cut, masks, table = 6, tmp_path / "masks", tmp_path / "found.parquet"
    options = ("--masks", masks, "--table", table, "--delay", 3, *RAW)
    given = raw[: cut * FRAME_BYTES + 7]
    done = run("-", checkpoint, tmp_path / "o.mp4", *options, given=given)
    assert isinstance(done.exception, CorruptInput)
    assert "ends in the middle of frame 6" in str(done.exception)
    assert "\n" not in str(done.exception)
    assert f"{cut} frames -> " in done.stdout
    assert len(masks_of(masks)) == cut * len(SENTENCES)
    assert frames_in(tmp_path / "o.mp4") == cut
    assert pq.read_table(table).num_rows == cut * len(SENTENCES)


def test_a_broken_image_ends_a_folder(checkpoint: Path, tmp_path: Path) -> None:
    shots, masks = tmp_path / "shots", tmp_path / "masks"
    shots.mkdir()
    for number in range(4):
        Image.new("RGB", (WIDTH, HEIGHT), (60 * number, 0, 0)).save(shots / f"s{number}.png")
    (shots / "s2.png").write_bytes(b"text")
    done = run(shots, checkpoint, tmp_path / "o.mp4", "--masks", masks)
    assert isinstance(done.exception, CorruptInput)
    assert "s2.png: is not an image" in str(done.exception)
    assert sorted(masks_of(masks)) == ["0/s0.png", "0/s1.png", "1/s0.png", "1/s1.png"]


@pytest.mark.parametrize(
    ("source", "options", "error", "message"),
    [
        ("-", ("--fps", 5), ConfigError, "--size: raw video on standard input needs its size"),
        (
            "-",
            ("--size", "64by48", "--fps", 5),
            ConfigError,
            "'64by48' is not WIDTHxHEIGHT",
        ),
        ("-", ("--size", "0x48", "--fps", 5), ConfigError, "--size: '0x48' is not WIDTHxHEIGHT"),
        (
            "-",
            ("--size", "64x48"),
            ConfigError,
            "--fps: raw video on standard input needs its",
        ),
        ("-", RAW, CorruptInput, "stdin: contains no frames"),
        ("clip", ("--size", "64x48"), ConfigError, "--size: only raw video"),
        ("clip", ("-o", "o.gif"), ConfigError, "'o.gif' cannot be written frame by frame"),
        ("clip", ("--table", "t.json"), ConfigError, "'t.json' cannot be written frame by frame"),
        ("clip", ("--masks", "."), OutputBlocked, "contains files that tgl did not write"),
        ("clip", ("--no-online", "--size", "64x48"), ConfigError, "needs --online"),
        ("-", ("--no-online",), ConfigError, "needs --online"),
        ("none.mp4", (), MissingInput, "no such video"),
    ],
)
def test_wrong_usage_is_one_line(
    clip: Path,
    checkpoint: Path,
    tmp_path: Path,
    source: str,
    options: tuple[object, ...],
    error: type[Exception],
    message: str,
) -> None:
    done = run(clip if source == "clip" else source, checkpoint, tmp_path / "o.mp4", *options)
    assert isinstance(done.exception, error)
    assert message in str(done.exception)
    assert not list(tmp_path.iterdir())


def test_interrupting_a_stream_ends_it_in_order(
    raw: bytes, checkpoint: Path, tmp_path: Path, python: list[str]
) -> None:
    """Ctrl-C with the pipe still open: the frames so far are written, and the video plays."""
    out, masks = tmp_path / "o.mp4", tmp_path / "masks"
    options = ["-o", out, "--masks", masks, "--checkpoint", checkpoint, "--device", "cpu"]
    command = [*python, "-m", "tglcli", "segment", "-", *SENTENCES, "--online", *RAW]
    process = subprocess.Popen(
        [str(word) for word in (*command, *options, "--delay", 0)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(raw[: 3 * FRAME_BYTES])
    process.stdin.flush()
    waited = threading.Event()
    while not list(tmp_path.glob(".masks.*/stdin/1/00002.png")):
        assert process.poll() is None, process.stderr
        waited.wait(0.05)
    process.send_signal(signal.SIGINT)
    waited.wait(0.2)
    output, errors = process.communicate(raw[3 * FRAME_BYTES : 4 * FRAME_BYTES])
    assert process.returncode == 0, errors.decode()
    # The frame that it waited for may still be read.
    frames = frames_in(out)
    assert frames in (3, 4)
    assert f"{frames} frames -> ".encode() in output


@pytest.mark.parametrize("delay", [0, 8])
def test_an_overlay_keeps_the_times_of_a_variable_rate(
    checkpoint: Path, tmp_path: Path, delay: int
) -> None:
    video, times = tmp_path / "uneven.mp4", (0.0, 0.2, 1.0, 6.4, 12.8, 13.6)
    steps = "+".join(f"eq(N,{frame})*{time}" for frame, time in enumerate(times))
    source = f"testsrc=size={WIDTH}x{HEIGHT}:rate=5,setpts='({steps})/TB'"
    uneven = ("-fps_mode", "passthrough", "-enc_time_base", "1:1000", "-bf", "0")
    limits = ("-frames:v", len(times), "-pix_fmt", "yuv420p")
    ffmpeg("-f", "lavfi", "-i", source, *limits, *uneven, video)
    for name, options in (("out", ()), ("even", ("--fps", 10))):
        options = (*options, "--delay", delay, "--moments", "all")
        done = run(video, checkpoint, tmp_path / f"{name}.mp4", *options)
        assert done.exit_code == 0, repr(done.exception)
        assert done.stdout.count("moment frames 0-5 (0.0-14.4 s), ") == len(SENTENCES)
    for path in (video, tmp_path / "out.mp4"):
        assert np.allclose(timing(path)[0], times, atol=0.002)
    assert timing(tmp_path / "out.mp4")[1] == pytest.approx(13.6 + 0.8, abs=0.01)
    assert timing(tmp_path / "even.mp4")[0] == pytest.approx(np.arange(len(times)) / 10)


def test_an_overlay_of_a_constant_rate_is_as_long_as_its_video(
    clip: Path, checkpoint: Path, tmp_path: Path
) -> None:
    done = run(clip, checkpoint, tmp_path / "out.mp4")
    assert done.exit_code == 0, repr(done.exception)
    seconds, length = timing(tmp_path / "out.mp4")
    assert seconds == pytest.approx(np.arange(FRAMES) / FPS, abs=0.001)
    assert length == timing(clip)[1] == FRAMES / FPS


def timing(video: Path) -> tuple[list[float | None], float | None]:
    """(seconds of each frame, of the whole file)."""
    command = [ffmpeg_binary(), "-nostdin", "-loglevel", "level+info", "-i", str(video)]
    command += ["-vf", "showinfo", "-fps_mode", "passthrough", "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    log = Log().read(done.stderr.splitlines())
    return [stamp.seconds for stamp in log.stamps], log.seconds
