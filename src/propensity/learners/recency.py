"""How much older decisions count: as much as the newest, unless less weight predicts the newest better."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from propensity.evaluation.estimate import Estimate, mean_estimate
from propensity.learners._typing import Flags, Matrix, Vector
from propensity.learners.factored import FactoredLinearLearner
from propensity.learners.nuisance import cross_fitted_outcome, mean_outcome, outcome_model
from propensity.learners.sample import MIN_ROWS_PER_ACTION, Sample, check_sample, derive_seed, factor_codes

HALF_LIVES_DAYS = (60.0, 120.0, 240.0)
"""After so many days a decision counts half; these are tried against none."""
NEWEST_SHARE = 0.25
LEAST_DAYS = 60.0
"""Between the first and the last decision: within less, nothing is old."""
MOST_ROWS = 100_000
"""Decisions by which it is judged; of more, so many at random."""
LEAST_ROWS = 1_000
"""Of older decisions and of newer ones."""
LEVEL = 0.05
"""Chance of giving older decisions less weight where nothing has changed, over all half-lives."""


@dataclass(frozen=True)
class Recency:
    """How much decisions count by their age.

    Attributes
    ----------
    half_life_days : float or None
        After which a decision counts half; None: all count alike.
    gain : Estimate or None
        By how much the best half-life predicted the newest decisions better than equal weights did, in R-loss; None
        where it could not be tried.
    """

    half_life_days: float | None
    gain: Estimate | None

    def weights(self, days_old: Vector) -> Vector:
        """Of decisions (n,) by their age in days; 1 for the newest."""
        return _weights(days_old, self.half_life_days)

    @property
    def sentence(self) -> str:
        """For people."""
        if self.gain is None:
            return "all decisions count alike: they are too few, or too close together, to tell whether effects change"
        if self.half_life_days is None:
            return "all decisions count alike: giving older ones less weight does not predict the newest better"
        return f"a decision counts half after {self.half_life_days:g} days: that predicts the newest ones better"


def recency_of(
    X: pd.DataFrame,
    action: pd.Series,
    y: Vector,
    propensity: pd.DataFrame,
    days_old: Vector,
    factors: pd.DataFrame | None,
    seed: int,
) -> Recency:
    """`recency` of what learners are fitted on (see `UpliftLearner.fit`); of very many decisions, of some at random."""
    n = len(days_old)
    if float(np.ptp(days_old)) < LEAST_DAYS:
        return Recency(None, None)
    rows = np.arange(n)
    if n > MOST_ROWS:
        draw = np.random.default_rng(derive_seed(seed, "rows"))
        rows = np.sort(draw.choice(n, MOST_ROWS, replace=False))
        if action.iloc[rows].value_counts().reindex(action.unique(), fill_value=0).min() < MIN_ROWS_PER_ACTION:
            return Recency(None, None)
    sample = check_sample(X.iloc[rows], action.iloc[rows], y[rows], propensity.iloc[rows])
    return recency(sample, days_old[rows], factor_codes(factors, sample.actions), seed)


def recency(sample: Sample, days_old: Vector, factors: Matrix, seed: int) -> Recency:
    """Which half-life, if any, predicts the effects in the newest decisions better than equal weights.

    Parameters
    ----------
    sample : Sample
        Of n decisions.
    days_old : array (n,)
        Their age, 0 for the newest.
    factors : array (n actions, n factors)
    seed : int

    Notes
    -----
    A linear learner (`FactoredLinearLearner`) is fitted on all decisions but the newest quarter, once with each
    half-life, and judged by the R-loss of its effects on that quarter. What is compared is how well the newest
    decisions are predicted, not whether effects before and after differ: a policy serves those for whom effects are
    most overstated, so that effects seem to fall where nothing has changed. Two-sided, with Bonferroni's correction.
    """
    newest = days_old <= np.quantile(days_old, NEWEST_SHARE)
    older, newer = np.flatnonzero(~newest), np.flatnonzero(newest)
    too_few = min(len(older), len(newer)) < LEAST_ROWS or not _all_arms(sample, ~newest)
    if too_few or float(np.ptp(days_old)) < LEAST_DAYS:
        return Recency(None, None)
    past, judged = sample.take(older), sample.take(newer)
    model = outcome_model(derive_seed(seed, "recency")).fit_sample(past, factors)
    left = judged.y - mean_outcome(model._outcome(judged.X), judged.propensity)
    treatment = (judged.indicator - judged.propensity)[:, 1:]
    past = replace(past, outcome=cross_fitted_outcome(past, factors, derive_seed(seed, "recency nuisance")))

    def losses(half_life: float | None) -> Vector:
        weighted = replace(past, weight=past.weight * _weights(days_old[older], half_life))
        learner = FactoredLinearLearner(derive_seed(seed, "recency effect")).fit_sample(weighted, factors)
        return (left - (treatment * learner._effect(judged.X)).sum(axis=1)) ** 2

    alike = losses(None)
    gains = [alike - losses(half_life) for half_life in HALF_LIVES_DAYS]
    best = max(range(len(gains)), key=lambda k: gains[k].mean())
    gain = mean_estimate(gains[best], 1 - LEVEL / len(HALF_LIVES_DAYS))
    return Recency(HALF_LIVES_DAYS[best] if gain.low > 0 else None, gain)


def _weights(days_old: Vector, half_life: float | None) -> Vector:
    return np.ones(len(days_old)) if half_life is None else np.exp2(-days_old / half_life)


def _all_arms(sample: Sample, rows: Flags) -> bool:
    """Whether every action was served often enough in some rows."""
    counts = np.bincount(sample.arm[rows], minlength=len(sample.actions))
    return bool((counts >= MIN_ROWS_PER_ACTION).all())
