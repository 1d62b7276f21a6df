"""The best arm is promised no more than it keeps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from propensity.errors import InputError
from propensity.inference import lift, shrunk_effects, shrunk_lifts


def test_the_best_arm_keeps_what_is_shown_and_not_what_was_measured():
    rng = np.random.default_rng(0)
    shown, measured, true = [], [], []
    for _ in range(2_000):
        effects = rng.normal(2, 0.7, 8)
        control, errors = rng.normal(0, 0.5), np.full(8, 1.0)
        d = effects + rng.normal(0, errors) - control
        best = int(d.argmax())
        shown.append(shrunk_effects(d, np.sqrt(errors**2 + 0.25), 0.5).differences[best])
        measured.append(d[best])
        true.append(effects[best])
    assert np.mean(measured) - np.mean(true) > 0.7
    assert abs(np.mean(shown) - np.mean(true)) < 0.15
    error = [np.mean((np.array(x) - true) ** 2) for x in (shown, measured)]
    assert error[0] < 0.7 * error[1]


def test_the_controls_error_draws_nothing_together():
    d, own = [1.0, 2.0, 4.0], np.array([0.5, 0.6, 0.7])
    alone = shrunk_effects(d, own)
    shared = shrunk_effects(d, np.sqrt(own**2 + 9), 3.0)
    assert shared.differences == pytest.approx(alone.differences)
    # the joint posterior mean under the full covariance says the same
    tau2, errors = alone.between_arms**2, np.diag(own**2) + 9
    total = errors + tau2 * np.eye(3)
    weight = np.linalg.solve(total, np.ones(3))
    centre = weight @ d / weight.sum()
    assert shared.differences == pytest.approx(centre + tau2 * np.linalg.solve(total, np.array(d) - centre))


def test_arms_that_differ_by_chance_are_alike_and_those_that_differ_much_stay():
    assert shrunk_effects([1.0, 1.1, 0.9], [1, 1, 1]).differences == pytest.approx((1.0, 1.0, 1.0))
    far = shrunk_effects([-100.0, 0.0, 100.0], [1, 1, 1])
    assert far.differences == pytest.approx((-100, 0, 100), rel=1e-3, abs=1e-6)
    assert shrunk_effects([3.0], [1.0]).differences == (3.0,)
    assert shrunk_effects([1.0, 2.0], [0.0, 0.0]).differences == pytest.approx((1.0, 2.0))


def test_order_and_rank_stay_where_errors_are_equal():
    d = [0.3, -1.2, 2.2, 0.9]
    found = np.array(shrunk_effects(d, [0.8] * 4).differences)
    assert np.argsort(found).tolist() == np.argsort(d).tolist()
    assert np.ptp(found) < np.ptp(d)


def test_lifts_share_their_controls_error():
    rng = np.random.default_rng(1)
    names = ["control", "a", "b", "c"]
    action = rng.choice(names, 4_000, p=[0.05, 0.35, 0.3, 0.3])
    y = rng.normal(size=4_000) + 0.2 * (action == "b")
    found = lift(y, action, pd.DataFrame(np.tile([0.05, 0.35, 0.3, 0.3], (4_000, 1)), columns=names))
    own = [y[action == a].std(ddof=1) / np.sqrt((action == a).sum()) for a in names[1:]]
    expected = shrunk_effects([x.difference for x in found], own)
    assert shrunk_lifts(found).differences == pytest.approx(expected.differences)


@pytest.mark.parametrize("case", [([], []), ([1.0], [1.0, 2.0]), ([1.0, np.nan], [1, 1]), ([1.0, 2.0], [0.1, 0.5])])
def test_what_cannot_be_is_refused(case):
    with pytest.raises(InputError):
        shrunk_effects(*case, control_error=0.3)
