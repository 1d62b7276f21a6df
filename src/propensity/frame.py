"""The training frame: decisions whose window has closed, with what was known before and what happened after."""

from __future__ import annotations

import numpy as np
import pandas as pd

from propensity.contract import CONTROL, PROBABILITY_PREFIX
from propensity.errors import InputError
from propensity.policy.draws import uniform_draws

OUTCOME_COLUMNS = ("reactivated", "revenue", "unsubscribed")


def training_frame(
    customers: pd.DataFrame,
    contacts: pd.DataFrame,
    outcomes: pd.DataFrame,
    *,
    window_days: float,
    now: pd.Timestamp | None = None,
) -> pd.DataFrame:
    """Join the three tables into one row a decision.

    Parameters
    ----------
    customers, contacts, outcomes : DataFrame
        Checked contract tables. ``customers`` may hold several rows a person; the last one with
        ``as_of <= decided_at`` counts.
    window_days : float
        Attribution window, in days after ``decided_at``.
    now : Timestamp, optional
        Decisions whose window is still open at this time are left out. Without it, all windows count as closed.

    Returns
    -------
    DataFrame
        Contacts' and customers' columns, and ``reactivated`` (0 or 1), ``revenue`` (currency, sum of purchases) and
        ``unsubscribed`` (0 or 1) inside the window. Sorted by ``decision_id``.
    """
    window = pd.Timedelta(days=window_days)
    if now is not None:
        contacts = contacts[contacts["decided_at"] + window <= now]
    frame = pd.merge_asof(
        contacts.sort_values("decided_at", kind="stable"),
        customers.sort_values("as_of", kind="stable"),
        left_on="decided_at",
        right_on="as_of",
        by="customer_id",
    )
    frame = frame[frame["as_of"].notna()].sort_values("decision_id", kind="stable").reset_index(drop=True)
    totals = _outcomes_in_window(frame[["decision_id", "customer_id", "decided_at"]], outcomes, window)
    return frame.join(totals, on="decision_id").fillna(dict.fromkeys(OUTCOME_COLUMNS, 0.0))


def _outcomes_in_window(decisions: pd.DataFrame, outcomes: pd.DataFrame, window: pd.Timedelta) -> pd.DataFrame:
    events = outcomes[["customer_id", "at", "type"]].copy()
    events["amount"] = outcomes["amount"].fillna(0.0) if "amount" in outcomes else 0.0
    events = events[events["type"].isin(["reactivated", "purchased", "unsubscribed"])]
    events = events.merge(decisions, on="customer_id")
    elapsed = events["at"] - events["decided_at"]
    events = events[(elapsed >= pd.Timedelta(0)) & (elapsed <= window)]
    is_purchase = events["type"] == "purchased"
    sums = pd.DataFrame(
        {
            "decision_id": events["decision_id"],
            # a purchase is a return, whether or not somebody also reported it as one
            "reactivated": (is_purchase | (events["type"] == "reactivated")).astype(float),
            "revenue": events["amount"].where(is_purchase, 0.0),
            "unsubscribed": (events["type"] == "unsubscribed").astype(float),
        }
    )
    grouped = sums.groupby("decision_id")
    return pd.DataFrame(
        {
            "reactivated": grouped["reactivated"].max(),
            "revenue": grouped["revenue"].sum(),
            "unsubscribed": grouped["unsubscribed"].max(),
        }
    )


def logged_propensity(frame: pd.DataFrame, actions: list[str]) -> pd.DataFrame:
    """The logged probability of every action for every row.

    Parameters
    ----------
    frame : DataFrame (n, ...)
        A training frame.
    actions : list of str
        All labels, control first.

    Returns
    -------
    DataFrame (n, len(actions))
        From the ``probability_<action>`` columns where they are; otherwise the probability is the same for everybody
        who was served an action, and each row is that share of each action.

    Raises
    ------
    InputError
        Probabilities differ between people and are not logged for every action.
    """
    wide = [PROBABILITY_PREFIX + a for a in actions]
    if all(name in frame for name in wide):
        return pd.DataFrame(frame[wide].to_numpy(), columns=actions, index=frame.index)
    by_action = frame.groupby("action")["probability"].agg(["min", "max"])
    varies = by_action.index[~np.isclose(by_action["min"], by_action["max"])]
    if len(varies):
        raise InputError(
            f"contacts.probability differs between people for {', '.join(varies)}: log the chance of every action "
            f"in columns {PROBABILITY_PREFIX}<action>, control included"
        )
    shares = by_action["min"].reindex(actions).fillna(0.0)
    if not np.isclose(shares.sum(), 1.0, atol=1e-6):
        raise InputError(
            "contacts.probability: the chances of the actions "
            f"({', '.join(f'{a} {p:g}' for a, p in shares.items())}) sum to {shares.sum():g}, must be 1"
        )
    return pd.DataFrame(np.tile(shares.to_numpy(), (len(frame), 1)), columns=actions, index=frame.index)


def require_separate_windows(contacts: pd.DataFrame, window_days: float) -> None:
    """Refuse contacts of one person whose attribution windows overlap.

    Raises
    ------
    InputError
        What happened in both windows would count for both decisions.
    """
    ordered = contacts.sort_values(["customer_id", "decided_at"], kind="stable")
    gap = ordered["decided_at"].diff().where(ordered["customer_id"] == ordered["customer_id"].shift())
    n_overlapping = int((gap < pd.Timedelta(days=window_days)).sum())
    if n_overlapping:
        raise InputError(
            f"contacts.decided_at: {n_overlapping:,} decisions come less than {window_days:g} days (the attribution "
            "window) after another one on the same customer, so that their outcomes cannot be told apart; keep the "
            "first of each, or shorten the window in the playbook"
        )


def is_held_out_of_training(customer_id: pd.Series, share: float, seed: int) -> np.ndarray:
    """Who is kept from every training, (n,) bool: a draw by customer, so that nobody is on both sides."""
    return uniform_draws(customer_id, "training", str(seed)) < share


def all_actions(labels: list[str]) -> list[str]:
    """Control first, then the sorted labels: the column order used everywhere."""
    return [CONTROL, *sorted(labels)]
