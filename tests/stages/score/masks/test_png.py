"""Decoding PNG masks, against OpenCV's greyscale decode."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from score_png_writer import CHANNELS, KINDS, chunk, write_png

from schemas.errors import CorruptInput, MissingInput
from stages.score.masks.packed_masks import unpack
from stages.score.masks.png import WrongSize, read_labels, read_mask

SHARED_FOLDER = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def oracle(content: bytes) -> np.ndarray:
    """The foreground that OpenCV sees."""
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE) != 0


def ours(content: bytes, folder: Path) -> np.ndarray:
    """The foreground that tgl sees."""
    path = folder / "mask.png"
    path.write_bytes(content)
    return unpack(read_mask(path))


def random_samples(
    rng: np.random.Generator, height: int, width: int, kind: int, depth: int, style: str
) -> np.ndarray:
    """Samples (H, W, C): noise, dark noise around the edge of being foreground, or a blob."""
    shape = (height, width, CHANNELS[kind])
    top = 1 << depth
    if style == "noise":
        return rng.integers(0, top, shape)
    if style == "dark":
        return rng.integers(0, min(top, 12 if depth <= 8 else 2400), shape)
    value = rng.integers(1, top)
    ys, xs = np.mgrid[:height, :width]
    cy, cx = rng.random(2) * (height, width)
    blob = (ys - cy) ** 2 * 4 + (xs - cx) ** 2 < (0.3 * max(height, width)) ** 2
    return np.repeat(blob[..., None] * value, shape[2], axis=2)


@SHARED_FOLDER
@given(
    kind_and_depth=st.sampled_from(KINDS),
    height=st.integers(1, 33),
    width=st.integers(1, 150),
    interlaced=st.booleans(),
    filters=st.lists(st.integers(0, 4), min_size=1, max_size=7),
    style=st.sampled_from(["noise", "dark", "blob"]),
    extra=st.sampled_from([None, b"gAMA", b"sRGB", b"linear", b"tRNS"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_kind_is_read_as_opencv_reads_it(
    tmp_path, kind_and_depth, height, width, interlaced, filters, style, extra, seed
):
    kind, depth = kind_and_depth
    rng = np.random.default_rng(seed)
    samples = random_samples(rng, height, width, kind, depth, style)
    palette = None
    if kind == 3:
        palette = rng.integers(0, rng.choice([3, 12, 256]), (rng.integers(1, (1 << depth) + 1), 3))
    chunks = {
        b"gAMA": {b"gAMA": struct.pack(">I", int(rng.integers(20000, 250000)))},
        b"linear": {b"gAMA": struct.pack(">I", 100000)},
        b"sRGB": {b"sRGB": b"\0"},
    }.get(extra or b"", {})
    content = write_png(
        samples,
        kind,
        depth,
        interlaced=interlaced,
        choose_filter=lambda row: filters[row % len(filters)],
        palette=palette,
        extra=chunks,
    )
    if extra == b"tRNS" and kind == 3:
        place = content.index(b"IDAT") - 4
        content = content[:place] + chunk(b"tRNS", bytes(len(palette))) + content[place:]
    np.testing.assert_array_equal(ours(content, tmp_path), oracle(content))


@SHARED_FOLDER
@given(
    height=st.integers(1, 120),
    width=st.integers(1, 200),
    value=st.sampled_from([1, 2, 127, 128, 255]),
    filters=st.lists(st.integers(0, 4), min_size=1, max_size=9),
    density=st.sampled_from([0.0, 0.01, 0.5, 0.99, 1.0]),
    blocks=st.integers(1, 20),
    seed=st.integers(0, 2**32 - 1),
)
def test_two_valued_masks_under_all_row_filters(
    tmp_path, height, width, value, filters, density, blocks, seed
):
    rng = np.random.default_rng(seed)
    coarse = rng.random((-(-height // blocks), -(-width // blocks))) < density
    mask = np.kron(coarse, np.ones((blocks, blocks), bool))[:height, :width]
    content = write_png(
        (mask * value)[..., None], 0, 8, choose_filter=lambda row: filters[row % len(filters)]
    )
    np.testing.assert_array_equal(ours(content, tmp_path), mask)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
@pytest.mark.parametrize("size", [(1, 1), (480, 854), (97, 333)])
def test_files_of_pillow(tmp_path, mode, size):
    rng = np.random.default_rng(3)
    mask = cv2.GaussianBlur(rng.random(size), (0, 0), 9) > 0.5
    if mode == "P":
        image = Image.fromarray(mask.astype(np.uint8))
        image.putpalette([0, 0, 0, 128, 0, 0] + [0] * 762)
    elif mode == "I;16":
        image = Image.fromarray(mask.astype(np.uint16) * 65535)
    else:
        image = Image.fromarray((mask * 255).astype(np.uint8)).convert(mode)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    got = ours(stream.getvalue(), tmp_path)
    np.testing.assert_array_equal(got, oracle(stream.getvalue()))
    np.testing.assert_array_equal(got, mask)


@pytest.mark.parametrize(
    "options", [[], [cv2.IMWRITE_PNG_COMPRESSION, 9], [cv2.IMWRITE_PNG_BILEVEL, 1]]
)
def test_files_of_opencv(tmp_path, options):
    mask = cv2.GaussianBlur(np.random.default_rng(4).random((240, 427)), (0, 0), 9) > 0.5
    content = cv2.imencode(".png", (mask * 255).astype(np.uint8), options)[1].tobytes()
    np.testing.assert_array_equal(ours(content, tmp_path), mask)


def test_every_dark_colour_is_weighed_as_libpng_does(tmp_path):
    levels = np.mgrid[0:8, 0:5, 0:20].reshape(3, -1).T  # (colours, 3)
    content = write_png(levels[None], 2, 8)
    np.testing.assert_array_equal(ours(content, tmp_path), oracle(content))


def test_labels_are_palette_numbers(tmp_path):
    labels = np.random.default_rng(5).integers(0, 9, (31, 45))
    path = tmp_path / "labels.png"
    path.write_bytes(write_png(labels[..., None], 3, 4, palette=np.zeros((9, 3))))
    np.testing.assert_array_equal(read_labels(path), labels)


def good_file() -> bytes:
    mask = np.zeros((40, 50, 1), int)
    mask[10:20, 5:30] = 255
    return write_png(mask, 0, 8, choose_filter=lambda row: row % 5)


def damaged_files() -> dict[str, bytes]:
    good = good_file()
    body = good.index(b"IDAT") + 6
    short = zlib.compress(bytes(41 * 20))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 50, 40, 8, 0, 0, 0, 0))
    huge = chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 0, 0, 0, 0))
    odd = chunk(b"IHDR", struct.pack(">IIBBBBB", 50, 40, 3, 0, 0, 0, 0))
    bad_filter = chunk(b"IDAT", zlib.compress((b"\x07" + bytes(50)) * 40))
    end = chunk(b"IEND", b"")
    start = good[:8]
    return {
        "empty": b"",
        "text": b"not a picture",
        "jpeg": b"\xff\xd8\xff\xe0" + bytes(40),
        "truncated": good[: len(good) // 2],
        "no end": good[:-12],
        "flipped byte": good[:body] + bytes([good[body] ^ 0x40]) + good[body + 1 :],
        "few samples": start + header + chunk(b"IDAT", short) + end,
        "no data": start + header + end,
        "huge": start + huge + chunk(b"IDAT", short) + end,
        "depth of 3": start + odd + chunk(b"IDAT", short) + end,
        "unknown filter": start + header + bad_filter + end,
        "not deflate": start + header + chunk(b"IDAT", b"\1\2\3\4\5\6") + end,
        "short header": start + chunk(b"IHDR", b"\0\0") + chunk(b"IDAT", short) + end,
    }


@pytest.mark.parametrize("name", damaged_files())
def test_damaged_files_are_refused_by_name(tmp_path, name):
    path = tmp_path / "broken.png"
    path.write_bytes(damaged_files()[name])
    with pytest.raises(CorruptInput, match=r"broken\.png"):
        read_mask(path)


@given(place=st.integers(0, 10_000), value=st.integers(0, 255), cut=st.integers(0, 400))
@SHARED_FOLDER
def test_no_damage_escapes_as_another_error(tmp_path, place, value, cut):
    content = bytearray(good_file())
    content[place % len(content)] = value
    path = tmp_path / "fuzzed.png"
    path.write_bytes(bytes(content[: len(content) - cut % len(content)]))
    with contextlib.suppress(CorruptInput):  # any other error fails the test
        read_mask(path)


def test_another_size_is_told_apart(tmp_path):
    path = tmp_path / "mask.png"
    path.write_bytes(good_file())
    assert read_mask(path, (40, 50)).size == (40, 50)
    with pytest.raises(WrongSize, match="is 50x40, the ground truth 60x40"):
        read_mask(path, (40, 60))
    with pytest.raises(MissingInput):
        read_mask(tmp_path / "absent.png")
