"""What a model is worth on people that no part of its training saw, and whether it may decide.

Every figure that a report, a page, MLflow or the command line shows of a model comes from the one `Assessment`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.deciding import Wave
from propensity.evaluation import (
    Estimate,
    autoc_score,
    calibration_slope,
    calibration_table,
    calibration_test,
    qini_score,
)
from propensity.granting import Gate, fit_of, grant
from propensity.held_out import CURRENCIES, HeldOutPeople, Scored, held_out_people
from propensity.model import MODES, DecisionModel, PolicyMode
from propensity.policy import best_action, rule_action
from propensity.targeting import TargetingCurves, targeting_curves

PEOPLE = 1000
"""Policies are compared per so many people."""


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


def assess(
    model: DecisionModel, frame: pd.DataFrame, *, mode: PolicyMode | None = None, standing: PolicyMode = "nobody"
) -> Assessment:
    """Assess a model and grant it a mode; the model itself is not changed.

    Parameters
    ----------
    model : DecisionModel
    frame : DataFrame
        Training frame of people that the model has not seen.
    mode : {"per_person", "one_action", "nobody"}, optional
        Of the policy that is assessed; by default the one that these people grant.
    standing : {"per_person", "one_action", "nobody"}
        What was granted before; see `granting.grant`.

    Returns
    -------
    Assessment
    """
    return assess_people(model, held_out_people(model, frame), mode=mode, standing=standing)


def assess_people(
    model: DecisionModel, people: HeldOutPeople, *, mode: PolicyMode | None = None, standing: PolicyMode = "nobody"
) -> Assessment:
    """`assess` from people who were predicted and scored already."""
    frame, predictions = people.frame, people.predictions
    held_out, weight = people.scored, people.weight
    weight_of_gain = weight[people.reachable]
    chosen: dict[PolicyMode, np.ndarray] = {
        each: best_action(model.choice_value(predictions, each), people.allowed) for each in MODES
    }
    fit = fit_of(model, people, chosen["per_person"])
    gate = grant(model.evidence_.supported_mode, held_out, chosen, fit, standing)
    assessed = chosen[mode or gate.granted]
    gain, observed_gain = people.predicted_gain, people.observed_gain
    untouched = (frame["action"] == CONTROL).to_numpy()
    returning = predictions.reactivated[CONTROL].to_numpy()
    came_back = frame["reactivated"].to_numpy()
    slopes = {
        "propensity": slope_estimate(returning[untouched], came_back[untouched], weight[untouched]),
        "effect": slope_estimate(gain, observed_gain, weight_of_gain),
    }
    return Assessment(
        n_people=len(frame),
        policies=_compare(model, held_out, assessed, chosen, returning),
        gate=gate,
        best_action=model.evidence_.best_action,
        actions={str(a): int(n) for a, n in pd.Series(assessed).value_counts().items()},
        propensity_calibration=_rows(
            calibration_table(returning[untouched], came_back[untouched], weight=weight[untouched])
        ),
        effect_calibration=_rows(calibration_table(gain, observed_gain, weight=weight_of_gain)),
        propensity_slope=calibration_slope(returning[untouched], came_back[untouched], weight[untouched]),
        effect_slope=calibration_slope(gain, observed_gain, weight_of_gain),
        autoc=autoc_score(observed_gain, gain, weight=weight_of_gain),
        qini=qini_score(observed_gain, gain, weight=weight_of_gain),
        slopes={name: slope for name, slope in slopes.items() if slope is not None},
        curves=targeting_curves(
            predicted_gain=gain,
            observed_gain=observed_gain,
            net_value=predictions.net_value,
            allowed=people.allowed,
            price=held_out.costs,
            scores={name: people.scores[name] for name in ("reactivations", "net_value", "expected_value")},
            weight=weight,
            per=PEOPLE,
        ),
    )


def slope_estimate(predicted: np.ndarray, observed: np.ndarray, weight: np.ndarray | None = None) -> Estimate | None:
    """`calibration_slope` with its uncertainty (see `calibration_test`); None where predictions do not vary."""
    if np.isnan(calibration_slope(predicted, observed, weight)):
        return None
    return calibration_test(predicted, observed, weight=weight).slope


def _by_rule(model: DecisionModel, held_out: Scored) -> np.ndarray:
    changed = Wave(model, held_out.frame, held_out.frame["decided_at"]).changed if model.playbook.changes else None
    return rule_action(held_out.frame, model.playbook, held_out.allowed, changed)


def _compare(
    model: DecisionModel,
    held_out: Scored,
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
        for name in held_out.scores:
            against_nobody[name] = held_out.value(name, policy, nobody).times(PEOPLE)
            paired[name] = held_out.value(name, granted, policy).times(PEOPLE)
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
