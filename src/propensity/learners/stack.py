"""The default learner: several learners combined out of fold, or the average effects where people do not differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
from scipy import optimize, stats
from sklearn.base import clone

from propensity.evaluation.scores import score_matrix
from propensity.learners._typing import Flags, Matrix, State, Vector
from propensity.learners.averages import AverageEffects, average_effects, mean_effect, possible_actions
from propensity.learners.base import UpliftLearner
from propensity.learners.boosting import LARGER_RANDOM_SPLITS
from propensity.learners.crossfit import Rows, out_of_fold
from propensity.learners.factored import FactoredBoostedLearner, FactoredLinearLearner
from propensity.learners.folds import Folds, stratified_folds
from propensity.learners.heterogeneity import Heterogeneity, heterogeneity_test
from propensity.learners.nuisance import mean_outcome, outcome_model
from propensity.learners.s import SLearner
from propensity.learners.sample import Sample, derive_seed
from propensity.learners.saved import learner_from_state
from propensity.learners.zero_inflated import HurdleLearner, WinsorisedLearner, is_zero_inflated

N_GROUPS = 5
Z95 = float(stats.norm.ppf(0.975))
CENTRE_ROWS = 20_000
"""To average a learner's effects over."""
WEIGHT_SPREAD = 0.2
"""How far a learner's weight is expected to be from the others'."""


class UpliftStack(UpliftLearner):
    """Combines learners by the out-of-fold R-loss; the constant effects where no heterogeneity is supported.

    Effect of action a: average(a) + sum_j w_j (tau_j(x, a) - mean of tau_j(., a)), with the doubly robust averages
    shrunk towards each other and towards what their factors have in common (`shrink_jointly`), means taken over the
    people who could get a (as the averages are), and weights w >= 0 that minimise the multi-arm R-loss out of fold
    (`stacking_weights`), which also sets the scale of the differences between people. When a one-sided test of the
    equally weighted combination (`heterogeneity_test`) does not reject at ``heterogeneity_level``, effects are the same
    for everybody; the best guess of the differences then still orders people (`priority`), which costs nothing where
    not everybody can be reached.

    Parameters
    ----------
    random_state : int
    learners : sequence of UpliftLearner, optional
        Default: see `default_learners`.
    tuned : sequence of UpliftLearner, optional
        More learners, which were chosen by the outcomes of these same people: they get weights like the others, but are
        left out of the test, which they would pass too often.
    n_folds : int
    heterogeneity_level : float
        Chance of finding differences between people where there are none.
    max_selection_rows : int
        The test, the weights and the group intervals are made on at most so many people, drawn at random, in three
        folds; averages and the learners that carry weight always use everybody.
    control : str

    Attributes
    ----------
    heterogeneity_ : Heterogeneity
    averages_ : AverageEffects
    weights_ : dict
        Weight of each learner in the effects; all 0 where differences between people are not supported.
    out_of_fold_outcome_ : array (n, n actions)
        Outcomes of its own training people, predicted by models that did not see them (`nuisance.outcome_model`); not
        saved.
    out_of_fold_effect_ : array (n, n actions - 1)
        Effects on its own training people, predicted likewise; missing where an action had no chance, and for people
        beyond ``max_selection_rows``. Not saved.

    Notes
    -----
    R-loss: mean of (Y - m(X) - sum_a (1{A=a} - e_a(X)) tau(X, a))^2 with m(x) = sum_a e_a(x) mu(x, a).
    Predictions are centred within their fold.

    References
    ----------
    Nie, Wager (2021), Quasi-oracle estimation of heterogeneous treatment effects, Biometrika 108. Breiman (1996),
    Stacked regressions, Machine Learning 24.
    """

    def __init__(
        self,
        random_state: int = 0,
        learners: Sequence[UpliftLearner] | None = None,
        n_folds: int = 5,
        heterogeneity_level: float = 0.01,
        max_selection_rows: int = 100_000,
        control: str = "control",
        tuned: Sequence[UpliftLearner] | None = None,
    ) -> None:
        self.random_state = random_state
        self.learners = learners
        self.tuned = tuned
        self.n_folds = n_folds
        self.heterogeneity_level = heterogeneity_level
        self.max_selection_rows = max_selection_rows
        self.control = control

    def _fit(self, sample: Sample) -> None:
        if self.learners is not None:
            candidates = list(self.learners)
        else:
            candidates = default_learners(
                sample, self.factors_, derive_seed(self.random_state, "candidates"), self.control
            )
        n_tested = len(candidates)
        candidates = [clone(learner) for learner in (*candidates, *(self.tuned or ()))]
        selected = self._selection(sample)
        weights, predicted = self._select(sample.take(selected), candidates, n_tested)
        effect = np.full_like(sample.propensity[:, 1:], np.nan)
        effect[selected] = predicted
        self.out_of_fold_effect_ = effect
        counted = weights * self.heterogeneity_.supported
        self.weights_ = dict(zip(_names(candidates), map(float, counted), strict=True))
        if len(selected) < len(sample.y):
            self._score_the_rest(sample, selected)
        self._fit_members(replace(sample, outcome=self.out_of_fold_outcome_), candidates, weights)

    def _selection(self, sample: Sample) -> Rows:
        """The rows that learners are judged on: all, or a random part of very many."""
        n = len(sample.y)
        if n <= self.max_selection_rows:
            return np.arange(n)
        rng = np.random.default_rng(derive_seed(self.random_state, "selection"))
        return np.sort(rng.choice(n, self.max_selection_rows, replace=False))

    def _select(self, sample: Sample, candidates: list[UpliftLearner], n_tested: int) -> tuple[Vector, Matrix]:
        """Test for differences between people by the first learners, and weigh all (n learners,), out of fold.

        The second is the effects (n, n actions - 1) that follow, missing where an action had no chance.
        """
        # where people are very many, thirds of them are as good as fifths
        n_folds = min(self.n_folds, 3) if len(sample.y) >= self.max_selection_rows else self.n_folds
        fold = stratified_folds(sample.arm, sample.y, n_folds, derive_seed(self.random_state, "folds"))
        seed = derive_seed(self.random_state, "nuisances")
        effects, mu = out_of_fold(candidates, sample, self.factors_, fold, seed)
        scores = score_matrix(sample.y, sample.arm, sample.propensity, mu)
        self.averages_ = average_effects(scores, sample.propensity, self.factors_, sample.weight)

        possible = possible_actions(sample.propensity)
        centred = [_centre_by_fold(effect, possible, fold, sample.weight) for effect in effects]
        treatment = (sample.indicator - sample.propensity)[:, 1:]
        residual = sample.y - mean_outcome(mu, sample.propensity) - treatment @ self.averages_.shrunk
        difference = np.column_stack([(treatment * effect).sum(axis=1) for effect in centred])

        self.heterogeneity_ = heterogeneity_test(
            candidates[:n_tested],
            sample,
            self.factors_,
            fold,
            effects[:n_tested],
            residual,
            self.heterogeneity_level,
            seed,
        )
        weights = stacking_weights(difference, residual, sample.weight)
        supported = self.heterogeneity_.supported
        differences = sum(w * supported * e for w, e in zip(weights, centred, strict=True))
        predicted = np.where(possible, self.averages_.shrunk + differences, np.nan)
        self._fit_groups(scores, sample, predicted)
        self.out_of_fold_outcome_ = mu
        # people are put in some order even by learners whose differences the outcomes do not confirm
        return weights if weights.any() else np.full(len(weights), 1 / len(weights)), predicted

    def _fit_members(self, sample: Sample, candidates: list[UpliftLearner], weights: Vector) -> None:
        """Fit on all rows the learners that carry weight, and the model of outcomes."""
        self.outcome_learner_: UpliftLearner = outcome_model(derive_seed(self.random_state, "outcome"))
        self.outcome_learner_.fit_sample(sample, self.factors_)
        self.members_: list[tuple[float, Vector, UpliftLearner]] = []
        selected = self._selection(sample)
        centred_on = sample.take(selected[:: max(1, len(selected) // CENTRE_ROWS)])
        possible = possible_actions(centred_on.propensity)
        for weight, learner in zip(weights, candidates, strict=True):
            if weight > 0:
                fitted = clone(learner).fit_sample(sample, self.factors_)
                centre = mean_effect(fitted._effect(centred_on.X), possible, centred_on.weight)
                self.members_.append((float(weight), centre, fitted))

    def _score_the_rest(self, sample: Sample, selected: Rows) -> None:
        """Outcomes and averages of everybody, where learners were judged on a part only."""
        rest = np.setdiff1d(np.arange(len(sample.y)), selected)
        model = outcome_model(derive_seed(self.random_state, "rest"))
        model.fit_sample(sample.take(selected), self.factors_)
        mu = np.empty_like(sample.propensity)
        mu[selected], mu[rest] = self.out_of_fold_outcome_, model._outcome(sample.X[rest])
        self.out_of_fold_outcome_ = mu
        scores = score_matrix(sample.y, sample.arm, sample.propensity, mu)
        self.averages_ = average_effects(scores, sample.propensity, self.factors_, sample.weight)

    def _fit_groups(self, scores: Matrix, sample: Sample, predicted: Matrix) -> None:
        """Measured effect, with an interval, of groups of people with similar out-of-fold predictions."""
        self.group_edges_: list[Vector] = []
        self.group_intervals_: list[Matrix] = []
        for a in range(1, scores.shape[1]):
            possible = ~np.isnan(predicted[:, a - 1])
            effect, prediction = (scores[:, a] - scores[:, 0])[possible], predicted[possible, a - 1]
            weight = sample.weight[possible]
            edges = np.unique(np.quantile(prediction, np.linspace(0, 1, N_GROUPS + 1)[1:-1]))
            if np.ptp(prediction) == 0:
                edges = np.empty(0)
            group = np.searchsorted(edges, prediction, side="right")
            intervals = []
            for g in range(len(edges) + 1):
                members = group == g if (group == g).sum() > 1 else np.ones(len(group), dtype=bool)
                intervals.append(_mean_interval(effect[members], weight[members]))
            self.group_edges_.append(edges)
            self.group_intervals_.append(np.array(intervals))

    def _effect(self, X: Matrix) -> Matrix:
        if self.heterogeneity_.supported:
            return self._priority(X)
        return np.tile(self.averages_.shrunk, (len(X), 1))

    def _priority(self, X: Matrix) -> Matrix:
        # the effects where differences are supported, else the best guess: good for an order, as it may well be noise
        effect = np.tile(self.averages_.shrunk, (len(X), 1))
        for weight, centre, learner in self.members_:
            effect += weight * (learner._effect(X) - centre)
        return effect

    def _outcome(self, X: Matrix) -> Matrix:
        at_control = self.outcome_learner_._outcome_without_contact(X)[:, None]
        return np.hstack([at_control, at_control + self._effect(X)])

    def effect_interval(self, X: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """95 % interval of the average effect among people with similar predictions.

        It is measured with doubly robust scores on training people who were scored out of fold, in fifths by
        predicted effect, and widened where needed to hold the person's own prediction. It is not an interval for
        the effect on that one person, which no experiment can show.

        Returns
        -------
        low, high : DataFrame (n, actions without control)
            In units of y.
        """
        return self.interval_around(self.effect(X))

    def interval_around(self, effect: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """`effect_interval` for effects that were predicted already."""
        low, high = effect.to_numpy(copy=True), effect.to_numpy(copy=True)
        for column, (name, values) in enumerate(zip(effect.columns, effect.to_numpy().T, strict=True)):
            a = self.actions_.index(name) - 1
            bounds = self.group_intervals_[a][np.searchsorted(self.group_edges_[a], values, side="right")]
            low[:, column] = np.minimum(bounds[:, 0], values)
            high[:, column] = np.maximum(bounds[:, 1], values)
        return (
            pd.DataFrame(low, columns=effect.columns, index=effect.index),
            pd.DataFrame(high, columns=effect.columns, index=effect.index),
        )

    def _fitted_state(self) -> State:
        return {
            "heterogeneity": asdict(self.heterogeneity_),
            "weights": self.weights_,
            "averages": {k: v.tolist() for k, v in asdict(self.averages_).items()},
            "group_edges": [e.tolist() for e in self.group_edges_],
            "group_intervals": [i.tolist() for i in self.group_intervals_],
            "outcome_learner": self.outcome_learner_.to_state(),
            "members": [
                {"weight": weight, "centre": centre.tolist(), "learner": learner.to_state()}
                for weight, centre, learner in self.members_
            ],
        }

    def _take_state(self, state: State) -> None:
        self.heterogeneity_ = Heterogeneity(**state["heterogeneity"])
        self.weights_ = dict(state["weights"])
        self.averages_ = AverageEffects(**{k: np.asarray(v) for k, v in state["averages"].items()})
        self.group_edges_ = [np.asarray(e, dtype=float) for e in state["group_edges"]]
        self.group_intervals_ = [np.asarray(i) for i in state["group_intervals"]]
        self.outcome_learner_ = learner_from_state(state["outcome_learner"])
        self.members_ = [
            (m["weight"], np.asarray(m["centre"]), learner_from_state(m["learner"])) for m in state["members"]
        ]


def stacking_weights(difference: Matrix, residual: Vector, weight: Vector) -> Vector:
    """Weights w >= 0 of the learners, (j,), by the R-loss, drawn towards equal ones.

    Parameters
    ----------
    difference : array (n, j)
        sum_a (1{A=a} - e_a(X)) tau_j(X, a), centred.
    residual : array (n,)
        What it is to explain.
    weight : array (n,)
        How much each person counts.

    Notes
    -----
    Least squares with w_j ~ N(v, `WEIGHT_SPREAD` ^2), v the best common weight: learners agree so much that, where
    data are few, their own weights are mostly noise.
    """
    root = np.sqrt(weight / weight.mean())
    D, r = difference * root[:, None], residual * root
    together = D.sum(axis=1)
    square = float(together @ together)
    common = max(0.0, float(together @ r) / square) if square > 0 else 0.0
    strength = float(np.sqrt((r**2).mean())) / WEIGHT_SPREAD
    prior = strength * np.eye(D.shape[1])
    return optimize.nnls(np.vstack([D, prior]), np.concatenate([r, prior.sum(axis=1) * common]))[0]


def default_learners(sample: Sample, factors: Matrix, seed: int, control: str) -> list[UpliftLearner]:
    """The learners that a stack combines when none are named.

    For revenue (most people bring nothing): pooled trees on the amounts as they are, a hurdle, and trees and lines on
    winsorised amounts. Else: pooled trees, and lines and trees that add up over the parts of an action.
    """
    # an effect that hangs on a feature and two parts of the action needs deeper trees
    s = SLearner(seed, LARGER_RANDOM_SPLITS if factors.shape[1] > 1 else None, control)
    linear, boosted = FactoredLinearLearner(seed, control=control), FactoredBoostedLearner(seed, control=control)
    if is_zero_inflated(sample.y):
        winsorised = [WinsorisedLearner(learner, seed, control) for learner in (s, linear)]
        return [s, HurdleLearner(seed, control=control), *winsorised]
    return [s, linear, boosted]


def _names(learners: Sequence[UpliftLearner]) -> list[str]:
    """A name for each learner; the second of a kind is "SLearner 2"."""
    seen: Counter[str] = Counter()
    names = []
    for learner in learners:
        kind = type(learner).__name__
        seen[kind] += 1
        names.append(kind if seen[kind] == 1 else f"{kind} {seen[kind]}")
    return names


def _mean_interval(values: Vector, weight: Vector) -> tuple[float, float]:
    """95 % interval of a weighted mean."""
    mean = float(np.average(values, weights=weight))
    n = len(values)
    half = Z95 * float(np.sqrt((weight**2 * (values - mean) ** 2).sum() * n / max(n - 1, 1)) / weight.sum())
    return mean - half, mean + half


def _centre_by_fold(effect: Matrix, possible: Flags, fold: Folds, weight: Vector) -> Matrix:
    """Each fold's predictions minus their mean: a fold's mean depends on the other folds' outcomes."""
    centred = effect.copy()
    for k in np.unique(fold):
        rows = fold == k
        centred[rows] -= mean_effect(effect[rows], possible[rows], weight[rows])
    return centred
