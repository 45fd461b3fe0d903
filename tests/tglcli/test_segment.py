"""tgl segment: one command from a video, an image or a folder to overlay, masks and spans."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from PIL import Image
from pycocotools import mask as coco
from typer.testing import CliRunner

from schemas.errors import ConfigError, CorruptInput, MissingInput
from stages.core.media.ffmpeg import ffmpeg_binary
from stages.core.model.loading import hub
from tglcli.main import app

FRAMES, HEIGHT, WIDTH = 6, 48, 64
SENTENCES = ["the ball that jumps", "a cube"]


@pytest.fixture(scope="session")
def made_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six frames of a test pattern, 5 per second."""
    path = tmp_path_factory.mktemp("videos") / "clip.mp4"
    source = f"testsrc=size={WIDTH}x{HEIGHT}:rate=5"
    arguments = ["-f", "lavfi", "-i", source, "-frames:v", str(FRAMES), "-pix_fmt", "yuv420p"]
    subprocess.run([ffmpeg_binary(), "-loglevel", "error", *arguments, str(path)], check=True)
    return path


@pytest.fixture
def video(made_video: Path, tmp_path: Path) -> Path:
    """A copy of the video, which a test may damage."""
    return Path(shutil.copy(made_video, tmp_path / "clip.mp4"))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of three images."""
    (tmp_path / "shots").mkdir()
    for number in range(3):
        pixels = np.full((HEIGHT, WIDTH, 3), 60 * number, np.uint8)
        pixels[10:30, 10:30] = 200
        Image.fromarray(pixels).save(tmp_path / "shots" / f"shot{number}.png")
    return tmp_path / "shots"


def run(
    source: Path, out: Path, *options: str | Path, sentences: list[str] | None = None
) -> Result:
    texts = SENTENCES if sentences is None else sentences
    arguments = ["segment", source, *texts, "-o", out, "--workers", "1", "--device", "cpu"]
    return CliRunner().invoke(app, [str(argument) for argument in (*arguments, *options)])


def succeed(source: Path, out: Path, *options: str | Path, **more: list[str]) -> str:
    done = run(source, out, *options, **more)
    assert done.exit_code == 0, repr(done.exception) + done.output
    return done.stdout


def facts(video: Path) -> tuple[int, int, int]:
    """Frames, height and width of a video."""
    shown = subprocess.run(
        [ffmpeg_binary(), "-i", str(video), "-vf", "showinfo", "-f", "null", "-"],
        capture_output=True,
        text=True,
    ).stderr
    lines = [line for line in shown.splitlines() if " pts_time:" in line]
    width, height = lines[0].split(" s:")[1].split()[0].split("x")
    return len(lines), int(height), int(width)


def test_a_video_becomes_an_overlay_masks_and_spans(
    video: Path, checkpoint: Path, tmp_path: Path
) -> None:
    out, masks, table = (tmp_path / name for name in ("out.mp4", "masks", "found.json"))
    output = succeed(video, out, "--checkpoint", checkpoint, "--masks", masks, "--table", table)
    frames, height, width = facts(out)
    assert frames == FRAMES
    assert width == 8 * WIDTH  # 48 grows by whole numbers to at least 360
    assert height > 8 * HEIGHT  # caption, bars and legend
    files = sorted(path.name for path in (masks / "clip" / "1").iterdir())
    assert files == [f"{frame:05d}.png" for frame in range(FRAMES)]
    with Image.open(masks / "clip" / "0" / files[0]) as image:
        assert (image.mode, image.size) == ("L", (WIDTH, HEIGHT))
    assert f"{FRAMES} frames -> " in output
    assert '"the ball that jumps": moment frame' in output
    assert not list(tmp_path.glob(".*"))  # the work folder is removed

    document = json.loads(table.read_text())
    assert [entry["sentence"] for entry in document["sentences"]] == SENTENCES
    assert document["fps"] == 5
    for number, entry in enumerate(document["sentences"]):
        assert len(entry["masks"]) == len(entry["relevance"]) == FRAMES
        for frame, rle in enumerate(entry["masks"]):
            saved = np.asarray(Image.open(masks / "clip" / str(number) / files[frame])) > 0
            listed = np.zeros((HEIGHT, WIDTH)) if rle is None else coco.decode(rle)
            assert (listed == saved).all()
            inside = any(start <= frame < end for start, end in entry["visible"])
            assert inside == saved.any()
            assert entry["boxes"][frame] == box_of(saved)
            assert (entry["confidence"][frame] is None) or 0 <= entry["confidence"][frame] <= 1
        assert entry["objects"] == []  # a checkpoint tells no objects apart
    assert document["seconds"] == [frame / 5 for frame in range(FRAMES)]
    lines = table.read_text().splitlines()
    assert [json.loads(line.rstrip(",")) for line in lines[2:-1]] == document["sentences"]


def box_of(mask: np.ndarray) -> list[int] | None:
    """The half-open box of a mask."""
    rows, columns = np.nonzero(mask)
    if not rows.size:
        return None
    return [int(n) for n in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)]


def test_an_overlay_keeps_the_times_of_a_variable_rate(checkpoint: Path, tmp_path: Path) -> None:
    video, times = tmp_path / "uneven.mp4", (0.0, 0.2, 1.0, 6.4, 12.8, 13.6)
    steps = "+".join(f"eq(N,{frame})*{time}" for frame, time in enumerate(times))
    source = f"testsrc=size={WIDTH}x{HEIGHT}:rate=5,setpts='({steps})/TB'"
    arguments = ["-f", "lavfi", "-i", source, "-frames:v", str(FRAMES), "-fps_mode", "passthrough"]
    arguments += ["-enc_time_base", "1:1000", "-bf", "0", "-pix_fmt", "yuv420p"]
    subprocess.run([ffmpeg_binary(), "-loglevel", "error", *arguments, str(video)], check=True)
    options = ("--checkpoint", checkpoint, "--moments", "all")
    said = succeed(video, tmp_path / "out.mp4", *options)
    assert said.count("moment frames 0-5 (0.0-14.4 s), ") == len(SENTENCES)
    for path in (video, tmp_path / "out.mp4"):
        assert np.allclose(list(stamps(path)), times, atol=0.002)
    said = succeed(video, tmp_path / "even.mp4", *options, "--fps", "10")
    assert said.count("moment frames 0-5 (0.0-14.4 s), ") == len(SENTENCES)
    assert np.allclose(list(stamps(tmp_path / "even.mp4")), np.arange(FRAMES) / 10)


def stamps(video: Path) -> Iterator[float]:
    """Seconds of each frame of a video."""
    command = [ffmpeg_binary(), "-i", str(video), "-vf", "showinfo", "-fps_mode", "passthrough"]
    shown = subprocess.run([*command, "-f", "null", "-"], capture_output=True, text=True).stderr
    for line in shown.splitlines():
        if " pts_time:" in line:
            yield float(line.split(" pts_time:")[1].split()[0])


def test_a_rerun_in_a_kept_work_folder_skips(video: Path, checkpoint: Path, tmp_path: Path) -> None:
    options = ("--checkpoint", checkpoint, "--work", tmp_path / "work")
    succeed(video, tmp_path / "one.mp4", *options)
    stamps = _stamps(tmp_path / "work")
    succeed(video, tmp_path / "two.mp4", *options)
    assert _stamps(tmp_path / "work") == stamps
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()
    succeed(video, tmp_path / "two.mp4", *options, sentences=["a cone"])
    changed = {name for name, stamp in _stamps(tmp_path / "work").items() if stamp != stamps[name]}
    assert changed == {"index", "text", "masks", "pictures"}  # the frames are reused


def _stamps(work: Path) -> dict[str, int]:
    """The inode of each artifact: a new one is another folder."""
    names = ("frames", "index", "text", "masks", "pictures")
    return {name: (work / name).stat().st_ino for name in names}


def test_a_folder_of_images_becomes_a_gif_and_a_table(
    images: Path, checkpoint: Path, tmp_path: Path
) -> None:
    options = ("--checkpoint", checkpoint, "--table", tmp_path / "found.parquet", "--fps", "4")
    succeed(images, tmp_path / "out.gif", *options)
    succeed(images, tmp_path / "o.png", *options[:3], tmp_path / "found.csv")
    with Image.open(tmp_path / "out.gif") as image:
        assert image.n_frames == 3
        assert image.info["duration"] == 250
    rows = pq.read_table(tmp_path / "found.parquet").to_pylist()
    assert [row["name"] for row in rows] == ["shot0", "shot1", "shot2"] * 2
    assert [row["frame"] for row in rows] == [0, 1, 2] * 2
    for row in rows:
        rle = {"size": [row["height"], row["width"]], "counts": row["counts"]}
        assert coco.area(rle) == row["area"]
        box = box_of(coco.decode(rle))
        assert [row[name] for name in ("x0", "y0", "x1", "y1")] == (box or [None] * 4)
        assert row["seconds"] is None  # images have no rate
    assert any(row["in_moment"] for row in rows)
    with (tmp_path / "found.csv").open(newline="") as file:
        text = list(csv.DictReader(file))
    assert list(text[0]) == list(rows[0])
    assert [row["counts"].encode() for row in text] == [row["counts"] for row in rows]
    assert [row["x0"] for row in text] == ["" if r["x0"] is None else str(r["x0"]) for r in rows]


def test_a_rotated_image_of_a_phone_is_shown_upright(checkpoint: Path, tmp_path: Path) -> None:
    rotated = Image.Exif()
    rotated[0x0112] = 6
    Image.new("RGB", (HEIGHT, WIDTH)).save(tmp_path / "phone.jpg", exif=rotated)
    options = ("--checkpoint", checkpoint, "--masks", tmp_path / "masks")
    output = succeed(tmp_path / "phone.jpg", tmp_path / "out.png", *options, sentences=["a cube"])
    assert "1 frame -> " in output
    with Image.open(tmp_path / "masks" / "phone" / "0" / "phone.png") as image:
        assert image.size == (WIDTH, HEIGHT)
    with Image.open(tmp_path / "out.png") as image:
        assert image.width == 8 * WIDTH


def test_mixed_formats_are_read_and_equal_names_refused(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    for name in ("a.bmp", "b.JPG", "c.webp"):
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / name)
    out = tmp_path / "out.mp4"
    assert "3 frames" in succeed(folder, out, "--checkpoint", checkpoint, sentences=["a cube"])
    assert facts(out)[0] == 3
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "a.png")
    error = run(folder, out, "--checkpoint", checkpoint).exception
    assert isinstance(error, CorruptInput)
    assert "several images have the name a" in str(error)


def test_the_toy_model_is_named_and_told_from_real_ones(
    video: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "TOY_CHECKPOINT", checkpoint)
    done = run(video, tmp_path / "out.png", "--checkpoint", "toy", sentences=["a cube"])
    assert done.exit_code == 0, done.output
    warning = "the toy model knows only the coloured shapes of tgl toy"
    assert done.stderr == f"warning: {warning}\n"
    done = run(video, tmp_path / "other.png", "--checkpoint", checkpoint, sentences=["a cube"])
    assert done.stderr == ""
    assert (tmp_path / "out.png").read_bytes() == (tmp_path / "other.png").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tracker", "toy"], "--tracker: has no effect with --checkpoint"),
        (["--every", "2"], "--every: has no effect with --checkpoint"),
        (["--online", "--image-size", "64"], "--image-size: has no effect with --checkpoint"),
    ],
)
def test_settings_of_the_other_ways_are_refused(
    video: Path, checkpoint: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    error = run(video, tmp_path / "o.mp4", "--checkpoint", checkpoint, *options).exception
    assert isinstance(error, ConfigError)
    assert str(error) == message


def test_all_frames_on_the_language_path(video: Path, checkpoint: Path, tmp_path: Path) -> None:
    options = ("--checkpoint", checkpoint, "--table", tmp_path / "x.json", "--moments", "all")
    succeed(video, tmp_path / "out.gif", *options)
    document = json.loads((tmp_path / "x.json").read_text())
    assert [entry["moments"] for entry in document["sentences"]] == [[[0, FRAMES]]] * 2


def test_strange_names_and_long_sentences_pass(
    video: Path, checkpoint: Path, tmp_path: Path
) -> None:
    odd = video.rename(tmp_path / ".the: video?.mp4")
    done = run(odd, tmp_path / "o.gif", "--checkpoint", checkpoint, sentences=["word " * 500])
    assert done.exit_code == 0, repr(done.exception)
    assert "1 sentence cut to the encoder's maximum length" in done.stderr


@pytest.mark.parametrize(
    ("options", "sentences", "message"),
    [
        (["-o", "out.avi"], SENTENCES, "'out.avi' does not end in .mp4, .gif or .png"),
        (["--table", "x.txt"], SENTENCES, "'x.txt' does not end in .json, .csv, .parquet"),
        ([], ["  "], "SENTENCE: is empty"),
    ],
)
def test_wrong_usage_is_one_line(
    video: Path, checkpoint: Path, tmp_path: Path, options, sentences, message: str
) -> None:
    done = run(
        video, tmp_path / "out.mp4", "--checkpoint", checkpoint, *options, sentences=sentences
    )
    assert isinstance(done.exception, ConfigError)
    assert message in str(done.exception)


def test_damaged_inputs_are_one_line(video: Path, checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    video.write_bytes(video.read_bytes()[:300])
    error = run(video, out, "--checkpoint", checkpoint).exception
    assert isinstance(error, CorruptInput)
    assert str(error).startswith(f"{video}: cannot be decoded")
    error = run(tmp_path / "none.mp4", out, "--checkpoint", checkpoint).exception
    assert isinstance(error, MissingInput)
    (tmp_path / "empty").mkdir()
    error = run(tmp_path / "empty", out, "--checkpoint", checkpoint).exception
    assert isinstance(error, MissingInput)
    assert "contains no images" in str(error)
    (tmp_path / "bad.png").write_bytes(b"text")
    error = run(tmp_path / "bad.png", out, "--checkpoint", checkpoint).exception
    assert isinstance(error, CorruptInput)
    assert "bad.png: is not an image" in str(error)
    assert not out.exists()


@pytest.mark.parametrize("online", [(), ("--online",)], ids=["offline", "online"])
def test_a_video_with_decoding_errors_is_refused_or_kept(
    checkpoint: Path, tmp_path: Path, online: tuple[str, ...]
) -> None:
    video, out = tmp_path / "bad.mkv", tmp_path / "out.mp4"
    source = f"testsrc=size={WIDTH}x{HEIGHT}:rate=5"
    arguments = ["-f", "lavfi", "-i", source, "-frames:v", str(FRAMES), "-c:v", "ffv1"]
    subprocess.run([ffmpeg_binary(), "-loglevel", "error", *arguments, str(video)], check=True)
    content = bytearray(video.read_bytes())
    for place in range(len(content) // 2, len(content) // 2 + 20):
        content[place] ^= 0x55
    video.write_bytes(content)
    options = ("--checkpoint", checkpoint, *online)
    refused = run(video, out, *options)
    assert isinstance(refused.exception, CorruptInput)
    assert str(refused.exception).startswith(f"{video}: has ")
    assert str(refused.exception).endswith("keep what can be decoded with --keep-damaged")
    out.unlink(missing_ok=True)  # a stream leaves what had come
    kept = run(video, out, *options, "--keep-damaged")
    assert kept.exit_code == 0, repr(kept.exception)
    assert f"{FRAMES} frames -> " in kept.stdout
    assert "warning: --keep-damaged: frames may be damaged in bad (" in kept.stderr
    assert facts(out)[0] == FRAMES


def test_a_broken_frame_of_a_folder_is_named(
    images: Path, checkpoint: Path, tmp_path: Path
) -> None:
    path = images / "shot1.png"
    path.write_bytes(path.read_bytes()[:-40])
    error = run(images, tmp_path / "out.mp4", "--checkpoint", checkpoint).exception
    assert isinstance(error, CorruptInput)
    assert "shot1.png" in str(error)
    assert "\n" not in str(error)


def test_a_checkpoint_that_names_no_encoder_asks_for_it(
    video: Path, checkpoint: Path, tmp_path: Path
) -> None:
    own = shutil.copytree(checkpoint, tmp_path / "own")
    document = json.loads((own / "config.json").read_text())
    document["text"]["encoder"] = "unknown"
    (own / "config.json").write_text(json.dumps(document))
    error = run(video, tmp_path / "out.gif", "--checkpoint", own).exception
    assert isinstance(error, MissingInput)
    assert "--encoder" in str(error)
    succeed(video, tmp_path / "out.gif", "--checkpoint", own, "--encoder", "hash")
