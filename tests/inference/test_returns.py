"""The curve of returns counts open windows for as long as they were watched."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.duration.survfunc import SurvfuncRight

from propensity.errors import InputError
from propensity.inference import return_curve


def watched(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Days on which people came back, of the end of watching, and days to whichever was first."""
    back, end = rng.geometric(0.02, n), rng.integers(5, 60, n)
    return back, end, np.minimum(back, end)


def test_share_and_error_are_those_of_statsmodels():
    back, end, days = watched(400, np.random.default_rng(0))
    found = return_curve(days, back <= end)
    theirs = SurvfuncRight(days, (back <= end).astype(int))
    at = theirs.surv_times.astype(int)
    assert found.share[at] == pytest.approx(1 - theirs.surv_prob)
    assert found.standard_error[at] == pytest.approx(theirs.surv_prob_se)
    assert found.watched[at].tolist() == theirs.n_risk.tolist()


def test_without_open_windows_it_is_the_share_so_far():
    rng = np.random.default_rng(1)
    back = rng.geometric(0.05, 1_000)
    found = return_curve(np.minimum(back, 30), back <= 30, horizon=30)
    assert found.share == pytest.approx([(back <= d).mean() for d in range(31)])
    assert len(found.days) == 31


def test_weights_that_are_all_alike_change_nothing_and_whole_ones_count_as_people():
    rng = np.random.default_rng(2)
    back, end, days = watched(300, rng)
    plain = return_curve(days, back <= end)
    for name in ("share", "low", "high", "standard_error"):
        assert getattr(return_curve(days, back <= end, weight=np.full(300, 7.0)), name) == pytest.approx(
            getattr(plain, name)
        )
    twice = rng.integers(1, 3, 300)
    repeated = return_curve(np.repeat(days, twice), np.repeat(back <= end, twice))
    assert return_curve(days, back <= end, weight=twice).share == pytest.approx(repeated.share)


@pytest.mark.parametrize("n", [150, 2_000])
def test_bounds_hold_on_each_day_in_95_of_100(n):
    rng = np.random.default_rng(3)
    held = []
    for _ in range(400):
        back, end, days = watched(n, rng)
        found = return_curve(days, back <= end, horizon=40)
        truth = 1 - 0.98 ** found.days[[5, 20, 40]]
        held.append((found.low[[5, 20, 40]] <= truth) & (truth <= found.high[[5, 20, 40]]))
    assert np.mean(held, axis=0) == pytest.approx([0.95] * 3, abs=0.035)


def test_unequal_chances_need_weights():
    rng = np.random.default_rng(4)
    n = 20_000
    keen = rng.random(n) < 0.5
    sent = rng.random(n) < np.where(keen, 0.8, 0.2)
    back = rng.geometric(np.where(keen, 0.05, 0.01))
    truth = 1 - (0.95**30 + 0.99**30) / 2
    days, came = np.minimum(back, 30)[sent], (back <= 30)[sent]
    weight = 1 / np.where(keen, 0.8, 0.2)[sent]
    found = return_curve(days, came, weight=weight)
    assert found.low[30] <= truth <= found.high[30]
    assert return_curve(days, came).low[30] > truth


def test_nobody_back_yet_has_an_exact_upper_bound_and_everybody_back_ends_at_1():
    nobody = return_curve(np.full(100, 10), np.zeros(100, dtype=bool))
    assert (nobody.share == 0).all()
    assert nobody.high == pytest.approx(1 - 0.025 ** (1 / 100))
    everybody = return_curve([1.5, 2.2, 2.9], [True, True, True])
    assert everybody.share.tolist() == pytest.approx([0, 1 / 3, 1])
    assert ((everybody.low >= 0) & (everybody.high <= 1)).all()


@pytest.mark.parametrize("days", [[], [-1.0], [np.nan]])
def test_days_that_cannot_be_are_refused(days):
    with pytest.raises(InputError):
        return_curve(days, [True] * len(days))
