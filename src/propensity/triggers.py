"""Who is due for a decision because of an event, besides the waves: a cancellation, an abandoned cart."""

from __future__ import annotations

import pandas as pd

from propensity.errors import InputError
from propensity.playbook import Playbook, Trigger
from propensity.policy.history import RETURNS

DUE_COLUMNS = ("customer_id", "trigger", "step", "due_at")
STAY_AWAY = ("unsubscribed", "complained", "excluded")
"""To whom this happened, at any time, they are due for nothing."""


def due(
    customers: pd.DataFrame,
    events: pd.DataFrame,
    playbook: Playbook,
    since: pd.Timestamp,
    until: pd.Timestamp,
) -> pd.DataFrame:
    """Steps of the playbook's triggers that fall due after ``since`` and no later than ``until``.

    Only people who left and are still away are due: whoever came back or bought since they left, opted out or
    complained is not, nor is anybody for a cart that they abandoned before they left. Being due is not being contacted:
    eligibility decides when the decision is taken, and may find, for example, that somebody is cooling off.

    Parameters
    ----------
    customers : DataFrame
        Checked customers; of several rows of a person the newest that is no later than ``until`` counts.
    events : DataFrame
        Checked outcomes; those after ``until`` do not count.
    playbook : Playbook
    since, until : Timestamp
        Aware. With intervals that join, each step falls into exactly one.

    Returns
    -------
    DataFrame (n, 4)
        ``customer_id``, ``trigger`` (its name), ``step`` (1 for the first) and ``due_at``, in the order of time.

    Raises
    ------
    InputError
        The interval is empty, or the playbook has no triggers.

    Notes
    -----
    A cancellation is ``churned_at``; its steps wait for the end of the cooling-off time, and of several that wait the
    last one stays. Of a person's carts the newest counts: it begins anew. A step of an earlier interval whose event is
    reported only now is missed, so let ``until`` lie as far back as events take to arrive.
    """
    if not since < until:
        raise InputError(f"since, until: expected a time and a later one, found {since} and {until}")
    if not playbook.triggers:
        raise InputError(f"playbook {playbook.name}: has no triggers; add one, such as [triggers.after_cancelling]")
    left = newest_rows(customers, until)[["customer_id", "churned_at"]]
    since_left = events.loc[events["at"] <= until, ["customer_id", "at", "type"]].merge(left, on="customer_id")
    stays_away = since_left["type"].isin(STAY_AWAY)
    since_left = since_left[stays_away | (since_left["at"] > since_left["churned_at"])]
    gone = since_left.loc[since_left["type"].isin([*RETURNS, *STAY_AWAY]), "customer_id"]
    left = left[~left["customer_id"].isin(gone)]
    carts = since_left[since_left["type"] == "cart_abandoned"].groupby("customer_id")["at"].max()
    newest_cart = pd.Series(carts.reindex(left["customer_id"]).array, index=left.index)
    steps = []
    for name, trigger in playbook.triggers.items():
        # a missing time, of whoever abandoned no cart, lies in no interval
        started = left["churned_at"] if trigger.event == "cancelled" else newest_cart
        steps.append(_steps(left["customer_id"], started, name, trigger, playbook))
    found = pd.concat(steps, ignore_index=True)
    found = found[(found["due_at"] > since) & (found["due_at"] <= until)]
    return found.sort_values(["due_at", "customer_id", "trigger", "step"], ignore_index=True)


def due_customers(customers: pd.DataFrame, steps: pd.DataFrame, until: pd.Timestamp) -> pd.DataFrame:
    """The rows of the people who are due, each once, to decide on.

    Parameters
    ----------
    customers : DataFrame
        As for `due`.
    steps : DataFrame (m, 4)
        From `due`. Of several steps of a person the last one counts: nobody gets two messages at once.
    until : Timestamp

    Returns
    -------
    DataFrame (n, columns)
        Columns of ``customers``, and ``trigger``, ``step`` and ``due_at``.
    """
    last = steps.drop_duplicates("customer_id", keep="last")
    people = newest_rows(customers, until).drop(columns=list(DUE_COLUMNS[1:]), errors="ignore")
    return last.merge(people, on="customer_id", validate="1:1")[[*people.columns, *DUE_COLUMNS[1:]]]


def newest_rows(customers: pd.DataFrame, until: pd.Timestamp) -> pd.DataFrame:
    """Each person's newest row that is no later than ``until``."""
    known = customers[customers["as_of"] <= until]
    return known.sort_values("as_of", kind="stable").drop_duplicates("customer_id", keep="last")


def _steps(customer_id: pd.Series, started: pd.Series, name: str, trigger: Trigger, playbook: Playbook) -> pd.DataFrame:
    """All steps (people x steps, 4) of a trigger that began at these times (n,)."""
    least = playbook.program.cooling_off_days * 24 if trigger.event == "cancelled" else 0.0
    hours = {max(after, least): number for number, after in enumerate(trigger.after_hours, start=1)}
    parts = [
        pd.DataFrame(
            {
                "customer_id": customer_id,
                "trigger": name,
                "step": number,
                "due_at": started.astype("datetime64[us, UTC]") + pd.Timedelta(hours=after).as_unit("us"),
            }
        )
        for after, number in hours.items()
    ]
    return pd.concat(parts, ignore_index=True)
