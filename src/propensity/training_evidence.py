"""What training found: which policy the training people support, and the effects that were measured of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from propensity.contract import CONTROL
from propensity.deciding import PolicyMode
from propensity.evaluation.expected import MeasuredEffects
from propensity.evaluation.scores import score_matrix
from propensity.learners.averages import average_effects
from propensity.playbook import Playbook
from propensity.policy import best_column, net_value, profit

if TYPE_CHECKING:
    from propensity.model import DecisionModel


@dataclass(frozen=True)
class TrainingEvidence:
    """What training found, and the policy that it supports.

    Attributes
    ----------
    supported_mode : {"per_person", "one_action", "nobody"}
    heterogeneity_t, heterogeneity_p : float
        Of the test that effects differ between people.
    best_action : str
        The action of greatest average net value.
    average_net_value, average_net_value_error : dict
        Each action's measured average net value a person and its standard error, in currency.
    shrunk_net_value : dict
        The same, shrunk towards each other and what their factors have in common; what a policy for everybody chooses
        by.
    average_outcomes : dict
        Of ``reactivated``, ``revenue`` and ``unsubscribed``: the average under each action with control.
    """

    supported_mode: PolicyMode
    heterogeneity_t: float
    heterogeneity_p: float
    best_action: str
    average_net_value: dict[str, float]
    average_net_value_error: dict[str, float]
    shrunk_net_value: dict[str, float]
    average_outcomes: dict[str, dict[str, float]]

    def under(self, before: Playbook, playbook: Playbook, actions: list[str]) -> TrainingEvidence:
        """What would have been found for some of the actions (control first) with the money of another playbook."""
        outcomes = {name: {a: found[a] for a in actions} for name, found in self.average_outcomes.items()}
        money, chances, leaving = (
            np.array([list(outcomes[name].values())]) for name in ("revenue", "reactivated", "unsubscribed")
        )
        old, new = (profit(money, chances, leaving, book, actions)[0] for book in (before, playbook))
        change = dict(zip(actions[1:], ((new - new[0]) - (old - old[0]))[1:].tolist(), strict=True))
        shrunk = {a: self.shrunk_net_value[a] + change[a] for a in change}
        return replace(
            self,
            best_action=max(shrunk, key=lambda a: shrunk[a], default=CONTROL),
            average_net_value={a: self.average_net_value[a] + change[a] for a in change},
            average_net_value_error={a: self.average_net_value_error[a] for a in change},
            shrunk_net_value=shrunk,
            average_outcomes=outcomes,
        )


def weigh_evidence(
    model: DecisionModel, frame: pd.DataFrame, propensity: pd.DataFrame, outcome: np.ndarray, weight: np.ndarray
) -> TrainingEvidence:
    """Which policy the training people support, judged in out-of-fold doubly robust scores.

    ``weight`` (n,): how much each decision counts, the same as in learning effects.
    """
    arm = pd.Index(model.actions).get_indexer(pd.Index(frame["action"]))
    chances = propensity.to_numpy()
    reactivated = score_matrix(frame["reactivated"].to_numpy(dtype=float), arm, chances, outcome)
    if model.revenue is None:
        revenue = model.amount.mean_ * model.amount.factors_ * reactivated
    else:
        revenue = score_matrix(frame["revenue"].to_numpy(dtype=float), arm, chances, model.revenue.out_of_fold_outcome_)
    unsubscribed = np.tile(np.r_[0.0, model.unsubscribe_effect], (len(frame), 1))
    profits = profit(revenue, reactivated, unsubscribed, model.playbook, model.actions)
    outcomes = {"reactivated": reactivated, "revenue": revenue, "unsubscribed": unsubscribed}
    averages = average_effects(profits, chances, model.reactivation.factors_, weight)
    # one-sided 2.5 % over all actions together (Bonferroni)
    threshold = stats.norm.isf(0.025 / len(averages.measured))
    pays = bool((averages.measured > threshold * averages.standard_error).any())
    tests = [stack.heterogeneity_ for stack in (model.reactivation, model.revenue) if stack is not None]
    strongest = min(tests, key=lambda t: t.p_value)

    def by_action(values: np.ndarray) -> dict[str, float]:
        return dict(zip(model.actions[1:], map(float, values), strict=True))

    mode: PolicyMode = "per_person" if strongest.supported else ("one_action" if pays else "nobody")
    return TrainingEvidence(
        supported_mode=mode,
        heterogeneity_t=strongest.t_statistic,
        heterogeneity_p=strongest.p_value,
        best_action=model.actions[1:][int(averages.shrunk.argmax())],
        average_net_value=by_action(averages.measured),
        average_net_value_error=by_action(averages.standard_error),
        shrunk_net_value=by_action(averages.shrunk),
        average_outcomes={
            name: dict(zip(model.actions, np.average(found, axis=0, weights=weight).tolist(), strict=True))
            for name, found in outcomes.items()
        },
    )


def measure_effects(
    model: DecisionModel, frame: pd.DataFrame, propensity: pd.DataFrame, encoded: np.ndarray, weight: np.ndarray
) -> dict[str, MeasuredEffects]:
    """Measured effects of the training people over their out-of-fold predictions."""
    arm = pd.Index(model.actions).get_indexer(pd.Index(frame["action"]))
    outcome, effect = model.reactivation.out_of_fold_outcome_, model.reactivation.out_of_fold_effect_
    reactivated = score_matrix(frame["reactivated"].to_numpy(dtype=float), arm, propensity.to_numpy(), outcome)
    amounts = model.amount.predict(encoded)
    if model.revenue is None:
        expected = model.amount.mean_ * model.amount.factors_ * outcome
        more = amounts[:, 1:] * (outcome[:, :1] + effect) - amounts[:, :1] * outcome[:, :1]
    else:
        expected, more = model.revenue.out_of_fold_outcome_, model.revenue.out_of_fold_effect_
    revenue = score_matrix(frame["revenue"].to_numpy(dtype=float), arm, propensity.to_numpy(), expected)
    unsubscribed = np.tile(np.r_[0.0, model.unsubscribe_effect], (len(frame), 1))
    at_control, back = outcome[:, :1], outcome[:, :1] + np.nan_to_num(effect)
    money = amounts * np.hstack([at_control, back]) if model.revenue is None else expected
    profits = profit(money, np.hstack([at_control, back]), unsubscribed, model.playbook, model.actions)
    best = best_column(
        net_value(profits, model.actions, frame.index),
        pd.DataFrame(~np.isnan(effect), columns=model.actions[1:], index=frame.index),
    )
    return {
        "reactivated": MeasuredEffects.fit(reactivated, effect, best, weight),
        "revenue": MeasuredEffects.fit(revenue, more, best, weight),
    }
