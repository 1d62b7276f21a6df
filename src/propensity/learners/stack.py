"""The default learner: several learners combined out of fold, or the average effects where people do not differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Self

import numpy as np
import pandas as pd
from scipy import optimize, stats
from sklearn.base import clone

from propensity.evaluation.scores import score_matrix
from propensity.learners._typing import Flags, Matrix, State, Vector
from propensity.learners.averages import AverageEffects, average_effects, mean_effect, possible_actions
from propensity.learners.base import Sample, UpliftLearner, derive_seed
from propensity.learners.crossfit import out_of_fold
from propensity.learners.dr import DRLearner
from propensity.learners.folds import Folds, stratified_folds
from propensity.learners.heterogeneity import Heterogeneity, heterogeneity_test
from propensity.learners.s import SLearner

N_GROUPS = 5
Z95 = float(stats.norm.ppf(0.975))


class UpliftStack(UpliftLearner):
    """Combines learners by the out-of-fold R-loss; the constant effects where no heterogeneity is supported.

    Effect of action a: average(a) + sum_j w_j (tau_j(x, a) - mean of tau_j(., a)), with the doubly robust averages
    shrunk towards each other, means taken over the people who could get a (as the averages are), and weights w >= 0
    that minimise the multi-arm R-loss out of fold. When a one-sided test of the equally weighted combination
    (`heterogeneity_test`) does not reject at ``heterogeneity_level``, all weights are 0.

    Parameters
    ----------
    random_state : int
    learners : sequence of UpliftLearner, optional
        Default: SLearner and DRLearner. The first one's outcome model makes the doubly robust scores.
    n_folds : int
    heterogeneity_level : float
        Chance of finding differences between people where there are none.
    control : str

    Attributes
    ----------
    heterogeneity_ : Heterogeneity
    averages_ : AverageEffects
    weights_ : dict
        Weight of each learner; all 0 where differences between people are not supported.
    out_of_fold_outcome_ : array (n, n actions)
        Outcomes predicted by the first learner for its own training people, out of fold; not saved.

    Notes
    -----
    R-loss: mean of (Y - m(X) - sum_a (1{A=a} - e_a(X)) tau(X, a))^2 with m(x) = sum_a e_a(x) mu(x, a).
    Predictions are centred within their fold.

    References
    ----------
    Nie, Wager (2021), Quasi-oracle estimation of heterogeneous treatment effects, Biometrika 108.
    """

    def __init__(
        self,
        random_state: int = 0,
        learners: Sequence[UpliftLearner] | None = None,
        n_folds: int = 5,
        heterogeneity_level: float = 0.01,
        control: str = "control",
    ) -> None:
        self.random_state = random_state
        self.learners = learners
        self.n_folds = n_folds
        self.heterogeneity_level = heterogeneity_level
        self.control = control

    def _candidates(self) -> list[UpliftLearner]:
        if self.learners is not None:
            return [clone(learner) for learner in self.learners]
        seed = derive_seed(self.random_state, "candidates")
        return [SLearner(seed, control=self.control), DRLearner(seed, control=self.control)]

    def _fit(self, sample: Sample) -> None:
        fold = stratified_folds(sample.arm, sample.y, self.n_folds, derive_seed(self.random_state, "folds"))
        candidates = self._candidates()
        predictions = [out_of_fold(learner, sample, self.factors_, fold) for learner in candidates]
        mu = self.out_of_fold_outcome_ = predictions[0][1]
        scores = score_matrix(sample.y, sample.arm, sample.propensity, mu)
        self.averages_ = average_effects(scores, sample.propensity)

        possible = possible_actions(sample.propensity)
        centred = [_centre_by_fold(effect, possible, fold) for effect, _ in predictions]
        treatment = (sample.indicator - sample.propensity)[:, 1:]
        mean_outcome = (sample.propensity * mu).sum(axis=1)
        residual = sample.y - mean_outcome - treatment @ self.averages_.shrunk
        difference = np.column_stack([(treatment * effect).sum(axis=1) for effect in centred])

        self.heterogeneity_ = heterogeneity_test(
            candidates, sample, self.factors_, fold, residual, self.heterogeneity_level
        )
        supported = self.heterogeneity_.supported
        weights = optimize.nnls(difference, residual)[0] if supported else np.zeros(len(candidates))
        self.weights_ = {type(c).__name__: float(w) for c, w in zip(candidates, weights, strict=True)}
        self._fit_groups(scores, sample.propensity, sum(w * e for w, e in zip(weights, centred, strict=True)))
        self._fit_members(sample, candidates, weights)

    def _fit_members(self, sample: Sample, candidates: list[UpliftLearner], weights: Vector) -> None:
        """Fit on all rows the learners that carry weight, and the one whose outcomes are used."""
        self.outcome_learner_ = candidates[0].fit_sample(sample, self.factors_)
        self.members_: list[tuple[float, Vector, UpliftLearner]] = []
        for position, (learner, weight) in enumerate(zip(candidates, weights, strict=True)):
            if weight > 0:
                fitted = learner if position == 0 else learner.fit_sample(sample, self.factors_)
                centre = mean_effect(fitted._effect(sample.X), possible_actions(sample.propensity))
                self.members_.append((float(weight), centre, fitted))

    def _fit_groups(self, scores: Matrix, propensity: Matrix, difference: Matrix | float) -> None:
        """Measured effect, with an interval, of groups of people with similar out-of-fold predictions."""
        n, n_actions = scores.shape
        can = possible_actions(propensity)
        predicted = self.averages_.shrunk + np.broadcast_to(difference, (n, n_actions - 1))
        self.group_edges_: list[Vector] = []
        self.group_intervals_: list[Matrix] = []
        for a in range(1, n_actions):
            possible = can[:, a - 1]
            effect, prediction = (scores[:, a] - scores[:, 0])[possible], predicted[possible, a - 1]
            edges = np.unique(np.quantile(prediction, np.linspace(0, 1, N_GROUPS + 1)[1:-1]))
            if np.ptp(prediction) == 0:
                edges = np.empty(0)
            group = np.searchsorted(edges, prediction, side="right")
            intervals = []
            for g in range(len(edges) + 1):
                members = effect[group == g] if (group == g).sum() > 1 else effect
                half = Z95 * members.std(ddof=1) / np.sqrt(len(members))
                intervals.append((members.mean() - half, members.mean() + half))
            self.group_edges_.append(edges)
            self.group_intervals_.append(np.array(intervals))

    def _effect(self, X: Matrix) -> Matrix:
        effect = np.tile(self.averages_.shrunk, (len(X), 1))
        for weight, centre, learner in self.members_:
            effect += weight * (learner._effect(X) - centre)
        return effect

    def _outcome(self, X: Matrix) -> Matrix:
        at_control = self.outcome_learner_._outcome(X)[:, :1]
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
        low, high = effect.copy(), effect.copy()
        for a, name in enumerate(effect.columns):
            group = np.searchsorted(self.group_edges_[a], effect[name].to_numpy(), side="right")
            bounds = self.group_intervals_[a][group]
            low[name] = np.minimum(bounds[:, 0], effect[name])
            high[name] = np.maximum(bounds[:, 1], effect[name])
        return low, high

    def to_state(self) -> State:
        """The fitted learner as JSON-ready values and Boosters."""
        return {
            "learner": "UpliftStack",
            **self._common_state(),
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

    def load_state(self, state: State) -> Self:
        """Take over a state that `to_state` wrote."""
        self._load_common(state)
        self.heterogeneity_ = Heterogeneity(**state["heterogeneity"])
        self.weights_ = dict(state["weights"])
        self.averages_ = AverageEffects(**{k: np.asarray(v) for k, v in state["averages"].items()})
        self.group_edges_ = [np.asarray(e, dtype=float) for e in state["group_edges"]]
        self.group_intervals_ = [np.asarray(i) for i in state["group_intervals"]]
        self.outcome_learner_ = learner_from_state(state["outcome_learner"])
        self.members_ = [
            (m["weight"], np.asarray(m["centre"]), learner_from_state(m["learner"])) for m in state["members"]
        ]
        return self


def learner_from_state(state: State) -> UpliftLearner:
    """The fitted learner that a state describes."""
    kinds: dict[str, type[UpliftLearner]] = {k.__name__: k for k in (SLearner, DRLearner, UpliftStack)}
    return kinds[state["learner"]]().load_state(state)


def _centre_by_fold(effect: Matrix, possible: Flags, fold: Folds) -> Matrix:
    """Each fold's predictions minus their mean: a fold's mean depends on the other folds' outcomes."""
    centred = effect.copy()
    for k in np.unique(fold):
        centred[fold == k] -= mean_effect(effect[fold == k], possible[fold == k])
    return centred
