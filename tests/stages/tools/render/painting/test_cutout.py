"""Cut-outs: colours in the mask as they were, those of its edge around it, nothing further out."""

from __future__ import annotations

import numpy as np

from stages.tools.render.painting.cutout import cut_out

INSIDE, OUTSIDE = (200, 40, 10), (0, 0, 255)


def scene() -> tuple[np.ndarray, np.ndarray]:
    """An image of 71x91 pixels with an object of another colour, and the object's mask."""
    mask = np.zeros((71, 91), bool)
    mask[20:41, 30:61] = True
    image = np.where(mask[..., None], INSIDE, OUTSIDE).astype(np.uint8)
    return image, mask


def test_alpha_is_the_mask_and_the_colours_in_it_are_kept() -> None:
    rng = np.random.default_rng(0)
    image, mask = scene()
    image = rng.integers(0, 256, image.shape, np.uint8)
    out = cut_out(image, mask)
    assert out.shape == (71, 91, 4)
    assert (out[..., 3] == np.where(mask, 255, 0)).all()
    assert (out[mask][:, :3] == image[mask]).all()


def test_the_edge_continues_and_no_background_is_left() -> None:
    image, mask = scene()
    colours = cut_out(image, mask)[..., :3]
    assert (colours[20 - 16 : 20, 30:61] == INSIDE).all()
    assert (colours[25, 61 : 61 + 16] == INSIDE).all()
    assert (colours[:3] == 0).all()
    assert not (colours == OUTSIDE).all(axis=2).any()


def test_edges_do_not_fringe_when_scaled() -> None:
    """Averages of colours across the edge are those of the object, as codecs and editors make."""
    image, mask = scene()
    colours = cut_out(image, mask)[..., :3].astype(int)
    halves = colours[:70, :90].reshape(35, 2, 45, 2, 3).mean(axis=(1, 3))
    touched = mask[:70, :90].reshape(35, 2, 45, 2).any(axis=(1, 3))
    assert (halves[touched] == INSIDE).all()


def test_masks_at_the_border_and_empty_ones() -> None:
    image, _ = scene()
    assert not cut_out(image, np.zeros((71, 91), bool)).any()
    whole = cut_out(image, np.ones((71, 91), bool))
    assert (whole[..., :3] == image).all()
    corner = np.zeros((71, 91), bool)
    corner[70, 90] = True
    assert cut_out(image, corner)[70, 90].tolist() == [*OUTSIDE, 255]
