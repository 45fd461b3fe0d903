"""The image of docs/pictures.md: styles of overlays, on a frame of a toy clip.

`make screenshots` writes it.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from command_line import run_tgl
from PIL import Image

from schemas.layouts import MASKS_TABLE, mask_path
from stages.core.index.index import Index
from stages.core.index.masks import MaskStore
from stages.core.media.rle import decode
from stages.tools.render.overlay import tile

MOST_BYTES = 200_000
TARGET = "TGL_SCREENSHOTS"
COLOURS = 256
SIDE = 340
FRAME = 16
VIDEO, SENTENCES = "dev_0001", ("1", "0", "2", "5")
"""The second sentence's object is one of the two of the first."""
SQUARE, LIGHT, DARK = 10, 235, 205
STYLES = {
    "overlay": ("--labels", "sentence", "--bare"),
    "outline": ("--style", "outline", "--labels", "number", "--bare"),
    "cutout": ("--style", "cutout"),
}


def write_true_masks(index: Path, preds: Path) -> None:
    """Write the true masks of the chosen sentences as predictions."""
    opened, store = Index.open(index), MaskStore(index / MASKS_TABLE)
    video = opened.videos[VIDEO]
    for expression in opened.expressions_of(VIDEO):
        if expression.expression_id not in SENTENCES:
            continue
        for frame, name in enumerate(video.frame_names):
            mask = np.zeros((video.height, video.width), bool)
            for anno_id in expression.anno_ids:
                rle = store.rle(anno_id, frame)
                if rle is not None:
                    mask |= decode(rle, where=anno_id) > 0
            path = mask_path(preds, VIDEO, expression.expression_id, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask.astype(np.uint8) * 255).save(path)


def on_squares(cutout: Image.Image) -> np.ndarray:
    """A cut-out on the squares that editors show for transparency, uint8 (H, W, 3)."""
    rows, columns = np.indices((cutout.height, cutout.width)) // SQUARE
    squares = np.where((rows + columns) % 2, LIGHT, DARK).astype(np.uint8)
    ground = Image.fromarray(squares).convert("RGBA")
    return np.asarray(Image.alpha_composite(ground, cutout).convert("RGB"))


@pytest.mark.slow
def test_the_picture_of_the_styles(tmp_path: Path) -> None:
    def tgl(*words: str) -> None:
        done = run_tgl(*words, "--quiet", cwd=tmp_path)
        assert done.returncode == 0, done.stderr

    others = ("--train-clips", "0", "--valid-clips", "0")
    tgl("toy", "data", "--size", "256", *others, "--dev-clips", "6")
    tgl("extract-frames", "data/dev/videos", "frames")
    tgl("build-moments", "data/dev", "index", "--frames", "frames")
    write_true_masks(tmp_path / "index", tmp_path / "preds")
    shown = []
    for style, options in STYLES.items():
        fixed = ("--format", "png", "--compare", "sentences", "--short-side", str(SIDE))
        tgl("render", "preds", "index", style, *fixed, *options)
        path = sorted(tmp_path.glob(f"{style}/{VIDEO}/*/*.png"))[FRAME]
        with Image.open(path) as image:
            shown.append(on_squares(image) if image.mode == "RGBA" else np.asarray(image))
    picture = tmp_path / "overlays.png"
    small = Image.fromarray(tile(shown, len(shown))).quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(picture, optimize=True)
    assert picture.stat().st_size < MOST_BYTES
    assert len({image.tobytes() for image in shown}) == len(STYLES)
    if os.environ.get(TARGET):
        (Path(os.environ[TARGET]) / picture.name).write_bytes(picture.read_bytes())
