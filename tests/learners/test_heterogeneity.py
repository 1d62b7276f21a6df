"""The test for differences between people keeps its level, and has power."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from learner_cases import draw_experiment, small_learner
from scipy import stats

from propensity.learners import DRLearner, SLearner, UpliftStack
from propensity.learners.base import UpliftLearner
from propensity.learners.boosting import TreeSettings
from propensity.learners.crossfit import out_of_fold
from propensity.learners.heterogeneity import heterogeneity_test, slope_t_statistic
from propensity.learners.sample import Sample, check_sample

N_NULLS = {"binary": 60, "continuous": 40}
QUICK_OUTCOME = TreeSettings(n_trees=12, num_leaves=4, learning_rate=0.2, min_data_in_leaf=20)
QUICK_EFFECT = TreeSettings(n_trees=8, num_leaves=4, learning_rate=0.2, min_data_in_leaf=30)


def t_statistics(kind: str) -> np.ndarray:
    """The t-statistic on experiments in which no outcome depends on the action, not even on average."""
    found = []
    for seed in range(N_NULLS[kind]):
        test = draw_experiment(600, 3, kind == "binary", seed=100 + seed, strength=0.0)
        s = SLearner(seed, QUICK_OUTCOME)
        dr = DRLearner(seed, n_folds=2, outcome_settings=QUICK_OUTCOME, effect_settings=QUICK_EFFECT)
        stack = UpliftStack(seed, [s, dr]).fit(test.X, test.action, test.y, propensity=test.propensity)
        found.append(stack.heterogeneity_.t_statistic)
    return np.array(found)


@pytest.mark.parametrize("kind", list(N_NULLS))
def test_is_standard_normal_where_people_do_not_differ(kind):
    t = t_statistics(kind)
    assert abs(t.mean()) < 3.5 / np.sqrt(len(t))
    # Ordinary cross-fitting gives 1.4. Bounds: 99.8 % of the standard deviations of so many standard normal draws.
    low, high = np.sqrt(stats.chi2.ppf([0.001, 0.999], len(t) - 1) / (len(t) - 1))
    assert low < t.std(ddof=1) < high
    assert (t > stats.norm.isf(0.01)).mean() <= 0.05


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "continuous"])
def test_finds_a_difference_that_is_large(fitted, binary):
    found = fitted("UpliftStack", binary, 3)[0].heterogeneity_
    assert found.supported
    assert found.t_statistic > 5
    assert found.p_value == pytest.approx(stats.norm.sf(found.t_statistic))


def test_does_not_take_large_average_effects_for_differences():
    test = draw_experiment(2000, 3, False, strength=0.0)
    y = test.y + np.select([test.action == "call", test.action == "mail"], [3.0, -3.0], 0.0)
    stack = small_learner("UpliftStack").fit(test.X, test.action, y, propensity=test.propensity)
    assert not stack.heterogeneity_.supported
    assert stack.averages_.shrunk == pytest.approx([3.0, -3.0], abs=0.3)


class Witness(UpliftLearner):
    """Notes the rows that it is fitted on, by their first feature, and predicts that feature."""

    seen: list[set[int]] = []  # noqa: RUF012

    def _fit(self, sample: Sample) -> None:
        self.seen.append(set(sample.X[:, 0].astype(int)))

    def _effect(self, X):
        return X[:, :1]


def test_each_fold_is_judged_by_learners_that_saw_earlier_folds_only():
    rng = np.random.default_rng(0)
    n = 400
    sample = check_sample(pd.DataFrame({"row": np.arange(n)}), rng.choice(["call", "control"], n), rng.normal(size=n))
    fold = rng.integers(4, size=n)
    Witness.seen.clear()
    factors = np.empty((2, 0))
    effects, _ = out_of_fold([Witness()], sample, factors, fold)
    assert set(np.flatnonzero(fold < 3)) in Witness.seen  # what the last fold is judged by
    Witness.seen.clear()
    heterogeneity_test([Witness()], sample, factors, fold, effects, sample.y, 0.01)
    assert sorted(map(len, Witness.seen)) == [(fold < k).sum() for k in (1, 2)]
    assert all(seen in [set(np.flatnonzero(fold < k)) for k in (1, 2)] for seen in Witness.seen)


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_t_statistic_is_that_of_a_robust_regression_through_the_origin(scale):
    rng = np.random.default_rng(1)
    x = rng.normal(size=200)
    y = scale * (0.2 * x + rng.normal(size=200) * (1 + abs(x)))
    assert slope_t_statistic(y, x, np.ones(200)) == pytest.approx(sm.OLS(y, x).fit(cov_type="HC0").tvalues[0])


def test_t_statistic_is_0_without_variation():
    assert slope_t_statistic(np.ones(5), np.zeros(5), np.ones(5)) == 0.0
    assert slope_t_statistic(np.zeros(5), np.ones(5), np.ones(5)) == 0.0
