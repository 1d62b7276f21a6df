"""The decision as a record: its columns, and how they are filled from what was chosen and what is expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.people import Customers, People, in_utc
from propensity.playbook import Playbook, derived
from propensity.policy import (
    TIE_SHARE,
    Drawn,
    codes,
    contact_costs,
    decision_keys,
    positions,
    window_end,
    window_number,
)
from propensity.reasons.assignment import Assigned

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
    drawn : DataFrame (n, 4) or Drawn
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

    drawn: pd.DataFrame | Drawn
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
    columns = decision_columns(
        customers,
        chosen,
        expected=expected,
        reactivation_propensity=reactivation_propensity.to_numpy(),
        reasons=Assigned(*(reasons[name].to_numpy(dtype=object) for name in Assigned._fields)),
        rule_archetype=rule_archetype,
        touch=touch,
        moments=Moments(
            in_utc(not_before),
            in_utc(contact_at),
            following["next_action"].to_numpy(dtype=object),
            in_utc(following["next_not_before"]),
        ),
        playbook=playbook,
        at=at,
        campaign=campaign,
        model_version=model_version,
    )
    return as_table(columns, customers.index)


class Moments(NamedTuple):
    """When the action may go out and best does, and what follows and when (n,); UTC without a zone."""

    not_before: np.ndarray
    contact_at: np.ndarray
    next_action: np.ndarray
    next_not_before: np.ndarray


def decision_columns(
    customers: Customers,
    chosen: Chosen,
    *,
    expected: Mapping[str, pd.DataFrame],
    reactivation_propensity: np.ndarray,
    reasons: Assigned,
    rule_archetype: pd.Series,
    touch: np.ndarray,
    moments: Moments,
    playbook: Playbook,
    at: pd.Timestamp,
    campaign: str,
    model_version: str,
) -> dict[str, Any]:
    """The columns of `decision_table`: arrays and lists (n,), times without a zone; what is the same for all, once."""
    people = People.of(customers)
    window_days = playbook.program.decision_window_days
    window = window_number(at, window_days)
    drawn = _drawn(chosen)
    action, would = drawn.action, drawn.would_have_sent
    contacted = action != CONTROL
    described = positions(np.where(contacted, action, would), chosen.value.columns)
    archetype, channel, offer, cost = _parts_of(action, playbook)
    # a reason that nobody stated and no model is sure of is not told as one
    source = reasons.source
    known = source != "fallback"
    columns = {
        "decision_id": decision_keys(people.ids, campaign, window),
        "customer_id": people.ids,
        "campaign": campaign,
        "send": contacted,
        "action": action,
        "archetype": archetype,
        "channel": channel,
        "offer": offer,
        "assignment": drawn.assignment,
        "probability": drawn.probability,
        "reason_codes": _reason_codes(chosen),
        "reactivation_propensity": reactivation_propensity,
        **{name: _of_action(values.to_numpy(), described) for name, values in expected.items()},
        "cost": cost,
        "reason_for_churn": _or_none(known, reasons.reason),
        "archetype_probability": np.where(known, reasons.probability.astype(float), np.nan),
        "not_before": moments.not_before,
        "expires_at": window_end(window, window_days),
        "brief": archetype,
        "model_version": model_version,
        "playbook_version": playbook.version,
        "feature_as_of": people.times("as_of") if "as_of" in people else pd.NaT,
        "would_have_sent": would,
        "reason_source": source,
        "archetype_by": _archetype_by(archetype, rule_archetype),
        **_alternative(chosen),
        "touch": touch + contacted,
        "next_action": moments.next_action,
        "next_not_before": moments.next_not_before,
        "contact_at": moments.contact_at,
    }
    return {name: columns[name] for name in DECISION_COLUMNS}


def as_table(columns: Mapping[str, Any], index: pd.Index) -> pd.DataFrame:
    """Columns of decisions as the table that they are."""
    aware = {
        name: pd.DatetimeIndex(values, tz="UTC") if isinstance(values, np.ndarray) else values
        for name, values in columns.items()
        if name in DECISION_TIMES
    }
    return pd.DataFrame({**columns, **aware}, index=index)


def _drawn(chosen: Chosen) -> Drawn:
    drawn = chosen.drawn
    if isinstance(drawn, Drawn):
        return drawn
    return Drawn(
        action=drawn["action"].to_numpy(dtype=object),
        assignment=drawn["assignment"].to_numpy(dtype=object),
        probability=drawn["probability"].to_numpy(),
        would_have_sent=drawn["would_have_sent"].to_numpy(dtype=object),
    )


def _archetype_by(archetype: Sequence[str | None], rule_archetype: pd.Series) -> list[str | None]:
    """Whether the reason for churn calls for this archetype too, or measured effects alone do."""
    return [
        None if found is None else codes.BY_REASON_AND_EFFECT if found == ruled else codes.BY_EFFECT
        for found, ruled in zip(archetype, rule_archetype.tolist(), strict=True)
    ]


def _alternative(chosen: Chosen) -> dict[str, np.ndarray]:
    """The next best action that each person may get, what it is worth, and why it lost."""
    labels = chosen.value.columns
    drawn = _drawn(chosen)
    rows = np.arange(len(drawn.action))
    column = positions(drawn.action, labels)
    known = chosen.value.to_numpy(dtype=float)
    worth = np.column_stack([np.where(np.isnan(known), -np.inf, known), np.zeros(len(rows))])
    own = worth[rows, column]
    worth[rows[column >= 0], column[column >= 0]] = -np.inf
    best = worth[:, :-1].argmax(axis=1)
    value = worth[rows, best]
    there = np.isfinite(value)
    assignment = drawn.assignment
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


def _of_action(values: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Each person's value under their action, by its position (n,) among the columns; 0 under control."""
    padded = np.column_stack([np.zeros(len(values)), values])
    return padded[np.arange(len(values)), 1 + position]


def _parts_of(action: np.ndarray, playbook: Playbook) -> tuple[list[Any], list[Any], list[Any], np.ndarray]:
    """Archetype, channel, offer and cost (n,) of each action."""
    known = _parts(playbook)
    parts = [known[label] for label in action.tolist()]
    archetype, channel, offer, cost = ([part[i] for part in parts] for i in range(4))
    return archetype, channel, offer, np.array(cost, dtype=float)


@derived
def _parts(playbook: Playbook) -> dict[str, tuple[str | None, str | None, str | None, float]]:
    labels = playbook.labels
    costs = contact_costs(playbook, labels).tolist()
    actions = ((label, playbook.actions[label], cost) for label, cost in zip(labels, costs, strict=True))
    return {CONTROL: (None, None, None, 0.0)} | {a: (x.archetype, x.channel, x.offer, cost) for a, x, cost in actions}


def _reason_codes(chosen: Chosen) -> list[list[str]]:
    pays, pays_not = chosen.codes
    drawn, labels = _drawn(chosen), chosen.value.columns
    worth = np.nan_to_num(chosen.value.to_numpy(dtype=float), posinf=np.inf, neginf=-np.inf)
    best, would_be = (_of_action(worth, positions(a, labels)) for a in (chosen.unlimited, drawn.would_have_sent))
    # what is worth the same is no better
    better = best > would_be + TIE_SHARE * np.abs(would_be)
    reasons = []
    for assignment, would, unlimited, is_better, rule, why in zip(
        drawn.assignment.tolist(),
        drawn.would_have_sent.tolist(),
        chosen.unlimited.tolist(),
        better.tolist(),
        chosen.stopped_by.tolist(),
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
