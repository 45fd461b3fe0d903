"""tgl segment writes all its outputs or none, and never over files of the user's."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from forked_python import PID_FILE
from typer.testing import CliRunner

from schemas.errors import CorruptInput, OutputBlocked
from schemas.receipts import read_receipt
from stages.core.media.ffmpeg import write_h264
from stages.tools.segment import offline
from tglcli.main import app

FRAMES, HEIGHT, WIDTH, FPS = 4, 48, 64, 5


def write_clip(path: Path, seed: int) -> Path:
    """Frames of noise."""
    noise = np.random.default_rng(seed)
    frames = (noise.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(FRAMES))
    write_h264(path, frames, (HEIGHT, WIDTH), FPS, 20)
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir()
    return write_clip(tmp_path / "own" / "clip.mp4", 0)


def run(source: Path, checkpoint: Path, out: Path, *options: object) -> Result:
    fixed = ("--checkpoint", checkpoint, "--workers", 1, "--device", "cpu")
    arguments = ("segment", source, "a cube", "-o", out, *fixed, *options)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def succeed(*arguments: object) -> None:
    done = run(*arguments)  # type: ignore[arg-type]
    assert done.exit_code == 0, repr(done.exception) + done.output


def tree(root: Path) -> dict[str, str]:
    """Digests of all files below a folder, hidden ones included."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("more", [[], ["--force"]], ids=["", "force"])
@pytest.mark.parametrize("online", [False, True])
@pytest.mark.parametrize("folder", ["--masks", "--work"])
@pytest.mark.parametrize("file", ["-o", "--table"])
def test_no_file_lies_in_another_output(
    clip: Path,
    checkpoint: Path,
    tmp_path: Path,
    file: str,
    folder: str,
    online: bool,
    more: list[str],
) -> None:
    """What the user has is safe from each output: see test_outputs_matrix.py."""
    before = tree(tmp_path)
    target = tmp_path / "new" / ("o.mp4" if file == "-o" else "t.parquet")
    more = [*more, "--online"] if online else more
    done = run(clip, checkpoint, tmp_path / "o.mp4", folder, target.parent, file, target, *more)
    assert isinstance(done.exception, OutputBlocked), done.output
    assert str(done.exception).startswith(f"{target}: lies inside the input {target.parent}")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("place", ["--masks", "--work"])
def test_another_video_of_the_same_name_gives_its_own_masks(
    clip: Path, checkpoint: Path, tmp_path: Path, place: str
) -> None:
    out, kept = tmp_path / "o.mp4", tmp_path / "kept"
    succeed(clip, checkpoint, out, place, kept)
    first = tree(kept), out.read_bytes()
    other = write_clip(tmp_path / "clip.mp4", 1)
    succeed(other, checkpoint, out, place, kept)
    succeed(other, checkpoint, tmp_path / "new.mp4", place, tmp_path / "new")
    assert out.read_bytes() == (tmp_path / "new.mp4").read_bytes() != first[1]
    masks = [{name: sum_ for name, sum_ in tree(folder).items() if name.endswith(".png")}
             for folder in (kept, tmp_path / "new")]  # fmt: skip
    assert masks[0] == masks[1]


def test_outputs_appear_together_or_not_at_all(
    clip: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--masks", tmp_path / "m", "--table", tmp_path / "t.json")

    def fail(*_: object) -> None:
        raise CorruptInput("comes late", where="x")

    with monkeypatch.context() as patch:
        patch.setattr(offline, "write_segments", fail)
        assert run(clip, checkpoint, tmp_path / "o.mp4", *options).exit_code != 0
    assert not any((tmp_path / name).exists() for name in ("m", "o.mp4", "t.json"))
    succeed(clip, checkpoint, tmp_path / "o.mp4", *options)
    names = {"m", "o.mp4", "t.json", "own"}
    assert {path.name for path in tmp_path.iterdir()} == names  # nothing hidden is left
    succeed(clip, checkpoint, tmp_path / "o.mp4", *options)


def test_a_failed_run_leaves_no_hidden_folder(clip: Path, checkpoint: Path, tmp_path: Path) -> None:
    clip.write_bytes(clip.read_bytes()[:200])
    done = run(clip, checkpoint, tmp_path / "o.mp4")
    assert isinstance(done.exception, CorruptInput)
    assert str(done.exception).startswith(str(clip))
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


def test_a_killed_stream_can_be_rerun(
    clip: Path, checkpoint: Path, tmp_path: Path, python: list[str]
) -> None:
    masks, out = tmp_path / "m", tmp_path / "o.mp4"
    raw = np.zeros((HEIGHT, WIDTH, 3), np.uint8).tobytes()
    options = ["--online", "--delay", 0, "--size", f"{WIDTH}x{HEIGHT}", "--fps", FPS]
    options += ["--masks", masks, "--checkpoint", checkpoint, "--device", "cpu"]
    command = [*python, "-m", "tglcli", "segment", "-", "a cube", "-o", out, *options]
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {PID_FILE: str(tmp_path / "pid")},
    )
    assert process.stdin is not None
    process.stdin.write(2 * raw)
    process.stdin.flush()
    while not list(tmp_path.glob(".m.*/stdin/0/00001.png")):
        assert process.poll() is None, process.stderr
        time.sleep(0.05)
    number = tmp_path / "pid"
    os.kill(int(number.read_text()), signal.SIGKILL)
    number.unlink()
    process.wait()
    assert not masks.exists()
    subprocess.run([str(word) for word in command], input=3 * raw, check=True, capture_output=True)
    assert len(list((masks / "stdin" / "0").iterdir())) == 3
    receipt = read_receipt(masks)
    assert receipt is not None
    assert (receipt.stage, receipt.complete) == ("propagate", True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "o.mp4", "own"]
