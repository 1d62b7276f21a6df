"""The population stability index and the chance of one as large."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from propensity.inference import population_stability, stability


def test_figures_by_hand():
    found = population_stability([500, 500], [300, 700])
    p, q = np.array([500.5, 500.5]) / 1001, np.array([300.5, 700.5]) / 1001
    assert found.psi == pytest.approx(((q - p) * np.log(q / p)).sum())
    assert found.by_chance == pytest.approx(2 / 1000)
    assert not found.exact
    assert found.p_value == pytest.approx(stats.chi2.sf(found.psi * 500, 1))


def test_alike_is_no_difference_and_order_does_not_matter():
    assert population_stability([30, 60, 90], [300, 600, 900]).psi == pytest.approx(0, abs=1e-4)
    one, other = population_stability([3, 60, 90], [8, 20, 50]), population_stability([90, 3, 60], [50, 8, 20])
    assert one.psi == pytest.approx(other.psi)
    assert one.p_value == pytest.approx(other.p_value, abs=0.03)


@pytest.mark.parametrize("people", [40, 300, 3_000])
@pytest.mark.parametrize("rare", [0.002, 0.1])
def test_false_findings_are_as_rare_as_stated(people, rare, monkeypatch):
    # the p-value holds with any number of draws, and fewer are quicker
    monkeypatch.setattr(stability, "FIRST_LOOK", 500)
    monkeypatch.setattr(stability, "SECOND_LOOK", 2_000)
    rng = np.random.default_rng(people)
    shares = np.array([rare, *[(1 - rare) / 9] * 9])
    runs = 300
    p_values = np.array(
        [
            population_stability(rng.multinomial(4_000, shares), rng.multinomial(people, shares), seed).p_value
            for seed in range(runs)
        ]
    )
    for level in (0.05, 0.01):
        assert (p_values < level).sum() <= stats.binom.isf(1e-5, runs, level)
    assert 0.3 < (p_values < 0.5).mean() < 0.63


def test_a_category_that_training_never_saw_is_found_though_its_cell_was_empty():
    before, now = [900, 1_100, 0], [270, 310, 20]
    found = population_stability(before, now)
    assert found.exact
    assert 1 / 200_001 <= found.p_value < 1e-4


def test_permutations_and_chi_square_agree_where_cells_are_large_enough():
    exact, near = (
        population_stability([480, 480, 40], [500, 452, 48]),
        population_stability([480, 480, 60], [500, 440, 60]),
    )
    assert exact.exact
    assert not near.exact
    noise = 1 / 1_000 + 1 / 1_000
    assert exact.p_value == pytest.approx(stats.chi2.sf(exact.psi / noise, 2), abs=0.04)


@pytest.mark.parametrize(("before", "now"), [([1, 2], [1, 2, 3]), ([0, 0], [1, 2]), ([1, 2], [0, 0])])
def test_cells_that_cannot_be_compared(before, now):
    with pytest.raises(ValueError, match="same cells"):
        population_stability(before, now)


def test_one_cell_tells_nothing():
    assert population_stability([10, 0], [20, 0]) == (0.0, 0.0, 1.0, True)
