"""What a model is worth on people that no part of its training saw, and whether it may decide.

Every figure that a report, a page, MLflow or the command line shows of a model comes from the one `Assessment`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.deciding import Wave
from propensity.evaluation import (
    Estimate,
    autoc_score,
    better_fit,
    calibration_slope,
    calibration_table,
    calibration_test,
    dr_scores,
    effect_multiple,
    policy_value,
    qini_score,
)
from propensity.evaluation.expected import MeasuredEffects
from propensity.frame import all_actions, logged_propensity
from propensity.model import MODES, DecisionModel, PolicyMode, Predictions
from propensity.playbook import Playbook
from propensity.policy import best_action, best_column, contact_costs, profit, rule_action
from propensity.targeting import TargetingCurves, targeting_curves

PEOPLE = 1000
"""Policies are compared per so many people."""
CURRENCIES = ("reactivations", "revenue", "net_value", "expected_value")
"""What policies are compared in; fields of `PolicyResult`."""


@dataclass(frozen=True)
class PolicyResult:
    """One policy on the held-out people.

    Attributes
    ----------
    key, title : str
    contacted_share : float
    cost : float
        Of sending, in currency per 1,000 people.
    reactivations, revenue, net_value : Estimate
        Against contacting nobody, per 1,000 people, as measured: net value is margin x measured revenue less costs.
    expected_value : Estimate
        Net value by the playbook's rule for turning effects into money, which the gate judges by. Where revenue goes
        through reactivation it is far less noisy than what was measured, and may be off by what the rule neglects.
    model_minus_this : dict of Estimate
        The assessed policy's figures minus this one's, in each of the `CURRENCIES`, paired, per 1,000 people.
    """

    key: str
    title: str
    contacted_share: float
    cost: float
    reactivations: Estimate
    revenue: Estimate
    net_value: Estimate
    expected_value: Estimate
    model_minus_this: dict[str, Estimate]


@dataclass(frozen=True)
class Gate:
    """Whether held-out people confirm what training supports.

    Attributes
    ----------
    proposed, granted : {"per_person", "one_action", "nobody"}
    why : str
        One sentence.
    """

    proposed: PolicyMode
    granted: PolicyMode
    why: str


@dataclass(frozen=True)
class Assessment:
    """A model on held-out people.

    Attributes
    ----------
    n_people : int
    policies : tuple of PolicyResult
        The granted policy (or the one asked for) first (key ``model``).
    gate : Gate
        What these people grant.
    best_action : str
        The action that everybody would get if all got the same.
    actions : dict
        People per action under the granted policy.
    propensity_calibration, effect_calibration : list of dict
        Rows of `calibration_table`.
    propensity_slope, effect_slope : float
        Slope of observed on predicted; NaN where predictions do not vary.
    slopes : dict of Estimate
        The same with their uncertainty, ``propensity`` and ``effect``; where predictions vary.
    autoc, qini : Estimate
        How well predicted effects rank people, in reactivations. Like ``effect_calibration``, of each person's most
        effective action among those that they may get and that had a chance of being served.
    curves : TargetingCurves or None
        What the order in which the model puts people is worth; None in an assessment that was recorded without.
    """

    n_people: int
    policies: tuple[PolicyResult, ...]
    gate: Gate
    best_action: str
    actions: dict[str, int]
    propensity_calibration: list[dict[str, Any]]
    effect_calibration: list[dict[str, Any]]
    propensity_slope: float
    effect_slope: float
    autoc: Estimate
    qini: Estimate
    slopes: dict[str, Estimate] = field(default_factory=dict)
    curves: TargetingCurves | None = None

    def policy(self, key: str) -> PolicyResult | None:
        """The policy of this key, if it was assessed."""
        return next((p for p in self.policies if p.key == key), None)

    def to_json(self) -> dict[str, Any]:
        """As JSON-ready values; estimates become objects, and what is not a number becomes None."""
        return plain(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Assessment:
        """The assessment that `to_json` described."""
        policies = []
        for row in content["policies"]:
            estimates = {k: _estimate(row[k]) for k in CURRENCIES}
            paired = {k: _estimate(v) for k, v in row["model_minus_this"].items()}
            policies.append(PolicyResult(**{**row, **estimates, "model_minus_this": paired}))
        return cls(
            **{
                **content,
                "policies": tuple(policies),
                "gate": Gate(**content["gate"]),
                "propensity_slope": _number(content["propensity_slope"]),
                "effect_slope": _number(content["effect_slope"]),
                "autoc": _estimate(content["autoc"]),
                "qini": _estimate(content["qini"]),
                "slopes": {k: _estimate(v) for k, v in content.get("slopes", {}).items()},
                "curves": TargetingCurves(**content["curves"]) if content.get("curves") else None,
            }
        )


@dataclass(frozen=True)
class _HeldOut:
    """Scores of the held-out people under each action, in each of the `CURRENCIES`."""

    frame: pd.DataFrame
    allowed: pd.DataFrame
    scores: dict[str, pd.DataFrame]
    costs: pd.Series


def assess(model: DecisionModel, frame: pd.DataFrame, *, mode: PolicyMode | None = None) -> Assessment:
    """Assess a model and grant it a mode; the model itself is not changed.

    Parameters
    ----------
    model : DecisionModel
    frame : DataFrame
        Training frame of people that the model has not seen.
    mode : {"per_person", "one_action", "nobody"}, optional
        Of the policy that is assessed; by default the one that these people grant.

    Returns
    -------
    Assessment
    """
    return assess_people(model, held_out_people(model, frame), mode=mode)


def assess_people(model: DecisionModel, people: HeldOutPeople, *, mode: PolicyMode | None = None) -> Assessment:
    """`assess` from people who were predicted and scored already."""
    frame, predictions = people.frame, people.predictions
    costs = pd.Series(contact_costs(model.playbook, model.actions), index=model.actions)
    held_out = _HeldOut(frame, people.allowed, people.scores, costs)
    chosen: dict[PolicyMode, np.ndarray] = {
        each: best_action(model.choice_value(predictions, each), people.allowed) for each in MODES
    }
    gate = _gate(model.evidence_.supported_mode, held_out, chosen, _fit(model, people, chosen["per_person"]))
    assessed = chosen[mode or gate.granted]
    gain, observed_gain = people.predicted_gain, people.observed_gain
    untouched = (frame["action"] == CONTROL).to_numpy()
    returning = predictions.reactivated[CONTROL].to_numpy()
    came_back = frame["reactivated"].to_numpy()
    slopes = {
        "propensity": slope_estimate(returning[untouched], came_back[untouched]),
        "effect": slope_estimate(gain, observed_gain),
    }
    return Assessment(
        n_people=len(frame),
        policies=_compare(model, held_out, assessed, chosen, returning),
        gate=gate,
        best_action=model.evidence_.best_action,
        actions={str(a): int(n) for a, n in pd.Series(assessed).value_counts().items()},
        propensity_calibration=_rows(calibration_table(returning[untouched], came_back[untouched])),
        effect_calibration=_rows(calibration_table(gain, observed_gain)),
        propensity_slope=calibration_slope(returning[untouched], came_back[untouched]),
        effect_slope=calibration_slope(gain, observed_gain),
        autoc=autoc_score(observed_gain, gain),
        qini=qini_score(observed_gain, gain),
        slopes={name: slope for name, slope in slopes.items() if slope is not None},
        curves=targeting_curves(
            predicted_gain=gain,
            observed_gain=observed_gain,
            net_value=predictions.net_value,
            allowed=people.allowed,
            price=costs,
            scores={name: people.scores[name] for name in ("reactivations", "net_value", "expected_value")},
            per=PEOPLE,
        ),
    )


def slope_estimate(predicted: np.ndarray, observed: np.ndarray) -> Estimate | None:
    """`calibration_slope` with its uncertainty (see `calibration_test`); None where predictions do not vary."""
    if np.isnan(calibration_slope(predicted, observed)):
        return None
    return calibration_test(predicted, observed).slope


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


def _best_gains(effect: pd.DataFrame, held_out: _HeldOut) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and observed gain (score against control's) of each person's most effective allowed action.

    Only people who have one: where an action had no chance its score is the prediction itself and would confirm it.
    """
    reachable = held_out.allowed.any(axis=1).to_numpy()
    predicted = np.where(held_out.allowed[effect.columns].to_numpy(), effect.to_numpy(), -np.inf)[reachable]
    scores = held_out.scores["reactivations"][reachable]
    rows, best = np.arange(len(predicted)), predicted.argmax(axis=1)
    observed = scores[effect.columns].to_numpy()[rows, best] - scores[CONTROL].to_numpy()
    return predicted[rows, best], observed


def _score(model: DecisionModel, frame: pd.DataFrame, propensity: pd.DataFrame, predictions: Predictions) -> _HeldOut:
    allowed = model.eligible(frame, frame["decided_at"]).allowed
    # what had no chance of being served cannot be judged on these people
    allowed &= propensity[allowed.columns].to_numpy() > 0
    scores = outcome_scores(frame, propensity, expectations(model, frame, predictions), model.playbook)
    return _HeldOut(
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


class _Fit(NamedTuple):
    """What all held-out people say of the predicted effects, whatever they were served.

    Attributes
    ----------
    closer_than_averages : bool
        Effects that differ between people come closer to what happened than each action's average.
    least_multiple : float
        Contact of every kind had at least so many times the predicted effects (95 % interval).
    least_value : float
        What choosing per person is predicted to bring then, in currency a person.
    """

    closer_than_averages: bool
    least_multiple: float
    least_value: float


def _fit(model: DecisionModel, people: HeldOutPeople, per_person: np.ndarray) -> _Fit:
    predictions, effect = people.predictions, people.predictions.effect
    of_action = dict(zip(model.reactivation.actions_[1:], model.reactivation.averages_.shrunk, strict=True))
    averages = pd.DataFrame({a: of_action[str(a)] for a in effect}, index=effect.index)
    returned = people.frame["reactivated"].to_numpy(dtype=float)
    known = (returned, people.frame["action"], people.propensity, predictions.reactivated)
    better, multiple = better_fit(*known, [effect, averages]), effect_multiple(*known, effect)
    least = 0.0 if multiple is None else multiple.low
    # what offers cost is left as it is with the whole effect
    missing = (1 - min(least, 1.0)) * model.playbook.value.margin_share * predictions.extra_revenue
    value = (predictions.net_value - missing).assign(**{CONTROL: 0.0})
    of_chosen = value.to_numpy()[np.arange(len(value)), value.columns.get_indexer(pd.Index(per_person))]
    return _Fit(better is not None and better.low > 0, least, float(of_chosen.mean()))


def _gate(proposed: PolicyMode, held_out: _HeldOut, chosen: dict[PolicyMode, np.ndarray], fit: _Fit) -> Gate:
    """Grant the proposed mode, or a simpler one where held-out people do not confirm it.

    The value of a policy rests on the few who happened to get what they would get by it: with many actions it cannot be
    told from nothing in most programs that pay. Everybody tells by what multiple the predicted effects are right, and
    choosing per person is granted too where it pays with the least of it. For an action for everybody, whose effect was
    the largest of many averages, nothing but its own value counts.
    """
    if proposed == "nobody":
        return Gate(
            proposed, "nobody", "Training found no effect of contact that covers its cost, so nobody is contacted."
        )
    scores = held_out.scores["expected_value"]
    mode: PolicyMode = proposed
    why = "Training found one action that pays for itself, and no difference between people to act on."
    if proposed == "per_person" and (chosen["per_person"] == chosen["one_action"]).all():
        mode = "one_action"
        why = "Training found that people differ, but not so much that anybody would get another action than the rest."
    elif proposed == "per_person":
        gain = policy_value(scores, chosen["per_person"], chosen["one_action"])
        if gain.low > 0:
            why = "Training found that people differ, and choosing per person did better on the held-out people."
        elif gain.value > 0:
            why = (
                "Training found that people differ; on the held-out people choosing per person did as well as the same "
                "action for everybody, within chance."
            )
        elif gain.high >= 0 and fit.closer_than_averages:
            # the value rests on the few who got what they would; the effects are judged by everybody
            why = (
                "Training found that people differ, and what it expects of each came closer to what happened on the "
                "held-out people than averages did; that choosing per person is worth more is not shown yet."
            )
        else:
            mode = "one_action"
            why = (
                "Training found that people differ, but on the held-out people choosing per person did not do better "
                "than the same action for everybody."
            )
    worth = policy_value(scores, chosen[mode], chosen["nobody"])
    if worth.low <= 0 < worth.value and mode == "per_person" and fit.least_multiple > 0 and fit.least_value > 0:
        why += (
            " Few of them got what they would get now; but contact of every kind did at least "
            f"{fit.least_multiple:.0%} of what is expected of it (95 % interval), and even so choosing per person pays."
        )
        return Gate(proposed, mode, why)
    if worth.low <= 0:
        return Gate(
            proposed,
            "nobody",
            "On the held-out people, the value of contact cannot be told from nothing, so nobody is contacted.",
        )
    return Gate(proposed, mode, why)


def _by_rule(model: DecisionModel, held_out: _HeldOut) -> np.ndarray:
    changed = Wave(model, held_out.frame, held_out.frame["decided_at"]).changed if model.playbook.changes else None
    return rule_action(held_out.frame, model.playbook, held_out.allowed, changed)


def _compare(
    model: DecisionModel,
    held_out: _HeldOut,
    granted: np.ndarray,
    chosen: dict[PolicyMode, np.ndarray],
    returning: np.ndarray,
) -> tuple[PolicyResult, ...]:
    nobody = chosen["nobody"]
    likely = returning >= np.median(returning)
    can = held_out.allowed.to_numpy(dtype=float)
    none_allowed = can.sum(axis=1) == 0
    random = pd.DataFrame(can / np.maximum(can.sum(axis=1), 1)[:, None], columns=held_out.allowed.columns)
    random.insert(0, CONTROL, none_allowed.astype(float))
    policies: list[tuple[str, str, Any]] = [
        ("model", "this model", granted),
        ("per_person", "each person's best action", chosen["per_person"]),
        ("one_action", _to_all(model, chosen["one_action"]), chosen["one_action"]),
        ("likeliest", "only the likelier half to return", np.where(likely, chosen["one_action"], CONTROL)),
        ("rules", "the rule playbook", _by_rule(model, held_out)),
        ("random", "a random action", random),
        ("nobody", "nobody", nobody),
    ]
    results = []
    for key, title, policy in policies:
        shares = policy if isinstance(policy, pd.DataFrame) else pd.get_dummies(pd.Series(policy)).astype(float)
        shares = shares.reindex(columns=model.actions, fill_value=0.0)
        against_nobody, paired = {}, {}
        for name, scores in held_out.scores.items():
            against_nobody[name] = policy_value(scores, policy, nobody).times(PEOPLE)
            paired[name] = policy_value(scores, granted, policy).times(PEOPLE)
        results.append(
            PolicyResult(
                key=key,
                title=title,
                contacted_share=float(1 - shares[CONTROL].mean()),
                cost=float((shares.mean() * held_out.costs).sum() * PEOPLE),
                model_minus_this=paired,
                **against_nobody,
            )
        )
    return tuple(results)


def _to_all(model: DecisionModel, chosen: np.ndarray) -> str:
    best = model.evidence_.best_action
    return f"{best} to all" if set(chosen) <= {best, CONTROL} else f"{best} (or the next best allowed) to all"


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in table.to_dict(orient="records")]


def _estimate(content: dict[str, Any]) -> Estimate:
    return Estimate(**{name: _number(value) for name, value in content.items()})


def _number(value: Any) -> Any:
    return float("nan") if value is None else value


def plain(value: Any) -> Any:
    """JSON-ready values of dataclasses, named tuples, dicts and lists; what is no finite number becomes None."""
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON knows none of these, and PostgreSQL refuses them
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value
