"""What tuning searches: kinds of learners with their settings, and the score by which they are compared.

The module draws from anything with Optuna's ``suggest_*`` methods and needs no Optuna itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from sklearn.base import clone

from propensity.evaluation.scores import score_matrix
from propensity.learners._typing import Matrix, Vector
from propensity.learners.averages import average_effects, mean_effect, possible_actions
from propensity.learners.base import UpliftLearner
from propensity.learners.boosting import COMPONENT_SETTINGS, EFFECT_SETTINGS, RANDOM_SPLITS, TreeSettings
from propensity.learners.crossfit import Rows
from propensity.learners.dr import DRLearner
from propensity.learners.factored import FactoredBoostedLearner
from propensity.learners.folds import stratified_folds
from propensity.learners.nuisance import cross_fitted_outcome, mean_outcome
from propensity.learners.r import RLearner
from propensity.learners.s import SLearner
from propensity.learners.sample import Sample, derive_seed
from propensity.learners.t import TLearner
from propensity.learners.x import XLearner
from propensity.learners.zero_inflated import HurdleLearner, WinsorisedLearner, is_zero_inflated

N_FOLDS = 5
MIN_LEAVES_OF_ALL = 20
"""No leaf may want more than the 20th part of the people; `boosting` sees to the same."""


class Draws(Protocol):
    """Gives each named setting a value; an Optuna trial is one."""

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        """One of the choices."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool) -> int:
        """A whole number within bounds."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        """A number within bounds."""


class Range(NamedTuple):
    """Bounds of a setting, both included; whole numbers where both bounds are. ``log``: even on a logarithmic scale."""

    low: float
    high: float
    log: bool = True


OUTCOME_RANGES = {
    "n_trees": Range(100, 400),
    "num_leaves": Range(4, 64),
    "learning_rate": Range(0.02, 0.15),
    "min_data_in_leaf": Range(20, 500),
    "lambda_l2": Range(0.1, 100.0),
    "feature_fraction": Range(0.5, 1.0, log=False),
}
"""Of trees that model outcomes: from as simple as those of effects to as large as those that predict outcomes best."""
EFFECT_RANGES = {
    "n_trees": Range(40, 200),
    "num_leaves": Range(2, 16),
    "learning_rate": Range(0.01, 0.1),
    "min_data_in_leaf": Range(50, 2000),
    "lambda_l2": Range(1.0, 1000.0),
    "feature_fraction": Range(0.5, 1.0, log=False),
}
"""Of trees that model effects, which are an order of magnitude smaller than outcomes: down to single splits."""


@dataclass(frozen=True)
class Kind:
    """A kind of learner that is searched.

    Attributes
    ----------
    make : callable
        A learner from a seed, settings and the control's name.
    usual : TreeSettings
        What it uses unless told otherwise; where the search starts.
    ranges : dict of Range
        Of the settings that are searched, beside ``extra_trees`` (splits at random or not).
    """

    make: Callable[[int, TreeSettings, str], UpliftLearner]
    usual: TreeSettings
    ranges: dict[str, Range]


KINDS: dict[str, Kind] = {
    "SLearner": Kind(SLearner, RANDOM_SPLITS, OUTCOME_RANGES),
    "FactoredBoostedLearner": Kind(
        lambda seed, trees, control: FactoredBoostedLearner(seed, settings=trees, control=control),
        COMPONENT_SETTINGS,
        EFFECT_RANGES,
    ),
    "TLearner": Kind(TLearner, TreeSettings(), OUTCOME_RANGES),
    "XLearner": Kind(
        lambda seed, trees, control: XLearner(seed, effect_settings=trees, control=control),
        EFFECT_SETTINGS,
        EFFECT_RANGES,
    ),
    "RLearner": Kind(
        lambda seed, trees, control: RLearner(seed, effect_settings=trees, control=control),
        EFFECT_SETTINGS,
        EFFECT_RANGES,
    ),
    "DRLearner": Kind(
        lambda seed, trees, control: DRLearner(seed, effect_settings=trees, control=control),
        EFFECT_SETTINGS,
        EFFECT_RANGES,
    ),
    "HurdleLearner": Kind(HurdleLearner, RANDOM_SPLITS, OUTCOME_RANGES),
    "WinsorisedLearner of SLearner": Kind(
        lambda seed, trees, control: WinsorisedLearner(SLearner(seed, trees, control), seed, control),
        RANDOM_SPLITS,
        OUTCOME_RANGES,
    ),
    "WinsorisedLearner of FactoredBoostedLearner": Kind(
        lambda seed, trees, control: WinsorisedLearner(
            FactoredBoostedLearner(seed, settings=trees, control=control), seed, control
        ),
        COMPONENT_SETTINGS,
        EFFECT_RANGES,
    ),
}
GENERAL = ("SLearner", "FactoredBoostedLearner", "TLearner", "XLearner", "RLearner", "DRLearner")
OF_REVENUE = (
    "SLearner",
    "HurdleLearner",
    "WinsorisedLearner of SLearner",
    "WinsorisedLearner of FactoredBoostedLearner",
)


def kinds_for(y: Vector) -> list[str]:
    """Kinds that suit an outcome: those for revenue where most people bring nothing, else the general ones."""
    return list(OF_REVENUE if is_zero_inflated(y) else GENERAL)


def suggest_learner(
    draws: Draws, kinds: list[str], n_rows: int, seed: int = 0, control: str = "control"
) -> UpliftLearner:
    """Draw a kind of learner and its settings.

    Parameters
    ----------
    draws : Draws
        Such as an Optuna trial. Settings are named ``<kind>.<setting>``.
    kinds : list of str
        Of `KINDS`.
    n_rows : int
        People that the learner will see: leaves that want more of them than there can be are not tried.
    seed : int
        Of the learner itself, the same for all, so that trials differ by their settings only.
    control : str
    """
    kind = draws.suggest_categorical("kind", kinds)
    found: dict[str, Any] = {"extra_trees": draws.suggest_categorical(f"{kind}.extra_trees", [False, True])}
    for name, (low, high, log) in _bounds(kind, n_rows).items():
        if isinstance(low, int) and isinstance(high, int):
            found[name] = draws.suggest_int(f"{kind}.{name}", low, high, log=log)
        else:
            found[name] = draws.suggest_float(f"{kind}.{name}", low, high, log=log)
    return KINDS[kind].make(seed, replace(KINDS[kind].usual, **found), control)


def usual_settings(kind: str, n_rows: int) -> dict[str, Any]:
    """What `suggest_learner` must draw to give the kind's usual settings, as far as they are within bounds."""
    usual = KINDS[kind].usual
    drawn = {
        f"{kind}.{name}": type(low)(np.clip(getattr(usual, name), low, high))
        for name, (low, high, _) in _bounds(kind, n_rows).items()
    }
    return {"kind": kind, f"{kind}.extra_trees": usual.extra_trees, **drawn}


def _bounds(kind: str, n_rows: int) -> dict[str, Range]:
    bounds = dict(KINDS[kind].ranges)
    low, high, log = bounds["min_data_in_leaf"]
    bounds["min_data_in_leaf"] = Range(low, max(low, min(high, n_rows // MIN_LEAVES_OF_ALL)), log)
    return bounds


class FoldScore(NamedTuple):
    """A learner's score on one fold, and on all folds up to this one."""

    of_fold: float
    so_far: float


class SearchScore:
    """Scores learners on the same people, folds and expected outcomes, so that they can be compared.

    The score is the share by which a learner's predicted differences between people lower the multi-arm R-loss below
    that of the constant effects, out of fold and at the scale that suits them best, because `UpliftStack` scales them
    too; with a minus sign where that scale is negative. It is 0 for a learner that predicts no differences. The best
    score of many learners is too high an estimate of that learner's own: it selects, and says nothing of worth.

    Parameters
    ----------
    sample : Sample
        People of the training only.
    factors : array (n actions, n factors)
        See `factor_codes`.
    seed : int
    n_folds : int

    Notes
    -----
    R-loss at the scale w: mean of (Y - m(X) - sum_a (1{A=a} - e_a(X)) (average(a) + w difference(X, a)))^2. m(x) =
    sum_a e_a(x) mu(x, a), mu from one pooled model, cross-fitted over the same folds; the averages are doubly robust
    and shrunk, the differences the learner's predictions centred within their fold: as `UpliftStack` weighs learners.
    With r the residual of the constant effects and d = sum_a (1{A=a} - e_a(X)) difference(X, a), the score is
    sign(sum r d) (sum r d)^2 / (sum d^2 sum r^2).

    References
    ----------
    Nie, Wager (2021), Quasi-oracle estimation of heterogeneous treatment effects, Biometrika 108.
    """

    def __init__(self, sample: Sample, factors: Matrix, seed: int = 0, n_folds: int = N_FOLDS) -> None:
        self.sample, self.factors, self.n_folds = sample, factors, n_folds
        self._seed = derive_seed(seed, "search")
        # the folds of `cross_fitted_outcome` for this seed
        self.fold = stratified_folds(sample.arm, sample.y, n_folds, self._seed)
        mu = cross_fitted_outcome(replace(sample, outcome=None), factors, self._seed, n_folds)
        scores = score_matrix(sample.y, sample.arm, sample.propensity, mu)
        averages = average_effects(scores, sample.propensity, factors, sample.weight)
        self._treatment = (sample.indicator - sample.propensity)[:, 1:]
        self._residual = sample.y - mean_outcome(mu, sample.propensity) - self._treatment @ averages.shrunk
        self._possible = possible_actions(sample.propensity)
        self._parts: dict[int, tuple[Sample, Rows]] = {}

    def by_fold(self, learner: UpliftLearner) -> Iterator[FoldScore]:
        """Fit a clone outside each fold in turn, and score it there; the last ``so_far`` is the learner's score."""
        sums = np.zeros(3)
        for k in range(self.n_folds):
            part, judged = self._part(k)
            effect = clone(learner).fit_sample(part, self.factors)._effect(self.sample.X[judged])
            weight, r = self.sample.weight[judged], self._residual[judged]
            # rounding must not leave the same effect for all with differences
            varies = np.ptp(effect, axis=0) > 0
            effect = np.where(varies, effect - mean_effect(effect, self._possible[judged], weight), 0.0)
            d = (self._treatment[judged] * effect).sum(axis=1)
            of_fold = np.array([weight @ (r * d), weight @ d**2, weight @ r**2])
            sums += of_fold
            yield FoldScore(_share_explained(*of_fold), _share_explained(*sums))

    def score(self, learner: UpliftLearner) -> float:
        """The learner's score over all folds."""
        return list(self.by_fold(learner))[-1].so_far

    def _part(self, k: int) -> tuple[Sample, Rows]:
        """People outside fold k, with the outcomes that learners start from, learnt from them once for all learners."""
        if k not in self._parts:
            part = self.sample.take(np.flatnonzero(self.fold != k))
            outcome = cross_fitted_outcome(part, self.factors, derive_seed(self._seed, "nuisance", k))
            self._parts[k] = replace(part, outcome=outcome), np.flatnonzero(self.fold == k)
        return self._parts[k]


def _share_explained(product: float, square: float, total: float) -> float:
    """What the best scale of a prediction explains of the residuals' squares, from sums of r d, d^2 and r^2."""
    if square == 0:
        return 0.0
    return float(np.sign(product) * product**2 / (square * total))
