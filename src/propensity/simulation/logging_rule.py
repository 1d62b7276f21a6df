"""Who may get what in the simulated program, and the random rule that served it, with its exact probabilities."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd

from propensity.contract import CONSENT_PREFIX, CONTROL, PROBABILITY_PREFIX
from propensity.playbook import Playbook
from propensity.simulation.customers import Codes, Flags, Floats, text_column, time_column

DEAR_CHANNELS = ("direct_mail", "direct_outreach")
DEAR_WEIGHT = 0.5
"""Actions on dear channels are served half as often as the others."""


def eligible_actions(customers: pd.DataFrame, playbook: Playbook, decided_at: datetime) -> Flags:
    """Which customer may get which action (n, actions); control, column 0, is open to everybody.

    Outside the cooling-off period and the horizon, without consent or account access where the channel needs it (a
    missing value is a no), and with a stated reason that the offer excludes, an action is not eligible.
    """
    latest, earliest = (
        pd.Timestamp(decided_at) - pd.Timedelta(days=days)
        for days in (playbook.program.cooling_off_days, playbook.program.horizon_days)
    )
    inside = customers["churned_at"].between(earliest, latest).to_numpy()
    columns = [np.ones(len(customers), dtype=bool)]
    for label in playbook.labels:
        action = playbook.actions[label]
        channel = playbook.channels[action.channel]
        may = inside.copy()
        if channel.needs_consent:
            may &= _yes(customers[CONSENT_PREFIX + action.channel])
        if channel.needs_account_access:
            may &= _yes(customers["account_access"])
        may &= ~customers["reason"].isin(playbook.offers[action.offer].excluded_reasons).to_numpy()
        columns.append(may)
    return np.column_stack(columns)


def logging_probabilities(eligible: Flags, playbook: Playbook) -> Floats:
    """Chance of each action for each customer under the logging rule (n, actions), control first.

    Control has the share of the two holdouts together, 1 - (1 - global)(1 - campaign); the rest is shared by the
    eligible actions in proportion to their weights. Who is eligible for no action at all has control for certain.
    """
    learning = playbook.learning
    holdout_share = 1 - (1 - learning.holdout_share) * (1 - learning.campaign_holdout_share)
    dear = [playbook.actions[label].channel in DEAR_CHANNELS for label in playbook.labels]
    weights = eligible[:, 1:] * np.where(dear, DEAR_WEIGHT, 1.0)
    total = weights.sum(axis=1, keepdims=True)
    open_to_some = total > 0
    shares = (1 - holdout_share) * weights / np.where(open_to_some, total, 1)
    return np.column_stack([np.where(open_to_some, holdout_share, 1.0), shares])


def draw_actions(probabilities: Floats, rng: np.random.Generator) -> Codes:
    """One action a row, drawn with its probabilities: its position among the columns."""
    steps = probabilities.cumsum(axis=1)
    # A draw is scaled by the last step, so that rounding can neither pass it nor reach an action of probability 0.
    draw = rng.random(len(probabilities)) * steps[:, -1]
    return (draw[:, None] >= steps).sum(axis=1)


def contacts_table(
    customers: pd.DataFrame, playbook: Playbook, decided_at: datetime, probabilities: Floats, served: Codes
) -> pd.DataFrame:
    """The contacts of the people in the program, one row each; arguments hold these people only."""
    actions = (CONTROL, *playbook.labels)
    costs = [0.0, *(playbook.channels[playbook.actions[label].channel].cost_currency for label in playbook.labels)]
    day = pd.Timestamp(decided_at).tz_convert("UTC")
    prefix = f"{day:%Y%m%d}-"
    n = len(customers)
    contacts = pd.DataFrame(
        {
            "decision_id": text_column([prefix + key for key in customers["customer_id"]]),
            "customer_id": text_column(customers["customer_id"].to_numpy()),
            "decided_at": time_column(np.full(n, day.as_unit("us").asm8)),
            "campaign": text_column(np.full(n, f"simulated-{day:%Y-%m}")),
            "action": text_column(np.asarray(actions, dtype=object)[served]),
            "probability": probabilities[np.arange(n), served],
            "cost": np.asarray(costs)[served],
        }
    )
    logged = pd.DataFrame(probabilities, columns=[PROBABILITY_PREFIX + label for label in actions])
    return pd.concat([contacts, logged], axis=1)


def _yes(flags: pd.Series) -> Flags:
    return flags.fillna(False).to_numpy(dtype=bool)
