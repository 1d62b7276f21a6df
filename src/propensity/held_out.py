"""People whom a model has not seen: as it predicts them, and as they scored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.evaluation import dr_scores
from propensity.evaluation.expected import MeasuredEffects
from propensity.frame import all_actions, logged_propensity
from propensity.model import DecisionModel, Predictions
from propensity.playbook import Playbook
from propensity.policy import best_column, contact_costs, profit

CURRENCIES = ("reactivations", "revenue", "net_value", "expected_value")
"""What policies are compared in; fields of `PolicyResult`."""


@dataclass(frozen=True)
class Scored:
    """Scores of the held-out people under each action, in each of the `CURRENCIES`."""

    frame: pd.DataFrame
    allowed: pd.DataFrame
    scores: dict[str, pd.DataFrame]
    costs: pd.Series


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
    scores : dict of DataFrame (n, actions with control)
        Doubly robust scores in each of the `CURRENCIES`, per person.
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
    scores: dict[str, pd.DataFrame]
    reachable: np.ndarray
    predicted_gain: np.ndarray
    observed_gain: np.ndarray
    n_unknown: int


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
        scores=held_out.scores,
        reachable=held_out.allowed.any(axis=1).to_numpy(),
        predicted_gain=predicted,
        observed_gain=observed,
        n_unknown=len(frame) - len(known),
    )


def measured_effects(people: HeldOutPeople) -> dict[str, MeasuredEffects]:
    """What contact did to them by what was predicted: `DecisionModel.measured_`, on people whom no fit saw."""
    predicted = {"reactivated": people.predictions.effect, "revenue": people.predictions.extra_revenue}
    scores = {"reactivated": people.scores["reactivations"], "revenue": people.scores["revenue"]}
    best = best_column(people.predictions.net_value, people.allowed)
    return {
        name: MeasuredEffects.fit(scores[name].to_numpy(), effect.where(people.allowed).to_numpy(), best)
        for name, effect in predicted.items()
    }


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
    scores = outcome_scores(frame, propensity, expectations(model, frame, predictions), model.playbook)
    return Scored(
        frame=frame,
        allowed=allowed,
        scores={currency: scores[currency] for currency in CURRENCIES},
        costs=pd.Series(contact_costs(model.playbook, model.actions), index=model.actions),
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
