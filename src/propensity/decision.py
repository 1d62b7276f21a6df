"""The decision as a record: its columns, and how they are filled from what was chosen and what is expected."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.playbook import Playbook
from propensity.policy import contact_costs, decision_keys, window_number

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
)


def decision_table(
    customers: pd.DataFrame,
    chosen: pd.DataFrame,
    *,
    stopped_by: pd.Series,
    expected: dict[str, pd.DataFrame],
    reactivation_propensity: pd.Series,
    playbook: Playbook,
    codes: tuple[str, str],
    effect_reasons: Sequence[Sequence[str]],
    at: pd.Timestamp,
    campaign: str,
    model_version: str,
) -> pd.DataFrame:
    """Write decisions out in full.

    Parameters
    ----------
    customers : DataFrame (n, ...)
        Checked customers.
    chosen : DataFrame (n, 4)
        What `policy.decide` returned.
    stopped_by : Series (n,)
        The rule that stopped a person, where one did.
    expected : dict of DataFrame (n, actions without control)
        Columns of the decision that depend on the action: ``uplift``, its bounds, ``expected_revenue``, ``net_value``.
        Who gets nothing is described by what would have been sent; where that is nothing too, by zeros.
    reactivation_propensity : Series (n,)
    playbook : Playbook
    codes : (str, str)
        Reason codes of the policy's own decisions: to contact, and not to.
    effect_reasons : sequence of sequence of str (n,)
        Reason codes that follow where the policy makes contact: why the effect on this person differs from that on
        the average person (`EffectExplainer.reasons`).
    at : Timestamp
    campaign, model_version : str

    Returns
    -------
    DataFrame (n, 26)
        `DECISION_COLUMNS`; the index of ``customers``.
    """
    window_days = playbook.program.decision_window_days
    window = window_number(at, window_days)
    action = chosen["action"].to_numpy(dtype=object)
    would = chosen["would_have_sent"].to_numpy(dtype=object)
    described = np.where(action == CONTROL, would, action)
    actions = [CONTROL, *playbook.labels]
    costs = dict(zip(actions, contact_costs(playbook, actions), strict=True))
    parts = {part: [_part(playbook, a, part) for a in action] for part in ("archetype", "channel", "offer")}
    reason = customers["reason"] if "reason" in customers else pd.Series(None, index=customers.index, dtype="str")
    archetype = reason.map(playbook.archetype_of_reason())
    decisions = {
        "decision_id": decision_keys(customers["customer_id"], campaign, window),
        "customer_id": customers["customer_id"].to_numpy(),
        "campaign": campaign,
        "send": action != CONTROL,
        "action": action,
        **parts,
        "assignment": chosen["assignment"].to_numpy(),
        "probability": chosen["probability"].to_numpy(),
        "reason_codes": _reason_codes(chosen, stopped_by, codes, effect_reasons),
        "reactivation_propensity": reactivation_propensity.to_numpy(),
        **{name: _of_action(values, described) for name, values in expected.items()},
        "cost": [costs[a] for a in action],
        "reason_for_churn": reason.to_numpy(dtype=object),
        "archetype_probability": np.where(archetype.notna(), 1.0, np.nan),
        "not_before": at,
        "expires_at": pd.Timestamp("1970-01-01", tz="UTC") + pd.Timedelta(days=(window + 1) * window_days),
        "brief": parts["archetype"],
        "model_version": model_version,
        "playbook_version": playbook.version,
        "feature_as_of": customers["as_of"].to_numpy() if "as_of" in customers else pd.NaT,
    }
    return pd.DataFrame(decisions, index=customers.index)[list(DECISION_COLUMNS)]


def _of_action(values: pd.DataFrame, action: np.ndarray) -> np.ndarray:
    """Each person's value under their action; 0 under control."""
    padded = np.column_stack([np.zeros(len(values)), values])
    return padded[np.arange(len(values)), 1 + values.columns.get_indexer(pd.Index(action))]


def _part(playbook: Playbook, action: str, part: str) -> str | None:
    return None if action == CONTROL else getattr(playbook.actions[action], part)


def _reason_codes(
    chosen: pd.DataFrame, stopped_by: pd.Series, codes: tuple[str, str], effect_reasons: Sequence[Sequence[str]]
) -> list[list[str]]:
    pays, pays_not = codes
    reasons = []
    for assignment, would, rule, why in zip(
        chosen["assignment"], chosen["would_have_sent"], stopped_by, effect_reasons, strict=True
    ):
        if assignment == "suppressed":
            reasons.append([str(rule)])
        elif assignment == "holdout":
            reasons.append(["held_out_to_measure", *([f"would_have_sent_{would}"] if would != CONTROL else [])])
        elif assignment == "explore":
            reasons.append(["tried_to_learn"])
        else:
            reasons.append([pays_not] if would == CONTROL else [pays, *why])
    return reasons
