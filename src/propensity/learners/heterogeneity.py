"""Do effects differ between people? A test that keeps its level although learners are fitted on the same data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from sklearn.base import clone

from propensity.learners._typing import Matrix, Vector
from propensity.learners.averages import mean_effect, possible_actions
from propensity.learners.base import Sample, UpliftLearner
from propensity.learners.folds import Folds


@dataclass(frozen=True)
class Heterogeneity:
    """Whether effects differ between people.

    Attributes
    ----------
    supported : bool
        Whether the test found differences at the level ``level``.
    t_statistic, p_value : float
        One-sided: predicted differences go with real ones, on people that the learners had not seen.
    level : float
        Chance of finding differences where there are none.
    """

    supported: bool
    t_statistic: float
    p_value: float
    level: float


def heterogeneity_test(
    learners: Sequence[UpliftLearner],
    sample: Sample,
    factors: Matrix,
    fold: Folds,
    residual: Vector,
    level: float,
) -> Heterogeneity:
    """Test the plain mean of the learners' predicted differences between people.

    Parameters
    ----------
    learners : sequence of UpliftLearner
        Cloned; combined with equal weights, which are fixed before the data are seen.
    sample, factors, fold
        As given to the learners; folds 1, 2, ... are tested, each with learners fitted on the folds before it.
    residual : array (n,)
        Y - m(X) - sum_a (1{A=a} - e_a(X)) average(a).
    level : float

    Notes
    -----
    Usual cross-fitting does not do here: with tau_k fitted outside fold k, the folds' statistics share their cross
    terms, their sum is a degenerate U-statistic, and its spread is 1.4 times the one that a t-test assumes. When each
    fold is predicted from earlier folds only, the sums are martingale differences and the t-statistic is standard
    normal under no heterogeneity.

    References
    ----------
    Luedtke, van der Laan (2016), Statistical inference for the mean outcome under a possibly non-unique optimal
    treatment strategy, Annals of Statistics 44 (the one-step-ahead construction).
    """
    treatment = (sample.indicator - sample.propensity)[:, 1:]
    regressor = np.zeros(len(sample.y))
    for k in range(1, int(fold.max()) + 1):
        rows, tested = np.flatnonzero(fold < k), np.flatnonzero(fold == k)
        earlier = sample.take(rows)
        effects = [clone(learner).fit_sample(earlier, factors)._effect(sample.X[tested]) for learner in learners]
        effect = np.mean(effects, axis=0)
        centre = mean_effect(effect, possible_actions(sample.propensity[tested]))
        difference = (treatment[tested] * (effect - centre)).sum(axis=1)
        size = np.sqrt((difference**2).mean())
        # each fold counts alike, or the noisiest (earliest) predictions would weigh most
        regressor[tested] = difference / size if size > 0 else 0.0
    t_statistic = slope_t_statistic(residual[fold > 0], regressor[fold > 0])
    p_value = float(stats.norm.sf(t_statistic))
    return Heterogeneity(p_value < level, t_statistic, p_value, level)


def slope_t_statistic(y: Vector, x: Vector) -> float:
    """Slope through the origin over its robust (HC0) standard error; 0 where x never varies."""
    square = float(x @ x)
    if square <= 0:
        return 0.0
    slope = float(x @ y) / square
    error = float(np.sqrt((x**2 * (y - slope * x) ** 2).sum())) / square
    return slope / error if error > 0 else 0.0
