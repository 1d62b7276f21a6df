"""Balance is judged by the randomisation that was logged."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from propensity.errors import InputError
from propensity.inference import balance_test


def people(n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame]:
    """Covariates, arm and chances that depend on the first covariate."""
    X = pd.DataFrame({"tenure": rng.normal(size=n), "value": rng.exponential(100, n), "rare": rng.random(n) < 0.05})
    control = np.where(X["tenure"] > 0, 0.1, 0.5)
    chances = pd.DataFrame({"control": control, "mail": 0.6 * (1 - control), "call": 0.4 * (1 - control)})
    passed = rng.random((n, 1)) > chances.to_numpy().cumsum(axis=1)
    return X, chances.columns.to_numpy()[np.minimum(passed.sum(axis=1), 2)], chances


def test_false_alarms_are_as_rare_as_stated_where_chances_differ():
    rng = np.random.default_rng(0)
    p = np.array([balance_test(*people(1_500, rng)).p_value for _ in range(500)])
    assert stats.kstest(p, "uniform").pvalue > 0.001
    assert (p < 0.05).mean() == pytest.approx(0.05, abs=0.03)


def test_chances_that_explain_the_difference_make_it_none():
    X, action, chances = people(40_000, np.random.default_rng(1))
    found = balance_test(X, action, chances)
    assert found.degrees_of_freedom == 6
    assert max(abs(x.difference) for x in found.differences) < 0.06
    ignored = balance_test(X, action, pd.DataFrame(np.tile([0.3, 0.42, 0.28], (40_000, 1)), columns=chances.columns))
    assert ignored.p_value < 1e-10
    assert ignored.differences[0].column == "tenure"


def test_a_broken_randomisation_is_found_and_named():
    rng = np.random.default_rng(2)
    X, action, chances = people(5_000, rng)
    # valued customers slip out of the control
    slipped = (action == "control") & (X["value"] > 150) & (rng.random(5_000) < 0.5)
    found = balance_test(X, np.where(slipped, "mail", action), chances)
    assert found.p_value < 1e-3
    assert found.differences[0].column == "value"


def test_one_arm_and_equal_chances_are_the_textbooks():
    rng = np.random.default_rng(3)
    x, sent = rng.normal(size=2_000), rng.random(2_000) < 0.5
    chances = pd.DataFrame(0.5, index=range(2_000), columns=["control", "mail"])
    found = balance_test(pd.DataFrame({"x": x}), np.where(sent, "mail", "control"), chances)
    z = ((sent - 0.5) * (x - x.mean())).sum() / np.sqrt(0.25 * ((x - x.mean()) ** 2).sum())
    assert found.statistic == pytest.approx(z**2)
    a, b = x[sent], x[~sent]
    assert found.differences[0].difference == pytest.approx((a.mean() - b.mean()) / np.sqrt((a.var() + b.var()) / 2))


def test_needless_columns_scale_and_gaps():
    rng = np.random.default_rng(4)
    X, action, chances = people(2_000, rng)
    found = balance_test(X, action, chances)
    more = balance_test(X.assign(value=5 - 3 * X["value"], twice=2 * X["tenure"], one=1.0), action, chances)
    assert more.statistic == pytest.approx(found.statistic)
    assert more.degrees_of_freedom == found.degrees_of_freedom
    gaps = X.assign(value=X["value"].where(rng.random(2_000) < 0.9))
    assert 0 < balance_test(gaps, action, chances).p_value <= 1


def test_other_lengths_and_labels_are_refused():
    X, action, chances = people(50, np.random.default_rng(5))
    with pytest.raises(InputError, match="same length"):
        balance_test(X[:10], action, chances)
    with pytest.raises(InputError, match="expected labels"):
        balance_test(X, np.repeat("fax", 50), chances)
