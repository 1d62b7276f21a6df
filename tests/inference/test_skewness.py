"""Where one arm has few events an interval errs above as rarely as below."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from propensity.inference import lift
from propensity.inference.skewness import NEGLIGIBLE, normalised, skewness_of_difference, studentised_quantiles

Z = stats.norm.ppf(0.975)


def experiment(counts: tuple[int, int, int, int], worth: float = 1.0) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Outcome, action and chances from events and people of the arm and of the control."""
    x, n, y, m = counts
    outcome = worth * np.r_[np.ones(x), np.zeros(n - x), np.ones(y), np.zeros(m - y)]
    chance = n / (n + m)
    chances = pd.DataFrame({"control": np.full(n + m, 1 - chance), "mail": chance})
    return outcome, np.repeat(["mail", "control"], [n, m]), chances


def alike(n: int, m: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Squares and cubes of people who count alike."""
    return (1 / n, 1 / m), (1 / n**2, 1 / m**2)


def errors_of_each_kind(n: int, p: float, m: int, q: float, *, corrected: bool) -> list[float]:
    """Chances, over all counts, that the interval lies wholly above and wholly below the true difference."""
    x, y = (np.arange(stats.binom.ppf(1e-9, *of), stats.binom.ppf(1 - 1e-9, *of) + 1) for of in ((n, p), (m, q)))
    a, b = x[:, None] / n, y[None, :] / m
    error = np.sqrt(a * (1 - a) / (n - 1) + b * (1 - b) / (m - 1))
    t = (a - b - (p - q)) / np.where(error > 0, error, 1e-9)
    if corrected:
        t = normalised(t, skewness_of_difference(a, b, *alike(n, m)))
    chance = stats.binom.pmf(x, n, p)[:, None] * stats.binom.pmf(y, m, q)
    return [float(chance[t > Z].sum()), float(chance[t < -Z].sum())]


@pytest.mark.parametrize(
    "shares", [(18_000, 0.0072, 2_000, 0.005), (2_000, 0.0072, 18_000, 0.005), (90_000, 0.005, 10_000, 0.005)]
)
def test_both_ends_hold_where_one_arm_has_few_events(shares):
    plain, corrected = (errors_of_each_kind(*shares, corrected=c) for c in (False, True))
    assert max(plain) > 0.035
    assert corrected == pytest.approx([0.025, 0.025], abs=0.005)


@pytest.mark.parametrize("shares", [(2_000, 0.005, 2_000, 0.005), (10_000, 0.0072, 10_000, 0.005)])
def test_arms_of_one_size_are_left_as_they_are(shares):
    assert errors_of_each_kind(*shares, corrected=True) == errors_of_each_kind(*shares, corrected=False)


@pytest.mark.parametrize("skewness", [-0.8, -0.2, 0.0, 0.06, 0.5])
@pytest.mark.parametrize("z", [0.5, 1.96, 4.0])
def test_quantiles_are_the_inverse(skewness, z):
    below, above = studentised_quantiles(z, skewness)
    assert normalised(np.array([below, -above]), np.full(2, skewness)) == pytest.approx([z, -z])


def test_skewness_is_that_of_the_binomial_distributions():
    n, m, p = 9_000, 1_000, 0.01
    third = p * (1 - p) * (1 - 2 * p) * (1 / n**2 - 1 / m**2)
    expected = third / (p * (1 - p) * (1 / n + 1 / m)) ** 1.5
    assert skewness_of_difference(p, p, *alike(n, m)) == pytest.approx(expected)
    assert skewness_of_difference(0.0, 0.0, *alike(n, m)) == 0
    assert skewness_of_difference(1.0, 1.0, *alike(n, m)) == 0
    assert skewness_of_difference(0.4, 0.5, *alike(90_000, 10_000)) == 0
    assert abs(expected) > NEGLIGIBLE


@pytest.mark.parametrize(
    "counts", [(60, 9_000, 5, 1_000), (75, 9_000, 2, 1_000), (0, 9_000, 4, 1_000), (9, 900, 0, 90)]
)
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_bounds_p_value_and_relative_bounds_say_the_same(counts, level):
    (found,) = lift(*experiment(counts), level=level)
    x, n, y, m = counts
    g = skewness_of_difference(x / n, y / m, *alike(n, m))
    z = stats.norm.ppf(0.5 + level / 2)
    for bound, sign in ((found.low, 1), (found.high, -1)):
        t = np.array((found.difference - bound) / found.standard_error)
        assert normalised(t, g) == pytest.approx(sign * z)
    assert (found.p_value < 1 - level) == (found.low > 0 or found.high < 0)
    if found.relative is not None:
        assert (found.relative.low > 0) == (found.low > 0)
        assert (found.relative.high < 0) == (found.high < 0)


def test_the_unit_of_two_values_does_not_matter_and_amounts_are_not_corrected():
    counts = (60, 9_000, 5, 1_000)
    (share,), (money,) = lift(*experiment(counts)), lift(*experiment(counts, worth=50.0))
    assert (money.low, money.high, money.p_value) == pytest.approx((50 * share.low, 50 * share.high, share.p_value))
    assert share.difference - share.low > share.high - share.difference
    y, action, chances = experiment(counts)
    y[0] = 1.01
    (amounts,) = lift(y, action, chances)
    assert amounts.difference - amounts.low == pytest.approx(Z * amounts.standard_error)
    assert amounts.high - amounts.difference == pytest.approx(Z * amounts.standard_error)


def test_weights_count_by_their_squares_and_cubes():
    rng = np.random.default_rng(0)
    keen = rng.random(4_000) < 0.5
    chance = np.where(keen, 0.95, 0.8)
    sent = rng.random(4_000) < chance
    y = (rng.random(4_000) < np.where(keen, 0.08, 0.02)).astype(float)
    chances = pd.DataFrame({"control": 1 - chance, "mail": chance})
    (found,) = lift(y, np.where(sent, "mail", "control"), chances, covariates=keen[:, None].astype(float))
    assert found.adjusted
    w = [1 / chance[sent], 1 / (1 - chance[~sent])]
    s, c = (tuple((x**k).sum() / x.sum() ** k for x in w) for k in (2, 3))
    p = (found.mean / s[0] + found.control_mean / s[1]) / (1 / s[0] + 1 / s[1])
    g = p * (1 - p) * (1 - 2 * p) * (c[0] - c[1]) / (p * (1 - p) * sum(s)) ** 1.5
    below, above = studentised_quantiles(Z, g)
    assert (found.difference - found.low) / found.standard_error == pytest.approx(below)
    assert (found.high - found.difference) / found.standard_error == pytest.approx(above)
    assert found.unadjusted.value - found.unadjusted.low > found.unadjusted.high - found.unadjusted.value
