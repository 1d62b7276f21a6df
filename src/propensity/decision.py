"""The decision as a record: its columns, and how they are filled from what was chosen and what is expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.playbook import Playbook
from propensity.policy import TIE_SHARE, codes, contact_costs, decision_keys, window_end, window_number

DECISION_COLUMNS = (
    "decision_id",
    "customer_id",
    "campaign",
    "send",
    "action",
    "archetype",
    "channel",
    "offer",
    "assignment",
    "probability",
    "reason_codes",
    "reactivation_propensity",
    "uplift",
    "uplift_low",
    "uplift_high",
    "expected_revenue",
    "cost",
    "net_value",
    "reason_for_churn",
    "archetype_probability",
    "not_before",
    "expires_at",
    "brief",
    "model_version",
    "playbook_version",
    "feature_as_of",
    "would_have_sent",
    "reason_source",
    "archetype_by",
    "alternative",
    "alternative_net_value",
    "alternative_lost",
    "touch",
    "next_action",
    "next_not_before",
    "contact_at",
)
DECISION_TIMES = ("not_before", "expires_at", "feature_as_of", "next_not_before", "contact_at")
"""Those of them that are times."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """What was chosen for each person, and what it was chosen by.

    Attributes
    ----------
    drawn : DataFrame (n, 4)
        What `policy.decide` returned.
    unlimited : array (n,)
        The best action if there were no limits.
    stopped_by : Series (n,)
        The rule that stopped a person, where one did.
    effect_reasons : sequence of sequence of str (n,)
        Reason codes that follow where the policy makes contact: why the effect on this person differs from that on
        the average person (`EffectExplainer.reasons`).
    codes : (str, str)
        Reason codes of the policy's own decisions: to contact, and not to.
    value : DataFrame (n, actions without control)
        What was chosen by, in currency; missing where an action is not allowed.
    """

    drawn: pd.DataFrame
    unlimited: np.ndarray
    stopped_by: pd.Series
    effect_reasons: Sequence[Sequence[str]]
    codes: tuple[str, str]
    value: pd.DataFrame


def decision_table(
    customers: pd.DataFrame,
    chosen: Chosen,
    *,
    expected: dict[str, pd.DataFrame],
    reactivation_propensity: pd.Series,
    reasons: pd.DataFrame,
    rule_archetype: pd.Series,
    touch: np.ndarray,
    not_before: pd.Series,
    contact_at: pd.Series,
    following: pd.DataFrame,
    playbook: Playbook,
    at: pd.Timestamp,
    campaign: str,
    model_version: str,
) -> pd.DataFrame:
    """Write decisions out in full.

    Parameters
    ----------
    customers : DataFrame (n, ...)
        Checked customers.
    chosen : Chosen
    expected : dict of DataFrame (n, actions without control)
        Columns of the decision that depend on the action: ``uplift``, its bounds, ``expected_revenue``, ``net_value``.
        Who gets nothing is described by what would have been sent; where that is nothing too, by zeros.
    reactivation_propensity : Series (n,)
    reasons : DataFrame (n, 3)
        For churn, from `assigned_reasons`.
    rule_archetype : Series (n,)
        From `archetype_by_rule`.
    touch : array (n,)
        Touches before this one, in the campaign.
    not_before, contact_at : Series (n,)
        When the action may go out at the earliest, and when it best does.
    following : DataFrame (n, 2)
        From `next_touch`.
    playbook : Playbook
    at : Timestamp
    campaign, model_version : str

    Returns
    -------
    DataFrame (n, columns)
        `DECISION_COLUMNS`; the index of ``customers``.
    """
    window_days = playbook.program.decision_window_days
    window = window_number(at, window_days)
    drawn = chosen.drawn
    action = drawn["action"].to_numpy(dtype=object)
    would = drawn["would_have_sent"].to_numpy(dtype=object)
    described = np.where(action == CONTROL, would, action)
    actions = [CONTROL, *playbook.labels]
    costs = dict(zip(actions, contact_costs(playbook, actions), strict=True))
    parts = {
        part: _looked_up(action, {a: _part(playbook, a, part) for a in actions})
        for part in ("archetype", "channel", "offer")
    }
    # a reason that nobody stated and no model is sure of is not told as one
    known = (reasons["source"] != "fallback").to_numpy()
    decisions = {
        "decision_id": decision_keys(customers["customer_id"], campaign, window),
        "customer_id": customers["customer_id"].to_numpy(),
        "campaign": campaign,
        "send": action != CONTROL,
        "action": action,
        **parts,
        "assignment": drawn["assignment"].to_numpy(),
        "probability": drawn["probability"].to_numpy(),
        "reason_codes": _reason_codes(chosen),
        "reactivation_propensity": reactivation_propensity.to_numpy(),
        **{name: _of_action(values, described) for name, values in expected.items()},
        "cost": _looked_up(action, costs).astype(float),
        "reason_for_churn": _or_none(known, reasons["reason"].to_numpy()),
        "archetype_probability": np.where(known, reasons["probability"].to_numpy(dtype=float), np.nan),
        "not_before": not_before,
        "expires_at": window_end(window, window_days),
        "brief": parts["archetype"],
        "model_version": model_version,
        "playbook_version": playbook.version,
        "feature_as_of": customers["as_of"].to_numpy() if "as_of" in customers else pd.NaT,
        "would_have_sent": would,
        "reason_source": reasons["source"].to_numpy(dtype=object),
        "archetype_by": _archetype_by(parts["archetype"], rule_archetype),
        **_alternative(chosen),
        "touch": touch + (action != CONTROL),
        "next_action": following["next_action"].to_numpy(dtype=object),
        "next_not_before": following["next_not_before"],
        "contact_at": contact_at,
    }
    return pd.DataFrame(decisions, index=customers.index)[list(DECISION_COLUMNS)]


def _archetype_by(archetype: np.ndarray, rule_archetype: pd.Series) -> list[str | None]:
    """Whether the reason for churn calls for this archetype too, or measured effects alone do."""
    return [
        None if found is None else codes.BY_REASON_AND_EFFECT if found == ruled else codes.BY_EFFECT
        for found, ruled in zip(archetype, rule_archetype, strict=True)
    ]


def _alternative(chosen: Chosen) -> dict[str, np.ndarray]:
    """The next best action that each person may get, what it is worth, and why it lost."""
    labels = chosen.value.columns
    drawn = chosen.drawn
    rows = np.arange(len(drawn))
    column = labels.get_indexer(pd.Index(drawn["action"]))
    worth = np.column_stack([chosen.value.fillna(-np.inf).to_numpy(dtype=float), np.zeros(len(drawn))])
    own = worth[rows, column]
    worth[rows[column >= 0], column[column >= 0]] = -np.inf
    best = worth[:, :-1].argmax(axis=1)
    value = worth[rows, best]
    there = np.isfinite(value)
    assignment = drawn["assignment"].to_numpy()
    lost = np.select(
        [assignment == "holdout", assignment == "explore", value <= 0, value > own + TIE_SHARE * np.abs(own)],
        codes.ALTERNATIVE_LOST[:-1],
        default=codes.LESS_WORTH,
    )
    return {
        "alternative": _or_none(there, labels.to_numpy(dtype=object)[best]),
        "alternative_net_value": np.where(there, value, np.nan),
        "alternative_lost": _or_none(there, lost),
    }


def _or_none(there: np.ndarray, values: np.ndarray) -> np.ndarray:
    kept = values.astype(object)
    kept[~there] = None
    return kept


def _of_action(values: pd.DataFrame, action: np.ndarray) -> np.ndarray:
    """Each person's value under their action; 0 under control."""
    padded = np.column_stack([np.zeros(len(values)), values])
    return padded[np.arange(len(values)), 1 + values.columns.get_indexer(pd.Index(action))]


def _looked_up(action: np.ndarray, values: Mapping[str, object]) -> np.ndarray:
    """Each person's value (n,) by their action."""
    code, labels = pd.factorize(action)
    of_label = np.empty(len(labels), dtype=object)
    of_label[:] = [values[label] for label in labels]
    return of_label[code]


def _part(playbook: Playbook, action: str, part: str) -> str | None:
    return None if action == CONTROL else getattr(playbook.actions[action], part)


def _reason_codes(chosen: Chosen) -> list[list[str]]:
    pays, pays_not = chosen.codes
    drawn = chosen.drawn
    best, would_be = (
        _of_action(chosen.value.fillna(0.0), np.asarray(a, dtype=object))
        for a in (chosen.unlimited, drawn["would_have_sent"])
    )
    # what is worth the same is no better
    better = best > would_be + TIE_SHARE * np.abs(would_be)
    reasons = []
    for assignment, would, unlimited, is_better, rule, why in zip(
        # texts of pandas come one by one only slowly
        drawn["assignment"].tolist(),
        drawn["would_have_sent"].tolist(),
        chosen.unlimited,
        better.tolist(),
        chosen.stopped_by,
        chosen.effect_reasons,
        strict=True,
    ):
        if assignment == "suppressed":
            reasons.append([str(rule)])
        elif assignment == "holdout":
            reasons.append([codes.HELD_OUT, *([codes.WOULD_HAVE_SENT.format(would)] if would != CONTROL else [])])
        elif assignment == "explore":
            reasons.append([codes.TRIED])
        elif assignment == "fallback" or (would == CONTROL and unlimited != CONTROL):
            reasons.append([codes.LIMITS])
        elif would == CONTROL:
            reasons.append([pays_not])
        else:
            reasons.append([pays, *([codes.BEST_WITHIN_LIMITS] if is_better else []), *why])
    return reasons
