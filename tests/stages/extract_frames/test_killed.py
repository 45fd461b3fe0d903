"""extract-frames killed in the middle of a video: nothing goes on, and the same command does."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

FRAMES = 24


def wait_for(found: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether something comes true within some time."""
    deadline = time.monotonic() + seconds
    while not found():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def programs_on(text: str) -> list[str]:
    """Ids of the running programs that have `text` on their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if text.encode() in (entry / "cmdline").read_bytes():
                found.append(entry.name)
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="lists programs by /proc")
def test_no_ffmpeg_goes_on_and_a_rerun_succeeds_at_once(
    make_video: Callable[..., Path], tmp_path: Path
) -> None:
    video = make_video("long.mp4", frames=FRAMES, size="640x480")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "tglcli", "extract-frames", video, out]
    command += ["--format", "png", "--size", "1280x960"]  # slow: killed in the middle

    def found(name: str) -> bool:
        return any(tmp_path.glob(f".out.*.work/JPEGImages/long/{name}"))

    for number in (signal.SIGINT, signal.SIGKILL):  # the second run is the first one's rerun
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        # ffmpeg is there, so frames that a killed run had left are gone.
        started = wait_for(lambda: bool(programs_on(f"file:{video}")) and found("00003.png"))
        run.send_signal(number)
        _, told = run.communicate(timeout=10)
        assert started, told
        assert run.returncode in (-number, 128 + number), told
        assert wait_for(lambda: not programs_on(str(video)), 2)
        assert not found(f"{FRAMES - 1:05d}.png")  # ended, and not because it was done
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list((out / "JPEGImages" / "long").iterdir())) == FRAMES
