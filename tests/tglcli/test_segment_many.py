"""tgl segment for several videos: one run, one model, the results of each as if it were alone."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from PIL import Image
from tiny_world import TinyWorld
from typer.testing import CliRunner

from schemas.errors import ConfigError, CorruptInput, IncompleteRun
from schemas.receipts import read_receipt
from stages.core.media.ffmpeg import write_h264
from stages.propagate import work
from stages.zero_shot.ground.detectors import registry
from tglcli.main import app

SHEET = ("--format", "sheet")
"""Overlays that are drawn in no time."""
FIXED = ("--device", "cpu", "--workers", "1")
KILLED = """
import os, signal, sys
from stages.propagate import work
from tglcli.main import main

segment, finished = work._segment, []

def counted(*given):
    if finished:
        os.kill(os.getpid(), signal.SIGKILL)
    segment(*given)
    finished.append(True)

work._segment = counted
sys.argv[0] = "tgl"
main()
"""
"""tgl, killed as it begins with the second video."""


@pytest.fixture
def clips(tiny_world: TinyWorld, tmp_path: Path) -> Path:
    """Two videos of 4 and 3 frames, and a folder of two frames of another size."""
    folder = tmp_path / "clips"
    (folder / "shots").mkdir(parents=True)
    for name in ("a", "b"):
        shutil.copy(tiny_world.video(name), folder)
    for number in range(2):
        pixels = np.full((40, 24, 3), 90 * number, np.uint8)
        pixels[5:20, 5:20] = 200
        Image.fromarray(pixels).save(folder / "shots" / f"f{number}.png")
    return folder


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["segment", *map(str, words), *FIXED])


def succeed(*words: object) -> Result:
    done = run(*words)
    assert done.exit_code == 0, repr(done.exception) + done.output
    return done


def to(out: Path, clips: Path, checkpoint: Path) -> tuple[object, ...]:
    """Words that segment a folder with one sentence."""
    return ("a cube", "--videos", clips, "-o", out, *SHEET, "--checkpoint", checkpoint)


def pngs(folder: Path) -> dict[str, bytes]:
    """Masks by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


@pytest.fixture
def segmented(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """What is loaded, and the videos that are segmented, by a checkpoint."""
    seen: dict[str, list[Any]] = {"loaded": [], "videos": []}
    load, segment = work._open, work._segment

    def loaded(*given: Any) -> Any:
        seen["loaded"].append(given)
        return load(*given)

    def counted(runner: Any, job: Any, *given: Any) -> None:
        seen["videos"].append(job.video.video_id)
        segment(runner, job, *given)

    monkeypatch.setattr(work, "_open", loaded)
    monkeypatch.setattr(work, "_segment", counted)
    return seen


def test_videos_give_what_each_gives_alone(
    clips: Path, checkpoint: Path, tmp_path: Path, segmented: dict[str, list[Any]]
) -> None:
    lists = tmp_path / "s.csv"
    lists.write_text("video,sentence\na.mp4,a cube\nshots,a cube\n")
    out, masks, table = (tmp_path / name for name in ("out", "masks", "t.csv"))
    model = ("--checkpoint", checkpoint)
    outputs = ("-o", out, "--masks", masks, "--table", table)
    done = succeed("the ball", "--videos", clips, "--sentences", lists, *outputs, *model)
    assert len(segmented["loaded"]) == 1
    assert sorted(segmented["videos"]) == ["a", "b", "shots"]
    assert sorted(path.name for path in out.iterdir()) == [
        *("a.mp4", "b.mp4", "receipt.json", "shots.mp4")
    ]
    whole = pngs(masks)
    for name, sentences in (("b.mp4", 1), ("shots", 2)):
        alone = tmp_path / "alone"
        words = ("the ball", "a cube")[:sentences]
        succeed(clips / name, *words, "-o", tmp_path / "o.mp4", "--masks", alone, *model)
        video = Path(name).stem
        assert pngs(alone) == {path: png for path, png in whole.items() if path.startswith(video)}
        assert (out / f"{video}.mp4").read_bytes() == (tmp_path / "o.mp4").read_bytes()
    assert len(whole) == 2 * 4 + 3 + 2 * 2
    with table.open(newline="") as file:
        rows = [(r["video_id"], r["sentence"], r["seconds"]) for r in csv.DictReader(file)]
    assert len(rows) == len(whole)
    assert rows[0] == ("a", "the ball", "0")
    assert float(rows[1][2]) == pytest.approx(1 / 6)
    assert rows[-1] == ("shots", "a cube", "")
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines[:5]] == ["a", "a", "b", "shots", "shots"]
    paths = ", ".join(map(str, (out, masks, table)))
    assert lines[-1].endswith(f": 3 videos, 5 sentences, 9 frames -> {paths}")
    assert {path.name for path in tmp_path.iterdir()} == {
        *("clips", "s.csv", "out", "masks", "t.csv", "alone", "o.mp4")
    }  # no work folder is left


def test_a_json_table_has_a_document_of_each_video(
    clips: Path, checkpoint: Path, tmp_path: Path
) -> None:
    model = ("--checkpoint", checkpoint)
    table, alone = tmp_path / "t.json", tmp_path / "a.json"
    given = ("--videos", clips / "a.mp4", "--videos", clips / "b.mp4")
    succeed("a cube", *given, "-o", tmp_path / "out", *SHEET, "--table", table, *model)
    succeed(clips / "b.mp4", "a cube", "-o", tmp_path / "o.png", "--table", alone, *model)
    found, single = json.loads(table.read_text()), json.loads(alone.read_text())
    assert [video["video"] for video in found["videos"]] == ["a", "b"]
    head = {name: single.pop(name) for name in ("format", "version", "frame_unit")}
    assert found == head | {"videos": [found["videos"][0], single]}
    overlay = tmp_path / "out" / "b.png"
    assert overlay.read_bytes() == (tmp_path / "o.png").read_bytes()


def test_a_video_that_cannot_be_decoded_stops_no_other(
    clips: Path, checkpoint: Path, tmp_path: Path, segmented: dict[str, list[Any]]
) -> None:
    good = (clips / "b.mp4").read_bytes()
    (clips / "b.mp4").write_bytes(good[: len(good) // 2])
    (clips / "shots" / "f0.png").write_bytes(b"text")
    cut = clips / "cut"  # which is noticed when the frame is read
    cut.mkdir()
    for name in ("f0.jpg", "f1.jpg"):
        Image.effect_noise((64, 64), 90).convert("RGB").save(cut / name)
    (cut / "f1.jpg").write_bytes((cut / "f1.jpg").read_bytes()[:-500])
    words = (*to(tmp_path / "out", clips, checkpoint), "--masks", tmp_path / "masks")
    done = run(*words)
    assert isinstance(done.exception, IncompleteRun)
    message = str(done.exception)
    assert message.startswith(f"{tmp_path / 'out'}: 3 of 4 videos failed, the others are done; ")
    told = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert len(told) == 3
    assert told[0].startswith(f"warning: {clips / 'shots' / 'f0.png'}: is not an image; ")
    assert told[1].startswith(f"warning: {clips / 'b.mp4'}: cannot be decoded")
    assert told[2].startswith(f"warning: {clips / 'cut'}: f1.jpg: ")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "receipt.json"]
    (clips / "b.mp4").write_bytes(good)
    shutil.copy(clips / "shots" / "f1.png", clips / "shots" / "f0.png")
    shutil.rmtree(cut)
    succeed(*words)
    assert segmented["videos"].count("a") == 1  # it is not segmented again
    assert sorted(path.stem for path in (tmp_path / "out").glob("*.png")) == ["a", "b", "shots"]
    assert {path.name for path in tmp_path.iterdir()} == {"clips", "out", "masks"}


def test_if_every_video_fails_nothing_is_written(
    clips: Path, checkpoint: Path, tmp_path: Path
) -> None:
    for name in ("a.mp4", "b.mp4", "shots/f0.png", "shots/f1.png"):
        (clips / name).write_bytes(b"text")
    words = _cubes(clips, checkpoint, tmp_path / "out")
    done = run(*words)
    assert isinstance(done.exception, CorruptInput)
    assert "the first of 2 videos, all of which failed" in str(done.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["clips"]


def _cubes(clips: Path, checkpoint: Path, out: Path) -> tuple[object, ...]:
    """Words that segment the cubes of all clips by a checkpoint."""
    return ("a cube", "--videos", clips, "-o", out, "--checkpoint", checkpoint, *SHEET)


def test_a_new_video_costs_one_video(
    clips: Path, checkpoint: Path, tmp_path: Path, segmented: dict[str, list[Any]]
) -> None:
    words = _cubes(clips, checkpoint, tmp_path / "out")
    words = (*words, "--work", tmp_path / "work")
    succeed(*words)
    before = (tmp_path / "out" / "a.png").stat().st_ino
    noise = np.random.default_rng(0).integers(0, 255, (2, 32, 48, 3), np.uint8)
    write_h264(clips / "c.mp4", iter(noise), (32, 48), 5, 20)
    segmented["videos"].clear()
    succeed(*words)
    assert segmented["videos"] == ["c"]
    assert len(list((tmp_path / "out").glob("*.png"))) == 4
    assert (tmp_path / "out" / "a.png").stat().st_ino == before  # nor is it drawn again
    loaded = len(segmented["loaded"])
    (clips / "a.mp4").unlink()
    said = succeed(*words).stdout
    assert len(segmented["loaded"]) == loaded
    assert said.endswith("segment: removed the overlays of an earlier run of 1 video (a)\n")
    assert "removed" not in succeed(*words).stdout


def test_a_killed_run_goes_on_with_the_next_video(
    clips: Path,
    checkpoint: Path,
    tmp_path: Path,
    python: list[str],
    segmented: dict[str, list[Any]],
) -> None:
    words = _cubes(clips, checkpoint, tmp_path / "out")
    given = [str(word) for word in ("segment", *words, *FIXED)]
    killed = subprocess.run([*python, "-c", KILLED, *given], capture_output=True, text=True)
    assert killed.returncode == 128 + signal.SIGKILL, killed.stderr
    assert not (tmp_path / "out").exists()
    succeed(*words)
    assert sorted(segmented["videos"]) == ["b", "shots"]  # a, the longest, was finished
    assert {path.name for path in tmp_path.iterdir()} == {"clips", "out"}


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_public_models_give_what_each_video_gives_alone(
    tiny_world: TinyWorld,
    clips: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    every: int,
) -> None:
    loaded: list[object] = []
    load = registry.load_detector
    monkeypatch.setattr(
        registry, "load_detector", lambda *a, **k: (loaded.append(a), load(*a, **k))[1]
    )
    words: tuple[object, ...] = ("--model", tiny_world.detector, "--tracker", tiny_world.tracker)
    words = ("the left one jumps", *words, "--judge", "none", "--every", every)
    out, masks, table = (tmp_path / name for name in ("out", "masks", "t.json"))
    succeed(*words, "--videos", clips, "-o", out, *SHEET, "--masks", masks, "--table", table)
    assert len(loaded) == 1
    whole, documents = pngs(masks), json.loads(table.read_text())["videos"]
    for video in ("a", "b"):
        alone = tmp_path / f"alone-{video}"
        outputs = ("-o", tmp_path / "o.png", "--masks", alone, "--table", table)
        succeed(clips / f"{video}.mp4", *words, *outputs)
        assert documents.pop(0)["sentences"] == json.loads(table.read_text())["sentences"]
        own = {path: png for path, png in whole.items() if f"{video}/0" in path}
        assert own == pngs(alone)
        assert (out / f"{video}.png").read_bytes() == (tmp_path / "o.png").read_bytes()
    receipt = read_receipt(masks)
    assert receipt is not None
    assert receipt.stage == ("assemble" if every == 1 else "segment")
    objects = pq.read_table(masks / "objects.parquet").column("video_id").to_pylist()
    assert {"a", "shots"} <= set(objects)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--online",), "--online: has no effect with --videos"),
        (("--box", "1,1,9,9"), "--box 1,1,9,9@0: has no effect with --videos"),
        (("--size", "8x8"), "--size: only raw video on standard input needs it"),
        (("clips/a.mp4",), "clips/a.mp4: is a file or folder, not a sentence; name several videos"),
        (("-o", "o.mp4"), "--out: 'o.mp4' is one overlay; with --videos name a folder"),
        (("-o", "clips/new"), "clips/new: lies inside the input clips"),
        (("--table", "out/t.csv"), "out/t.csv: lies inside the input out"),
        (("--masks", "out/m"), "out: contains the input out/m"),
        ((*[f"word {n}" for n in range(50)],), "SENTENCE: 51 sentences of a are more than 50"),
    ],
)
def test_wrong_usage_is_one_line(
    clips: Path,
    checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(clips.parent)
    fixed = ("--videos", "clips", "-o", "out", "--checkpoint", checkpoint)
    error = run("a cube", *fixed, *options).exception
    assert isinstance(error, Exception)
    assert message in str(error)
    assert [path.name for path in clips.parent.iterdir()] == ["clips"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-o", "o.mp4"), "SOURCE: is missing; name a video, or several with --videos"),
        (("a.mp4", "x", "-o", "o.mp4", "--sentences", "s.csv"), "--sentences: needs --videos"),
        (("a.mp4", "x", "-o", "o.mp4", "--format", "gif"), "--format: needs --videos"),
        (("--videos", "clips", "-o", "out"), "SENTENCE: is missing; describe what to segment, or"),
    ],
)
def test_what_one_video_and_several_need(
    clips: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(clips.parent)
    error = run(*words).exception
    assert isinstance(error, ConfigError)
    assert message in str(error)
