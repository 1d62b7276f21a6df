"""Do effects differ between people? A test that keeps its level although learners are fitted on the same data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from propensity.learners._typing import Matrix, Vector
from propensity.learners.averages import mean_effect, possible_actions
from propensity.learners.base import UpliftLearner
from propensity.learners.crossfit import effects_on
from propensity.learners.folds import Folds
from propensity.learners.sample import Sample, derive_seed


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
    effects: Sequence[Matrix],
    residual: Vector,
    level: float,
    seed: int = 0,
) -> Heterogeneity:
    """Test the mean of the learners' predicted differences between people, each scaled to the same size.

    Parameters
    ----------
    learners : sequence of UpliftLearner
        Cloned; combined with equal weights, which are fixed before the data are seen.
    sample, factors, fold
        As given to the learners; folds 1, 2, ... are tested, each with learners fitted on the folds before it.
    effects : sequence of array (n, actions without control)
        Each learner's out-of-fold effects: those of the last fold come from all folds before it.
    residual : array (n,)
        Y - m(X) - sum_a (1{A=a} - e_a(X)) average(a).
    level : float
    seed : int
        Of the outcomes that the learners start from.

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
    last = int(fold.max())
    regressor = np.zeros(len(sample.y))
    for k in range(1, last + 1):
        tested = np.flatnonzero(fold == k)
        if k == last:
            from_earlier = [effect[tested] for effect in effects]
        else:
            earlier = np.flatnonzero(fold < k)
            from_earlier = effects_on(tested, learners, sample, earlier, factors, derive_seed(seed, "earlier", k))
        possible = possible_actions(sample.propensity[tested])
        difference = np.zeros(len(tested))
        for effect in from_earlier:
            centred = effect - mean_effect(effect, possible, sample.weight[tested])
            # learners count alike, whatever the size of their predictions
            difference += _to_unit_length((treatment[tested] * centred).sum(axis=1))
        # each fold counts alike, or the noisiest (earliest) predictions would weigh most
        regressor[tested] = _to_unit_length(difference)
    judged = fold > 0
    t_statistic = slope_t_statistic(residual[judged], regressor[judged], sample.weight[judged])
    p_value = float(stats.norm.sf(t_statistic))
    return Heterogeneity(p_value < level, t_statistic, p_value, level)


def _to_unit_length(values: Vector) -> Vector:
    """Values over their root mean square; as they are where all are 0."""
    length = np.sqrt((values**2).mean())
    return values / length if length > 0 else values


def slope_t_statistic(y: Vector, x: Vector, weight: Vector) -> float:
    """Weighted slope through the origin over its robust (HC0) standard error; 0 where x never varies."""
    square = float(weight @ x**2)
    if square <= 0:
        return 0.0
    slope = float((weight * x) @ y) / square
    error = float(np.sqrt((weight**2 * x**2 * (y - slope * x) ** 2).sum())) / square
    return slope / error if error > 0 else 0.0
