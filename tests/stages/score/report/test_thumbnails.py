"""Images of a report: the colour of every region, whole and as masks over a frame."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.core.media.palette import AGREEMENT, EXTRA, MISSED
from stages.score.cases import Case, VideoCases
from stages.score.masks.packed_masks import PackedMask, pack
from stages.score.report.thumbnails import CARD_WIDTH, ROW_WIDTH, PictureJob, draw_pictures

SIDE = 64


def halves(rows: slice) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[rows] = True
    return mask


class Truth:
    """The upper half of a frame; nothing in frame 2."""

    def open(self) -> Truth:
        return self

    def mask(self, track: str, frame: int) -> PackedMask | None:
        return None if frame == 2 else pack(halves(slice(0, 32)))

    def frames(self, track: str) -> set[int]:
        return {0, 1}


@pytest.fixture
def job(tmp_path: Path) -> PictureJob:
    """Predicted is the middle half of frame 0; frame 1 is missing, frame 2 too."""
    (tmp_path / "v" / "0").mkdir(parents=True)
    predicted = halves(slice(16, 48)).astype(np.uint8) * 255
    Image.fromarray(predicted).save(tmp_path / "v" / "0" / "0.png")
    case = Case("v", "0", "x", ("1",), (0, 1, 2), "v/0")
    video = VideoCases("v", ("0", "1", "2"), (SIDE, SIDE), (case,), Truth())
    places = ((0, 0), (0, 1), (0, 2))
    return PictureJob(tmp_path, video, places, places)


def opened(image: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(image)))


def test_masks_have_the_colours_of_render(job: PictureJob) -> None:
    found = draw_pictures(job)
    image = opened(found.masks[0, 0]).convert("RGBA")
    assert image.size == (ROW_WIDTH, ROW_WIDTH)
    pixels = np.asarray(image)
    quarters = [pixels[ROW_WIDTH * part // 8] for part in (1, 3, 5, 7)]
    for row, colour in zip(quarters, (MISSED, AGREEMENT, EXTRA), strict=False):
        assert {tuple(pixel[:3]) for pixel in row.tolist()} == {colour}
    assert len(set(quarters[0][:, 3].tolist())) == 2  # missed is hatched
    assert set(quarters[3][:, 3].tolist()) == {0}  # nothing is transparent


def test_cards_are_drawn_whole(job: PictureJob) -> None:
    image = opened(draw_pictures(job).cards[0, 0])
    assert (image.size, image.format) == ((CARD_WIDTH, CARD_WIDTH), "JPEG")
    pixels = np.asarray(image.convert("RGB"))
    blue = pixels[CARD_WIDTH * 3 // 8].mean(0)
    assert blue[2] > blue[0] + 50
    grey = pixels[CARD_WIDTH * 7 // 8].astype(int)
    assert (np.ptp(grey, axis=1) <= 4).all()


def test_a_frame_without_a_mask_of_either_is_left_out(job: PictureJob) -> None:
    found = draw_pictures(job)
    assert found.masks.keys() == found.cards.keys() == {(0, 0), (0, 1)}
    assert found.frames.keys() == {0, 1}
    missed = np.asarray(opened(found.masks[0, 1]).convert("RGBA"))[ROW_WIDTH // 8]
    assert {tuple(pixel[:3]) for pixel in missed.tolist()} == {MISSED}


def test_predictions_of_another_size_are_left_out(job: PictureJob) -> None:
    Image.new("L", (8, 8), 255).save(job.preds / "v" / "0" / "0.png")
    assert (0, 0) not in draw_pictures(job).masks


def test_frames_are_greyscale_and_read_from_their_folder(job: PictureJob, tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    Image.new("RGB", (SIDE, SIDE), (200, 200, 200)).save(frames / "0.jpg")
    (frames / "1.jpg").write_bytes(b"damaged")
    video = VideoCases(
        "v", job.video.frame_names, (SIDE, SIDE), job.video.cases, Truth(), str(frames), ".jpg"
    )
    found = draw_pictures(PictureJob(job.preds, video, (), job.rows))
    levels = [int(np.asarray(opened(found.frames[frame])).mean()) for frame in (0, 1)]
    assert levels == [pytest.approx(150, abs=2), pytest.approx(150, abs=2)]
    assert opened(found.frames[0]).mode == "L"
