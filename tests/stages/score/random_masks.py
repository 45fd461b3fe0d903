"""Random masks of all sizes, for the tests of the scorer's arithmetic."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

SIDES = st.one_of(
    st.integers(1, 9), st.sampled_from([63, 64, 65, 127, 128, 129]), st.integers(1, 260)
)
DENSITIES = st.sampled_from([0.0, 0.002, 0.05, 0.5, 0.95, 0.998, 1.0])


def random_mask(
    rng: np.random.Generator, height: int, width: int, density: float, grain: int
) -> np.ndarray:
    """Noise of square grains, bool (H, W)."""
    coarse = rng.random((-(-height // grain), -(-width // grain))) < density
    return np.kron(coarse, np.ones((grain, grain), bool))[:height, :width]
