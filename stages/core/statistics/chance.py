"""Agreement beyond chance: Cohen's kappa of two observers, Krippendorff's alpha of any number.

J. Cohen, "A Coefficient of Agreement for Nominal Scales" (1960); K. Krippendorff, "Computing
Krippendorff's Alpha-Reliability" (2011), sections A to C: nominal data, observers that leave out
units.

Both are undefined (NaN) if every value is the same, for then nothing shows that the observers can
tell values apart, and if there is nothing to compare. They are not 1 there.

Shapes: C categories, U units, "..." any leading dimensions.
"""

from __future__ import annotations

import numpy as np


def kappa(tables: np.ndarray) -> np.ndarray:
    """Compute Cohen's kappa of each table of counts.

    Args:
        tables: (..., C, C), units by the category of the first and of the second observer.

    Returns:
        float64 (...), at most 1, 0 as by chance; NaN if both used one category, the same, or if
        there is no unit.
    """
    counts = np.asarray(tables, float)
    total = counts.sum((-2, -1))
    agreed = np.trace(counts, axis1=-2, axis2=-1)
    by_chance = (counts.sum(-1) * counts.sum(-2)).sum(-1)  # times `total` the expected agreement
    return _ratio(total * agreed - by_chance, total**2 - by_chance)


def alpha(coincidences: np.ndarray) -> np.ndarray:
    """Compute Krippendorff's alpha for nominal data from each matrix of coincidences.

    Args:
        coincidences: (..., C, C), of :func:`coincidences_of_units` or :func:`coincidences_of_two`.

    Returns:
        float64 (...), at most 1; NaN if all values are the same, or if there are none.
    """
    counts = np.asarray(coincidences, float)
    values = counts.sum(-1)  # (..., C), how often each category occurs in units with two values
    total = values.sum(-1)
    differing = total - np.trace(counts, axis1=-2, axis2=-1)
    expected = total**2 - (values**2).sum(-1)  # times `total - 1` the expected disagreement
    return 1 - _ratio((total - 1) * differing, expected)


def coincidences_of_units(counts: np.ndarray) -> np.ndarray:
    """Count the coincidences of any number of observers, who may leave out units.

    Args:
        counts: (..., U, C), how many observers gave each value to each unit. A unit with fewer than
            two values has nothing to compare and does not count.

    Returns:
        float64 (..., C, C), symmetric: pairs of values within units, each unit weighted so that its
        sum is the number of its values.
    """
    found = np.asarray(counts, float)
    values = found.sum(-1)  # (..., U)
    weights = np.divide(1, values - 1, out=np.zeros_like(values), where=values > 1)
    weighted = found * weights[..., None]
    pairs = np.swapaxes(weighted, -1, -2) @ found  # a value with itself included
    own = weighted.sum(-2)  # (..., C)
    return pairs - own[..., None] * np.eye(found.shape[-1])


def coincidences_of_two(tables: np.ndarray) -> np.ndarray:
    """Count the coincidences of two observers who judged every unit.

    Args:
        tables: (..., C, C), as :func:`kappa` takes them.

    Returns:
        (..., C, C), symmetric.
    """
    counts = np.asarray(tables)
    return counts + np.swapaxes(counts, -1, -2)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Divide; NaN where the divisor is 0."""
    above, below = np.asarray(above, float), np.asarray(below, float)
    return np.divide(above, below, out=np.full_like(below, np.nan), where=below > 0)
