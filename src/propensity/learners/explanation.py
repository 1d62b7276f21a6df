"""Which features drive a predicted effect: over all people, and for one person in a few short codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import lightgbm as lgb
import numpy as np
import pandas as pd

from propensity.learners._typing import Matrix, State, Vector
from propensity.learners.boosting import TreeSettings, fit_booster, predict_booster
from propensity.learners.sample import FrameEncoder, derive_seed
from propensity.threads import threads_for

MIN_FIDELITY = 0.7
"""Below this R^2 the distilled effect is too far from the predicted one to give a person's reasons by it."""
MIN_SHARE = 0.1
"""The least part of a person's contributions, in absolute value, that makes a reason."""
MIN_DISTANCE = 0.1
"""The least distance from the average effect that calls for reasons, in standard deviations of the effect."""
MAX_REASONS = 2
MAX_FIT_ROWS, MAX_CHECK_ROWS = 10_000, 1_000
MORE, LESS = "more_because", "less_because"
LEVELS = ("high", "low", "typical", "unknown")
"""What a code says of a feature, beside the value itself."""
OVERALL = "overall"
IMPORTANCE_COLUMNS = ("feature", "action", "mean_absolute", "share", "fidelity")

DISTILLING = TreeSettings(
    n_trees=150,
    num_leaves=4,
    learning_rate=0.3,
    min_data_in_leaf=20,
    feature_fraction=1.0,  # a feature may not stand in for another that was left out of a tree
    lambda_l2=1.0,
    cat_smooth=10.0,
)
"""Predicted effects have no noise, so trees may learn fast; leaves are few because they set what a reason costs."""


class EffectExplainer:
    """Shapley values of predicted effects, read from a small model of each action's effect.

    A learner's effect may be a difference of chances and a sum over learners of different kinds, which no exact method
    takes apart. So for each action boosted trees are fitted to the *predicted effect* (not to the outcome: a feature
    that moves only the outcome explains nothing here), and their exact Shapley values are read. The contributions of a
    person sum to the distilled effect minus its mean over the people that it was fitted on. They tell what the
    prediction rests on, not what would happen if a feature were changed.

    Parameters
    ----------
    random_state : int

    Attributes
    ----------
    actions_ : list of str
        Without control.
    fidelity_ : dict
        R^2 of each distilled effect against the predicted one, on people that it was not fitted on; 0 where the
        predicted effect does not differ between people.
    mean_absolute_ : array (n actions, d)
        Mean absolute contribution of each feature among these people, in units of the outcome.

    References
    ----------
    Lundberg et al. (2020), From local explanations to global understanding with explainable AI for trees, Nature
    Machine Intelligence 2.
    """

    def __init__(self, random_state: int = 0) -> None:
        self.random_state = random_state
        self._averages: dict[str, float] = {}

    def fit(
        self, X: Matrix, predict_effect: Callable[[Matrix], Matrix], actions: list[str], encoder: FrameEncoder
    ) -> Self:
        """Distil each action's effect.

        Parameters
        ----------
        X : array (n, d)
            Encoded features of training people; at most `MAX_FIT_ROWS` + `MAX_CHECK_ROWS` of them are used.
        predict_effect : callable
            From features (m, d) to effects (m, n actions), control left out.
        actions : list of str
            Without control.
        encoder : FrameEncoder
            What encoded ``X``: names of features and categories.
        """
        order = np.random.default_rng(derive_seed(self.random_state, "rows")).permutation(len(X))
        n_check = min(MAX_CHECK_ROWS, len(X) // 5)
        checked, learnt = X[order[:n_check]], X[order[n_check:][:MAX_FIT_ROWS]]
        predicted, expected = predict_effect(checked), predict_effect(learnt)
        self.actions_ = list(actions)
        self.encoder_ = encoder
        self._averages = {}
        self._describe_columns(learnt)
        self._distil(learnt, expected)
        self.fidelity_ = {}
        self.mean_absolute_ = np.empty((len(actions), X.shape[1]))
        for a, action in enumerate(actions):
            mean, spread, booster = self._distilled[a]
            self.fidelity_[action] = _r_squared(predicted[:, a], mean + spread * predict_booster(booster, checked))
            self.mean_absolute_[a] = np.abs(self.contributions(checked, action)[0]).mean(axis=0)
        return self

    def _describe_columns(self, X: Matrix) -> None:
        """What is usual of each feature, to say high and low by."""
        known = [column[~np.isnan(column)] for column in X.T]
        self._median = [float(np.median(values)) if len(values) else 0.0 for values in known]
        self._two_valued = [len(np.unique(values)) <= 2 for values in known]

    def _distil(self, X: Matrix, effect: Matrix) -> None:
        self._distilled: list[tuple[float, float, lgb.Booster]] = []
        for a, action in enumerate(self.actions_):
            # equal numbers can have a standard deviation above 0, by rounding
            differs = np.ptp(effect[:, a]) > 0
            mean, spread = float(effect[:, a].mean()), float(effect[:, a].std()) if differs else 0.0
            # in units of its own spread: trees work in single precision, and effects may be very small
            target = (effect[:, a] - mean) / (spread or 1.0)
            booster = fit_booster(
                X,
                target,
                binary=False,
                categorical=self.encoder_.categorical,
                settings=DISTILLING,
                seed=derive_seed(self.random_state, action),
            )
            self._distilled.append((mean, spread, booster))

    def contributions(self, X: Matrix, action: str) -> tuple[Matrix, float]:
        """What each feature adds to the effect of an action.

        Returns
        -------
        contributions : array (n, d)
            In units of the outcome.
        average : float
            Mean distilled effect; a person's contributions and this sum to their distilled effect.

        Raises
        ------
        ValueError
            ``action`` was not learnt.
        """
        if action not in self.actions_:
            raise ValueError(f"action: expected one of {', '.join(self.actions_)}, found {action!r}")
        mean, spread, booster = self._distilled[self.actions_.index(action)]
        values = np.asarray(
            booster.predict(np.ascontiguousarray(X), pred_contrib=True, num_threads=threads_for(len(X))), dtype=float
        )
        return spread * values[:, :-1], mean + spread * float(values[0, -1])

    def _average(self, action: str) -> float:
        """Mean distilled effect of an action; `contributions` says the same of anybody."""
        if action not in self._averages:
            self._averages[action] = self.contributions(np.full((1, len(self.encoder_.columns)), np.nan), action)[1]
        return self._averages[action]

    def reasons(self, X: Matrix, effect: Matrix, action: np.ndarray) -> list[list[str]]:
        """Why the effect on each person is greater or smaller than on the average person.

        Parameters
        ----------
        X : array (n, d)
        effect : array (n, n actions)
            Predicted effects, as `fit` took them.
        action : array of str (n,)
            Any other label than those learnt (control, for one) has no reasons.

        Returns
        -------
        list of list of str (n,)
            At most `MAX_REASONS` codes a person, the strongest first: ``more_because:<fact>`` where the effect is
            above the average, ``less_because:<fact>`` where it is below. A fact is in lower case, spaces as ``_``:

            - ``<feature>_high``, ``<feature>_low``, ``<feature>_typical``: a number above, below or at the median of
              training people; ``<feature>=<value>`` where training people had two values only, such as 0 and 1;
            - ``<feature>=<category>``;
            - ``<feature>_unknown``: missing, or a category that training did not have.

        Notes
        -----
        Only features that pull in the person's own direction and carry at least `MIN_SHARE` of the absolute
        contributions count. There are none where the effect is about average (`MIN_DISTANCE`), where the action's
        fidelity is below `MIN_FIDELITY`, or where the distilled effect lies on the other side of the average than the
        predicted one.
        """
        found: list[list[str]] = [[] for _ in range(len(X))]
        for a, name in enumerate(self.actions_):
            rows = np.flatnonzero(action == name)
            if len(rows) == 0 or self.fidelity_[name] < MIN_FIDELITY:
                continue
            average = self._average(name)
            rows = rows[np.abs(effect[rows, a] - average) > MIN_DISTANCE * self._distilled[a][1]]
            if len(rows) == 0:
                continue
            parts, _ = self.contributions(X[rows], name)
            direction = np.sign(effect[rows, a] - average)
            agrees = np.sign(parts.sum(axis=1)) == direction
            pull = parts * direction[:, None]
            least = np.maximum(MIN_SHARE * np.abs(parts).sum(axis=1), np.finfo(float).tiny)
            strongest = np.argsort(-pull, axis=1, kind="stable")[:, :MAX_REASONS]
            for k in np.flatnonzero(agrees):
                word = MORE if direction[k] > 0 else LESS
                facts = [self._fact(j, X[rows[k], j]) for j in strongest[k] if pull[k, j] >= least[k]]
                found[rows[k]] = [f"{word}:{fact}" for fact in facts]
        return found

    def _fact(self, column: int, value: float) -> str:
        """A feature and what is known of it, in words; see `reasons`."""
        name = self.encoder_.columns[column]
        if np.isnan(value):
            fact = f"{name}_unknown"
        elif name in self.encoder_.categories:
            fact = f"{name}={self.encoder_.categories[name][int(value)]}"
        elif self._two_valued[column]:
            fact = f"{name}={value:g}"
        else:
            median = self._median[column]
            fact = f"{name}_{'high' if value > median else 'low' if value < median else 'typical'}"
        return "_".join(fact.lower().split())

    def importance(self) -> pd.DataFrame:
        """What drives effects, over all people.

        Returns
        -------
        DataFrame ((1 + n actions) x d, 5)
            `IMPORTANCE_COLUMNS`: ``feature``; ``action``, or "overall" for the mean over all actions;
            ``mean_absolute`` contribution in units of the outcome; its ``share`` of all features'; ``fidelity`` of the
            action, overall their mean. Overall first, the most important feature first.
        """
        tables = {OVERALL: (self.mean_absolute_.mean(axis=0), float(np.mean(list(self.fidelity_.values()))))}
        tables |= {a: (self.mean_absolute_[i], self.fidelity_[a]) for i, a in enumerate(self.actions_)}
        parts = []
        for action, (sizes, fidelity) in tables.items():
            shares = sizes / (sizes.sum() or 1.0)
            columns = (self.encoder_.columns, action, sizes, shares, fidelity)
            part = pd.DataFrame(dict(zip(IMPORTANCE_COLUMNS, columns, strict=True)))
            parts.append(part.sort_values("mean_absolute", ascending=False, kind="stable"))
        return pd.concat(parts, ignore_index=True)

    def to_state(self) -> State:
        """The fitted explainer as JSON-ready values and Boosters."""
        return {
            "random_state": self.random_state,
            "encoder": self.encoder_.to_state(),
            "median": self._median,
            "two_valued": self._two_valued,
            "mean_absolute": self.mean_absolute_.tolist(),
            "effects": [
                {"action": a, "mean": mean, "spread": spread, "booster": booster, "fidelity": self.fidelity_[a]}
                for a, (mean, spread, booster) in zip(self.actions_, self._distilled, strict=True)
            ],
        }

    def load_state(self, state: State) -> Self:
        """Take over a state that `to_state` wrote."""
        self.random_state = state["random_state"]
        self._averages = {}
        self.encoder_ = FrameEncoder.from_state(state["encoder"])
        self._median, self._two_valued = list(state["median"]), list(state["two_valued"])
        self.mean_absolute_ = np.asarray(state["mean_absolute"], dtype=float)
        self.actions_ = [e["action"] for e in state["effects"]]
        self._distilled = [(e["mean"], e["spread"], e["booster"]) for e in state["effects"]]
        self.fidelity_ = {e["action"]: e["fidelity"] for e in state["effects"]}
        return self


def _r_squared(truth: Vector, told: Vector) -> float:
    """Share of the variance of ``truth`` that ``told`` explains; 0 where there is none."""
    if np.ptp(truth) == 0:
        return 0.0
    return 1.0 - float(((truth - told) ** 2).mean() / truth.var())
