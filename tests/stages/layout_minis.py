"""Ref-YouTube-VOS, Ref-DAVIS17 and a plain folder in miniature, with the traps of the real ones,
and frames as extract-frames leaves them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from schemas.parquet import rows_of, write_table
from schemas.tables import FRAMES

HEIGHT, WIDTH = 10, 14


def write_image(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (9, 99, 200)).save(path)


def write_palette(path: Path, numbers: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(numbers.astype(np.uint8), mode="P")
    image.putpalette([value for n in range(256) for value in (n, 255 - n, n // 2)])
    image.save(path)


def numbered(*columns: int) -> np.ndarray:
    """A map in which object n fills column n of those given."""
    found = np.zeros((HEIGHT, WIDTH), np.uint8)
    for column in columns:
        found[2:5, column] = column
    return found


def write_meta(path: Path, videos: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"videos": videos}))


@pytest.fixture
def youtube(tmp_path: Path) -> Path:
    """Ref-YouTube-VOS: train of one video, valid of two of which one belongs to test."""
    root = tmp_path / "ref-youtube-vos"
    names = ["00000", "00005", "00010"]
    for number, name in enumerate(names):
        write_image(root / "train/JPEGImages/003234408d" / f"{name}.jpg")
        write_palette(
            root / "train/Annotations/003234408d" / f"{name}.png", numbered(1, 2 + number)
        )
    expressions = {
        "0": {"exp": "a penguin is on the left", "obj_id": "1"},
        "1": {"exp": "a penguin walks", "obj_id": "2"},
    }
    train = {"003234408d": {"expressions": expressions, "frames": names}}
    write_meta(root / "meta_expressions/train/meta_expressions.json", train)
    (root / "train/meta.json").write_text("{}")
    valid = {}
    for video in ("0062f687f1", "00f88c4f0a"):
        write_image(root / "valid/JPEGImages" / video / "00000.jpg")
        valid[video] = {"expressions": {"0": {"exp": "a ball"}}, "frames": ["00000"]}
    write_meta(root / "meta_expressions/valid/meta_expressions.json", valid)
    test = {"00f88c4f0a": valid["00f88c4f0a"]}
    write_meta(root / "meta_expressions/test/meta_expressions.json", test)
    return root


@pytest.fixture
def davis(tmp_path: Path) -> Path:
    """Ref-DAVIS17 as downloaded: two videos with misspelt names, latin-1 and an object twice."""
    root = tmp_path / "ref-davis"
    lists = root / "DAVIS/ImageSets/2017"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("classic-car\ndogs-scale\n")
    (lists / "train.txt").write_text("bear\n")
    for video in ("classic-car", "dogs-scale", "bear"):
        for number in range(2):
            name = f"{number:05d}"
            write_image(root / "DAVIS/JPEGImages/480p" / video / f"{name}.jpg")
            numbers = numbered(1, 2)
            numbers[9, :] = 255
            write_palette(
                root / "DAVIS/Annotations_unsupervised/480p" / video / f"{name}.png", numbers
            )
    texts = root / "davis_text_annotations"
    texts.mkdir()
    lines = 'clasic-car 1 "a car"\nclasic-car 2 "a man"\ndogs-scale 1 "a dog"\nbear 1 "a bear"\n'
    (texts / "Davis17_annot1.txt").write_text(lines)
    (texts / "Davis17_annot1_full_video.txt").write_text(lines.replace('"a', '"the'))
    second = lines.replace("dogs-scale", "dog-scale").replace("a man", "an homme âgé")
    (texts / "Davis17_annot2.txt").write_bytes(second.encode("latin-1"))
    (texts / "Davis17_annot2_full_video.txt").write_bytes(second.encode("latin-1"))
    return root


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A plain folder of two videos, one without masks and with PNG frames."""
    root = tmp_path / "plain"
    for number in range(3):
        write_image(root / "JPEGImages/kitchen" / f"img{number}.jpg")
    write_palette(root / "Annotations/kitchen/img0.png", numbered(1, 3))
    write_palette(root / "Annotations/kitchen/img2.png", numbered(3))
    write_image(root / "JPEGImages/yard/0.png")
    sentences = '\ufeffvideo_id,expression,object_ids\nkitchen,"the cup, red",1\n'
    sentences += "kitchen,two cups,1;3\nkitchen,no cup,\nyard,a tree,\n"
    (root / "expressions.csv").write_text(sentences, encoding="utf-8")
    return root


@pytest.fixture
def frames_artifact(tmp_path: Path) -> Callable[..., Path]:
    """`frames_artifact({"a": 6}, fps=6)`: what extract-frames would have made."""

    def make(lengths: dict[str, int], *, fps: float) -> Path:
        root = tmp_path / "frames"
        rows = []
        for video, length in lengths.items():
            names = [f"{n:05d}" for n in range(length)]
            folder = root / "JPEGImages" / video
            folder.mkdir(parents=True)
            for name in names:
                Image.new("RGB", (16, 12)).save(folder / f"{name}.jpg")
            rows += [
                {
                    "video_id": video,
                    "frame": frame,
                    "name": name,
                    "path": f"JPEGImages/{video}/{name}.jpg",
                    "pts_seconds": frame / fps,
                    "width": 16,
                    "height": 12,
                    "bytes": (root / "JPEGImages" / video / f"{name}.jpg").stat().st_size,
                    "sha256": "",
                }
                for frame, name in enumerate(names)
            ]
        write_table(root / "frames.parquet", rows_of(rows, FRAMES), FRAMES)
        return root

    return make
