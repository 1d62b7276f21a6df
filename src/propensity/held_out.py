"""People whom a model has not seen: as it predicts them, and as they scored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.evaluation import Estimate, dr_scores, policy_value
from propensity.evaluation.expected import MeasuredEffects
from propensity.frame import all_actions, days_old, logged_propensity
from propensity.model import DecisionModel, Predictions
from propensity.playbook import Playbook
from propensity.policy import best_column, contact_costs, profit

CURRENCIES = ("reactivations", "revenue", "net_value", "expected_value")
"""What policies are compared in; fields of `PolicyResult`."""


@dataclass(frozen=True)
class Scored:
    """Held-out people's scores under each action, in each of the `CURRENCIES`, and the errors and weights they have.

    Attributes
    ----------
    frame, allowed, scores
        See `HeldOutPeople`.
    costs : Series (actions with control)
        Of sending, in currency.
    variances : dict of DataFrame
        Of the scores, by `score_variances`.
    weight : array (n,)
        How much each of them counts.
    """

    frame: pd.DataFrame
    allowed: pd.DataFrame
    scores: dict[str, pd.DataFrame]
    costs: pd.Series
    variances: dict[str, pd.DataFrame]
    weight: np.ndarray

    def value(self, currency: str, policy: np.ndarray | pd.DataFrame, baseline: np.ndarray | pd.DataFrame) -> Estimate:
        """What a policy is worth above another, per person; see `evaluation.policy_value`."""
        scores, variance = self.scores[currency], self.variances[currency]
        return policy_value(scores, policy, baseline, weight=self.weight, variance=variance)

    def average_effect(self, currency: str, action: str, who: np.ndarray) -> Estimate:
        """What an action does above no contact, per person, over some of them, (n,) of bool: two at least."""
        return policy_value(
            self.scores[currency][who],
            np.full(who.sum(), action, dtype=object),
            np.full(who.sum(), CONTROL, dtype=object),
            weight=self.weight[who],
            variance=self.variances[currency][who],
        )


@dataclass(frozen=True)
class HeldOutPeople:
    """People whom a model has not seen, as it predicts them and as they scored: what `assess` judges by.

    Attributes
    ----------
    frame : DataFrame (n, ...)
        Rows of the training frame: people who were served an action that the model knows.
    propensity : DataFrame (n, actions with control)
        Logged chances.
    predictions : Predictions
    allowed : DataFrame (n, actions without control) of bool
        What they may get and had a chance of.
    scored : Scored
        Doubly robust scores in each of the `CURRENCIES`, per person. People count as their decisions do in training
        by their age (`DecisionModel.recency`): where effects changed, those of before the change say little of now.
    reachable : array (n,) of bool
        Who may get any action.
    predicted_gain, observed_gain : array (n reachable,)
        Of each one's most effective allowed action, in reactivations: what AUTOC, QINI and the effect's calibration
        are of.
    n_unknown : int
        People who were left out because they were served an action that the model does not know.
    """

    frame: pd.DataFrame
    propensity: pd.DataFrame
    predictions: Predictions
    allowed: pd.DataFrame
    scored: Scored
    reachable: np.ndarray
    predicted_gain: np.ndarray
    observed_gain: np.ndarray
    n_unknown: int

    @property
    def scores(self) -> dict[str, pd.DataFrame]:
        """Of `scored`."""
        return self.scored.scores

    @property
    def weight(self) -> np.ndarray:
        """How much each of them counts, (n,)."""
        return self.scored.weight


def held_out_people(model: DecisionModel, frame: pd.DataFrame) -> HeldOutPeople:
    """Predict and score people of a training frame whom a model has not seen."""
    known, propensity = _known_actions(frame, model.actions)
    predictions = model.predict(known, known["decided_at"])
    held_out = _score(model, known, propensity, predictions)
    predicted, observed = _best_gains(predictions.effect, held_out)
    return HeldOutPeople(
        frame=known,
        propensity=propensity,
        predictions=predictions,
        allowed=held_out.allowed,
        scored=held_out,
        reachable=held_out.allowed.any(axis=1).to_numpy(),
        predicted_gain=predicted,
        observed_gain=observed,
        n_unknown=len(frame) - len(known),
    )


def measured_effects(people: HeldOutPeople) -> dict[str, MeasuredEffects]:
    """What contact did to them by what was predicted: `DecisionModel.measured_`, on people whom no fit saw."""
    predicted = {"reactivated": people.predictions.effect, "revenue": people.predictions.extra_revenue}
    best = best_column(people.predictions.net_value, people.allowed)
    found = {}
    for name, currency in (("reactivated", "reactivations"), ("revenue", "revenue")):
        scores, variance = (tables[currency].to_numpy() for tables in (people.scores, people.scored.variances))
        effect = predicted[name].where(people.allowed).to_numpy()
        found[name] = MeasuredEffects.fit(scores, effect, best, people.weight, variance)
    return found


def _known_actions(frame: pd.DataFrame, actions: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The people who were served one of the actions, and the chances of these, given that it was one of them.

    A champion may be older than an action that these people were served.
    """
    known = frame["action"].isin(actions).to_numpy()
    labels = all_actions(list({*frame["action"], *actions} - {CONTROL}))
    propensity = logged_propensity(frame, labels).loc[known, actions].reset_index(drop=True)
    if not known.all():
        propensity = propensity.div(propensity.sum(axis=1), axis=0)
    return frame[known].reset_index(drop=True), propensity


def _best_gains(effect: pd.DataFrame, held_out: Scored) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and observed gain (score against control's) of each person's most effective allowed action.

    Only people who have one: where an action had no chance its score is the prediction itself and would confirm it.
    """
    reachable = held_out.allowed.any(axis=1).to_numpy()
    predicted = np.where(held_out.allowed[effect.columns].to_numpy(), effect.to_numpy(), -np.inf)[reachable]
    scores = held_out.scores["reactivations"][reachable]
    rows, best = np.arange(len(predicted)), predicted.argmax(axis=1)
    observed = scores[effect.columns].to_numpy()[rows, best] - scores[CONTROL].to_numpy()
    return predicted[rows, best], observed


def _score(model: DecisionModel, frame: pd.DataFrame, propensity: pd.DataFrame, predictions: Predictions) -> Scored:
    allowed = model.eligible(frame, frame["decided_at"]).allowed
    # what had no chance of being served cannot be judged on these people
    allowed &= propensity[allowed.columns].to_numpy() > 0
    expected = expectations(model, frame, predictions)
    scores = outcome_scores(frame, propensity, expected, model.playbook)
    return Scored(
        frame=frame,
        allowed=allowed,
        scores={currency: scores[currency] for currency in CURRENCIES},
        costs=pd.Series(contact_costs(model.playbook, model.actions), index=model.actions),
        variances=score_variances(propensity, expected, model.playbook),
        weight=model.recency.weights(days_old(frame)),
    )


def expectations(model: DecisionModel, frame: pd.DataFrame, predictions: Predictions) -> dict[str, pd.DataFrame]:
    """What `outcome_scores` starts from: the model's ``reactivated``, ``revenue``, ``unsubscribed`` and ``amount``.

    ``amount`` is what a person brings in who comes back; each is a DataFrame (n, actions with control).
    """
    encoded = model._encode(frame, frame["decided_at"])
    return {
        "reactivated": predictions.reactivated,
        "revenue": predictions.revenue,
        "unsubscribed": predictions.unsubscribed,
        "amount": pd.DataFrame(model.amount.predict(encoded), columns=model.actions, index=frame.index),
    }


def score_variances(
    propensity: pd.DataFrame, expected: dict[str, pd.DataFrame], playbook: Playbook
) -> dict[str, pd.DataFrame]:
    """Variances (n, actions with control) that `outcome_scores` have at least where ``expected`` is right.

    Parameters
    ----------
    propensity, expected, playbook
        See `outcome_scores`.

    Notes
    -----
    Of somebody who comes back with chance m, which is worth s: m (1 - m) s^2, and as much of opting out, over the
    chance of the action. That amounts vary besides is left out: their squares rest on the few largest. Where an action
    had no chance its score is a prediction, without variance.
    """
    actions = list(propensity.columns)
    returns = expected["reactivated"][actions].to_numpy().clip(0, 1)
    leaves = expected["unsubscribed"][actions].to_numpy().clip(0, 1)
    amount = expected["amount"][actions].to_numpy()
    chances = propensity.to_numpy()
    inverse = np.divide(1.0, chances, out=np.zeros_like(chances), where=chances > 0)
    nothing = np.zeros_like(returns)
    of_return = profit(amount, nothing + 1, nothing, playbook, actions) - profit(
        nothing, nothing, nothing, playbook, actions
    )

    def table(worth: np.ndarray | float, harm: float = 0.0) -> pd.DataFrame:
        varies = returns * (1 - returns) * worth**2 + leaves * (1 - leaves) * harm**2
        return pd.DataFrame(inverse * varies, columns=actions, index=propensity.index)

    value = table(of_return, playbook.value.unsubscribe_cost_currency)
    return {
        "reactivations": table(1.0),
        "revenue": table(amount),
        "net_value": value,
        "expected_value": value,
        "unsubscribed": table(0.0, 1.0),
    }


def outcome_scores(
    frame: pd.DataFrame, propensity: pd.DataFrame, expected: dict[str, pd.DataFrame], playbook: Playbook
) -> dict[str, pd.DataFrame]:
    """Doubly robust scores (n, actions with control) of people, in each of the `CURRENCIES` and of ``unsubscribed``.

    Parameters
    ----------
    frame : DataFrame (n, ...)
        Training frame of people that no model behind ``expected`` has seen.
    propensity : DataFrame (n, actions with control)
    expected : dict of DataFrame
        As from `expectations`.
    playbook : Playbook
        Turns outcomes into money.
    """
    actions = list(propensity.columns)
    reactivated, revenue, unsubscribed = (
        dr_scores(frame[name], frame["action"], propensity, expected[name])
        for name in ("reactivated", "revenue", "unsubscribed")
    )
    through_return = playbook.value.revenue_effect == "through_reactivation"

    def value(money: pd.DataFrame) -> pd.DataFrame:
        parts = (money.to_numpy(), reactivated.to_numpy(), unsubscribed.to_numpy())
        return pd.DataFrame(profit(*parts, playbook, actions), columns=actions, index=frame.index)

    return {
        "reactivations": reactivated,
        "revenue": revenue,
        "net_value": value(revenue),
        "expected_value": value(reactivated * expected["amount"] if through_return else revenue),
        "unsubscribed": unsubscribed,
    }
