"""Kappa and alpha: published worked examples, and what holds for any data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from spoiling import QUICK

from stages.core.statistics.chance import (
    alpha,
    coincidences_of_two,
    coincidences_of_units,
    kappa,
)

# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011); a dot is a missing value.
BINARY = ("0100000010", "1110010000")  # section A
NOMINAL = ("aabbdcccedda", "babbbccceddd")  # section B
MISSING = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")  # section C


def counts_of(observers: tuple[str, ...]) -> np.ndarray:
    """How many observers gave each value to each unit, (U, C)."""
    values = sorted(set("".join(observers)) - {"."})
    units = zip(*observers, strict=True)
    return np.array([[unit.count(value) for value in values] for unit in units])


def test_alpha_of_two_observers_and_binary_data() -> None:
    # Section A: o00 = 10, o01 = o10 = 4, o11 = 2; n0 = 14, n1 = 6, n = 20.
    # alpha = 1 - (n - 1) o01 / (n0 n1) = 1 - 19 * 4 / (14 * 6) = 1 - 76 / 84 = 0.095.
    pairs = coincidences_of_units(counts_of(BINARY))
    assert pairs.tolist() == [[10, 4], [4, 2]]
    assert alpha(pairs) == pytest.approx(8 / 84)
    assert round(float(alpha(pairs)), 3) == 0.095


def test_alpha_of_two_observers_and_nominal_data() -> None:
    # Section B: n = 24; 18 of the values agree (a 2, b 4, c 6, d 4, e 2), and n_a = 4, n_b = 6,
    # n_c = 6, n_d = 6, n_e = 2. alpha = ((n - 1) sum o_cc - sum n_c (n_c - 1)) /
    # (n (n - 1) - sum n_c (n_c - 1)) = (23 * 18 - 104) / (24 * 23 - 104) = 310 / 448 = 0.692.
    pairs = coincidences_of_units(counts_of(NOMINAL))
    assert np.diag(pairs).tolist() == [2, 4, 6, 4, 2]
    assert pairs.sum(0).tolist() == [4, 6, 6, 6, 2]
    assert alpha(pairs) == pytest.approx(310 / 448)
    assert round(float(alpha(pairs)), 3) == 0.692


def test_alpha_of_four_observers_with_missing_values() -> None:
    # Section C: unit 12 has one value, which pairs with nothing; n = 40 values remain, with
    # n1 = 9, n2 = 13, n3 = 10, n4 = 5, n5 = 3, and o_cc = 7, 10, 8, 4, 3, together 32.
    # alpha = (39 * 32 - (72 + 156 + 90 + 20 + 6)) / (40 * 39 - 344) = 904 / 1216 = 0.743.
    pairs = coincidences_of_units(counts_of(MISSING))
    assert pairs.sum(0) == pytest.approx([9, 13, 10, 5, 3])
    assert np.diag(pairs) == pytest.approx([7, 10, 8, 4, 3])
    assert alpha(pairs) == pytest.approx(904 / 1216)
    assert round(float(alpha(pairs)), 3) == 0.743


def test_kappa_of_two_physicians() -> None:
    # Viera and Garrett, "Understanding Interobserver Agreement: The Kappa Statistic" (2005):
    # observed (15 + 70) / 100 = 0.85, by chance 0.20 * 0.25 + 0.80 * 0.75 = 0.65,
    # kappa = (0.85 - 0.65) / (1 - 0.65) = 0.57.
    assert kappa(np.array([[15, 5], [10, 70]])) == pytest.approx(0.20 / 0.35)


def test_kappa_of_three_diagnoses() -> None:
    # Fleiss, "Statistical Methods for Rates and Proportions" (2nd edition, 1981), table 13.1:
    # observed 0.75 + 0.04 + 0.10 = 0.89, by chance 0.80 * 0.80 + 0.10 * 0.05 + 0.10 * 0.15 = 0.66,
    # kappa = 0.23 / 0.34 = 0.68.
    table = np.array([[75, 1, 4], [5, 4, 1], [0, 0, 10]])
    assert kappa(table) == pytest.approx(0.23 / 0.34)


@pytest.mark.parametrize("table", [np.zeros((2, 2)), [[9, 0], [0, 0]], [[0, 0], [0, 4]]])
def test_nothing_to_compare_or_no_variation_is_undefined(table) -> None:
    assert np.isnan(kappa(np.array(table)))
    assert np.isnan(alpha(coincidences_of_two(table)))


def test_one_constant_observer_is_as_good_as_chance() -> None:
    table = np.array([[6, 4], [0, 0]])
    assert kappa(table) == 0
    assert alpha(coincidences_of_two(table)) < 0


def test_units_with_one_value_do_not_count() -> None:
    counts = np.array([[2, 0], [0, 2], [1, 1]])
    alone = np.array([[1, 0], [0, 1], [0, 0]])
    both = np.concatenate([counts, alone])
    assert coincidences_of_units(both).tolist() == coincidences_of_units(counts).tolist()
    assert np.isnan(alpha(coincidences_of_units(alone)))


TABLES = arrays.arrays(
    np.int64,
    st.tuples(*[st.integers(2, 4)] * 2).map(lambda s: (s[0], s[0])),
    elements=st.integers(0, 50),
)


@QUICK
@given(table=TABLES, data=st.data())
def test_what_holds_for_any_table(table: np.ndarray, data: st.DataObject) -> None:
    names = np.array(data.draw(st.permutations(range(len(table)))))
    renamed = table[np.ix_(names, names)]
    for measure in (kappa, lambda counts: alpha(coincidences_of_two(counts))):
        found = float(measure(table))
        assert np.isnan(found) or -1.5 <= found <= 1
        assert float(measure(table.T)) == pytest.approx(found, nan_ok=True)  # symmetric
        assert float(measure(renamed)) == pytest.approx(found, nan_ok=True)
        agreed = np.diag(np.diag(table))
        same = float(measure(agreed))
        varied = np.count_nonzero(np.diag(table)) > 1
        assert same == 1 if varied else np.isnan(same)  # equal judgements agree fully
    stacked = np.stack([table, table.T])
    assert kappa(stacked)[0] == pytest.approx(float(kappa(table)), nan_ok=True)


@QUICK
@given(
    counts=arrays.arrays(
        np.int64, st.tuples(st.integers(1, 12), st.integers(2, 4)), elements=st.integers(0, 3)
    ),
    data=st.data(),
)
def test_coincidences_of_units(counts: np.ndarray, data: st.DataObject) -> None:
    pairs = coincidences_of_units(counts)
    values = counts.sum(1)
    assert pairs == pytest.approx(pairs.T)
    assert pairs.sum() == pytest.approx(values[values > 1].sum())
    order = np.array(data.draw(st.permutations(range(len(counts)))))
    assert coincidences_of_units(counts[order]) == pytest.approx(pairs)
    assert coincidences_of_units(counts[:0]).tolist() == np.zeros_like(pairs).tolist()


@QUICK
@given(
    values=arrays.arrays(
        np.int64, st.tuples(st.just(2), st.integers(1, 30)), elements=st.integers(0, 1)
    )
)
def test_two_complete_observers_give_the_same_either_way(values: np.ndarray) -> None:
    table = np.zeros((2, 2), int)
    np.add.at(table, (values[0], values[1]), 1)
    counts = np.stack([(values == category).sum(0) for category in (0, 1)], axis=1)
    assert coincidences_of_two(table) == pytest.approx(coincidences_of_units(counts))
