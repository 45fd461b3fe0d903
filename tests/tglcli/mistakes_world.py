"""A small folder of everything that commands read, for mistakes to be made in."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from tglcli import main as entry

CLIPS = ("--size", "64", "--frames", "16", "--train-clips", "0", "--workers", "1")


def tgl(words: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command line in this process; the exit code."""
    monkeypatch.setattr(sys, "argv", ["tgl", *words])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    return int(ended.value.code or 0)


def build_world(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill the current folder; `checkpoint` is copied into it."""
    for words in (
        ("toy", "toy", *CLIPS, "--dev-clips", "0", "--valid-clips", "2"),
        ("toy", "toy2", *CLIPS, "--dev-clips", "1", "--valid-clips", "0"),
        ("extract-frames", "toy/valid/videos", "frames"),
        ("build-moments", "toy/valid", "index", "--frames", "frames"),
        ("build-moments", "toy2/dev", "index2"),
        ("precompute-text", "index", "text", "--encoder", "hash", "--dim", "16"),
        ("precompute-text", "index", "text8", "--encoder", "hash", "--dim", "8"),
        ("precompute-text", "index2", "text2", "--encoder", "hash", "--dim", "16"),
        ("references", "index", "preds", "--kind", "one-at-random", "--workers", "1"),
    ):
        assert tgl([*words, "--quiet"], monkeypatch) == 0
    assert tgl(["export-moments", "index", "m.csv", "--moments-format", "csv"], monkeypatch) == 0
    shutil.copytree(checkpoint, "ck")
    shutil.copytree("index", "far/away/index")
    shutil.copytree("preds", "nested/preds")
    clip = min(Path("toy/valid/videos").iterdir())
    shutil.copy(clip, "clip.mp4")
    shutil.copy("toy/valid/moments.json", "moments.json")
    shutil.copy("toy/valid/meta_expressions.json", "meta.json")
    shutil.copy("toy2/dev/meta_expressions.json", "meta2.json")
    Path("cut.mp4").write_bytes(clip.read_bytes()[:300])
    Path("notes.txt").write_text("the ball that jumps\n")
    Path("empty.mp4").touch()
    Path("empty.json").touch()
    Path("empty.parquet").touch()
    Path("settings.toml").write_text("stepz = 3\n")
    Path("zero.toml").write_text("[train]\nsteps = 0\n")
    Path("nothing").mkdir()
    for name, kind in (("dino", "grounding-dino"), ("sam2", "sam2_video"), ("lm", "bert")):
        Path(name).mkdir()
        Path(name, "config.json").write_text(json.dumps({"model_type": kind}))
    Path("sel").mkdir()
    shutil.copy("index/moments.parquet", "sel/moments.parquet")
    Image.new("RGB", (32, 32), (90, 40, 10)).save("photo.jpg")
