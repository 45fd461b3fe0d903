"""The commands of the data stages as they are typed: output, one-line errors, exit codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import run_tgl

from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.tools.toy.config import ToyConfig, ToyInputs
from stages.tools.toy.stage import STAGE as TOY


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A split of two small toy clips with videos, masks and moments."""
    out = tmp_path_factory.mktemp("data") / "toy"
    config = ToyConfig(size=32, frames=16, train_clips=0, valid_clips=2, dev_clips=0)
    runtime = Runtime(workers=1, device="cpu")
    execute(TOY, config, ToyInputs(), out, runtime=runtime, progress=SilentProgress())
    return out / "valid"


def start(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, which is not told that there is no network."""
    command = [sys.executable, "-c", "from tglcli.main import main; main()", *map(str, words)]
    environment = {k: v for k, v in os.environ.items() if k != "HF_HUB_OFFLINE"}
    environment |= {"OMP_NUM_THREADS": "1", "HF_ENDPOINT": "https://hub.invalid"}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_from_videos_to_an_index_and_back_out(split: Path, tmp_path: Path) -> None:
    done = run_tgl("extract-frames", split / "videos", "frames", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 videos, 32 frames" in done.stdout
    done = run_tgl("build-moments", split, "index", "--frames", "frames", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = run_tgl("export-moments", "index", "m.eaf", "--moments-format", "elan", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    words = ("build-moments", split, "again", "--frames", "frames", "--moments", "m.eaf")
    done = run_tgl(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "again" in done.stdout
    done = run_tgl("check", "again", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "no faults"


def test_one_bad_video_is_named_and_the_exit_code_says_so(split: Path, tmp_path: Path) -> None:
    good, other = sorted((split / "videos").glob("*.mp4"))
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(other.read_bytes()[:400])
    done = run_tgl("extract-frames", good, bad, "frames", cwd=tmp_path)
    assert done.returncode == 7
    assert len(done.stderr.splitlines()) == 1
    assert f"1 input failed, the others are done; {bad}: cannot be decoded" in done.stderr
    assert "1 video, 16 frames" in done.stdout
    assert "Traceback" not in done.stderr


def test_check_lists_faults_as_text_and_json(split: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    assert run_tgl("check", split, cwd=tmp_path).returncode == 0
    shutil.copytree(split, copy)
    meta = json.loads((copy / "meta_expressions.json").read_text())
    video = next(iter(meta["videos"].values()))
    for body in video["expressions"].values():
        body["exp"] = ""
    (copy / "meta_expressions.json").write_text(json.dumps(meta))
    done = run_tgl("check", copy, "--show", "2", cwd=tmp_path)
    assert done.returncode == 5
    assert "sentences: 6 faults" in done.stdout
    assert "... and 4 more" in done.stdout
    done = run_tgl("check", copy, "--json", cwd=tmp_path)
    assert done.returncode == 5
    assert json.loads(done.stdout)["faults_by_part"]["sentences"] == 6


def test_errors_are_one_line(split: Path, tmp_path: Path) -> None:
    for words, code in (
        (("check", "absent"), 3),
        (("build-moments", "absent", "index"), 3),
        (("extract-frames", "absent.mp4", "frames"), 3),
        (("export-moments", "absent", "m.csv"), 3),
        (("extract-frames", "x.mp4", "frames", "--size", "big"), 2),
    ):
        done = run_tgl(*words, cwd=tmp_path)
        assert done.returncode == code, (words, done.stderr)
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr


@pytest.mark.parametrize("command", ["precompute-text", "select-moments"])
def test_a_hub_out_of_reach_is_said_at_once(command: str, split: Path, tmp_path: Path) -> None:
    assert run_tgl("build-moments", split, "index", cwd=tmp_path).returncode == 0
    option = "--encoder" if command == "precompute-text" else "--model"
    done = start(command, "index", "out", option, "nobody/no-model", cwd=tmp_path)
    assert done.returncode == 3
    assert len(done.stderr.strip().splitlines()) == 1
    assert "nobody/no-model: is not in the local cache" in done.stderr
    assert option in done.stderr
