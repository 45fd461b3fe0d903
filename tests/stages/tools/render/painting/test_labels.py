"""Labels: on the object or beside it, inside the frame, apart from each other, without jumps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.core.media.palette import BACKGROUND, TEXT, sentence_colour
from stages.tools.render.painting.labels import Label, LabelPainter

HEIGHT, WIDTH = 180, 240


def ground(value: int = 200) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), value, np.uint8)


def box(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + height, left : left + width] = True
    return mask


def painter(*texts: str) -> LabelPainter:
    labels = [Label(text, sentence_colour(n)) for n, text in enumerate(texts)]
    return LabelPainter(labels, HEIGHT, WIDTH)


def place(painted: np.ndarray, before: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right and bottom edge of what was drawn."""
    changed = (painted != before).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_label_on_a_large_object_is_readable_on_any_ground(value: int) -> None:
    image = ground(value)
    painted = painter("7").draw(image, [box(20, 30, 120, 160)])
    left, top, right, bottom = place(painted, image)
    assert abs((left + right) / 2 - 110) <= 4
    assert abs((top + bottom) / 2 - 80) <= 4
    drawn = painted[top:bottom, left:right].reshape(-1, 3)
    for colour in (BACKGROUND, sentence_colour(0)):
        assert (drawn == colour).all(axis=1).mean() > 0.1
    assert np.abs(drawn.astype(int) - TEXT).max(axis=1).min() < 30


@pytest.mark.parametrize(
    ("mask", "above"),
    [(box(90, 100, 8, 8), True), (box(0, 100, 8, 8), False), (box(172, 232, 8, 8), True)],
    ids=["middle", "top", "corner"],
)
def test_a_label_of_a_small_object_lies_beside_it_and_in_the_frame(
    mask: np.ndarray, above: bool
) -> None:
    image = ground()
    painted = painter("the small one").draw(image, [mask])
    _, top, _, bottom = place(painted, image)
    rows = np.flatnonzero(mask.any(1))
    assert bottom <= rows[0] if above else top > rows[-1]
    assert (painted[mask] == 200).all()  # the object is not hidden


def test_labels_of_objects_in_one_place_do_not_cover_each_other() -> None:
    image = ground()
    masks = [box(20, 40, 140, 160)] * 5
    painted = painter(*"abcde").draw(image, masks)
    labels = [(painted == sentence_colour(n)).all(axis=2) for n in range(5)]
    boxes = [place(np.where(one[..., None], 0, image), image) for one in labels]
    for number, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[:number]:
            apart = left >= other[2] or other[0] >= right or top >= other[3] or other[1] >= bottom
            assert apart


def test_a_label_lies_where_no_other_mask_is() -> None:
    image = ground()
    large, part = box(10, 20, 160, 200), box(10, 20, 160, 120)
    painted = painter("a", "b").draw(image, [large, part])
    own = (painted == sentence_colour(0)).all(axis=2)
    assert np.flatnonzero(own.any(0))[0] > 140


def test_a_label_moves_with_its_object_and_does_not_jump() -> None:
    labels, places = painter("a"), []
    for step in range(10):
        # The thickest part changes sides by a pixel from frame to frame.
        mask = box(40 + step, 30 + 2 * step, 100, 60)
        mask |= box(40 + step, 130 + 2 * step, 100, 60 + step % 2)
        mask |= box(85 + step, 30 + 2 * step, 10, 140)
        places.append(place(labels.draw(ground(), [mask]), ground()))
    moves = np.diff([(left, top) for left, top, _, _ in places], axis=0)
    assert (moves >= 0).all()
    assert (moves <= 3).all()


def test_a_label_that_had_to_give_way_does_not_come_back_at_once() -> None:
    labels, mask, image = painter("a"), box(90, 100, 12, 12), ground()
    first = place(labels.draw(image, [mask]), image)
    pushed = place(labels.draw(image, [mask], [(0, 0, WIDTH, 90)]), image)
    after = place(labels.draw(image, [mask]), image)
    assert first[3] <= 90 < 102 <= pushed[1]
    assert after == pushed


def test_long_sentences_are_cut_and_tiny_frames_get_no_label() -> None:
    image = ground()
    painted = painter("the " + 40 * "very " + "long one").draw(image, [box(60, 20, 110, 200)])
    left, _, right, _ = place(painted, image)
    assert WIDTH / 3 < right - left < 0.6 * WIDTH
    small = np.full((9, 9, 3), 50, np.uint8)
    tiny = LabelPainter([Label("12", (1, 2, 3))], 9, 9)
    assert (tiny.draw(small, [np.ones((9, 9), bool)]) == small).all()


def test_no_mask_no_label(tmp_path: Path) -> None:
    image = ground()
    assert (painter("a").draw(image, [np.zeros((HEIGHT, WIDTH), bool)]) == image).all()


def test_other_boxes_are_avoided() -> None:
    image = ground()
    taken = (0, 0, 120, 180)
    painted = painter("a").draw(image, [box(0, 0, 180, 240)], [taken])
    _, top, _, bottom = free = place(painted, image)
    assert free[0] >= 120 or (bottom <= 0 or top >= 180)
