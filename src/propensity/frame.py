"""The training frame: decisions whose window has closed, with what was known before and what happened after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
    frame = with_snapshots(contacts, customers)
    totals = _outcomes_in_window(frame[["decision_id", "customer_id", "decided_at"]], outcomes, window)
    return frame.join(totals, on="decision_id").fillna(dict.fromkeys(OUTCOME_COLUMNS, 0.0))


def with_snapshots(decisions: pd.DataFrame, customers: pd.DataFrame) -> pd.DataFrame:
    """Decisions with what was known of the person: the last snapshot that is no younger than the decision.

    Parameters
    ----------
    decisions : DataFrame
        ``decision_id``, ``customer_id``, ``decided_at``, ...
    customers : DataFrame
        A checked customers table.

    Returns
    -------
    DataFrame
        Columns of both, sorted by ``decision_id``; decisions on people who were not known then are left out.
    """
    frame = pd.merge_asof(
        decisions.sort_values("decided_at", kind="stable"),
        customers.sort_values("as_of", kind="stable"),
        left_on="decided_at",
        right_on="as_of",
        by="customer_id",
    )
    return frame[frame["as_of"].notna()].sort_values("decision_id", kind="stable").reset_index(drop=True)


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
        From the ``probability_<action>`` columns where they are (an action without one had no chance); otherwise
        the probability is the same for everybody who was served an action, and each row is that share of each action.

    Raises
    ------
    InputError
        Probabilities differ between people and are not logged for every action.
    """
    logged = [a for a in actions if PROBABILITY_PREFIX + a in frame]
    chances = frame[[PROBABILITY_PREFIX + a for a in logged]].set_axis(logged, axis=1)
    if len(logged) == len(actions) or (logged and np.allclose(chances.sum(axis=1), 1.0, atol=1e-6)):
        # where the logged ones sum to 1, nobody had a chance of another
        return chances.reindex(columns=actions, fill_value=0.0)
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


SplitKind = Literal["time", "customers"]
MIN_PEOPLE_PER_ACTION = 50
"""Of each action that training has, on either side of a split by time."""


@dataclass(frozen=True)
class Split:
    """Decisions that teach and decisions that test; no customer has both.

    Attributes
    ----------
    kind : {"time", "customers"}
    training, held_out : DataFrame
        Rows of a training frame.
    why : str
        How it was split, why so, and who is on neither side; for people.
    """

    kind: SplitKind
    training: pd.DataFrame
    held_out: pd.DataFrame
    why: str


def split(frame: pd.DataFrame, *, window_days: float, share: float, seed: int, kind: SplitKind | None = None) -> Split:
    """Split a training frame into decisions that teach and decisions that test.

    Parameters
    ----------
    frame : DataFrame (n, ...)
        A training frame.
    window_days : float
        Attribution window.
    share : float
        Of people (by customers) or of decisions (by time, as near as may be) that are held out.
    seed : int
        Of the draw by customers.
    kind : {"time", "customers"}, optional
        By default by time where that can be done, else by customers.

    Raises
    ------
    InputError
        ``kind="time"`` is asked for and cannot be done, or nobody held out got an action that training has.

    Notes
    -----
    By time, the latest decisions test. Only decisions whose window had closed when the first of them was taken teach;
    those in between are on neither side. Of customers with decisions on both sides the later ones do not count: whether
    somebody is decided on again depends on what the first decision brought, so that taking the earlier ones away would
    select training by its outcome.
    """
    if kind == "customers":
        return _split_by_customers(frame, share, seed, "as asked")
    found = _split_by_time(frame, pd.Timedelta(days=window_days), share)
    if isinstance(found, Split):
        return found
    if kind == "time":
        raise InputError(f"split by time: {found}; split by customers instead")
    return _split_by_customers(frame, share, seed, f"not by time, because {found}")


def _split_by_customers(frame: pd.DataFrame, share: float, seed: int, reason: str) -> Split:
    held_out = is_held_out_of_training(frame["customer_id"], share, seed)
    training, unseen = frame[~held_out].reset_index(drop=True), frame[held_out].reset_index(drop=True)
    lacking = sorted(set(training["action"]) - set(unseen["action"]))
    if lacking:
        raise InputError(
            f"held-out people: nobody among {len(unseen)} got {', '.join(lacking)}; hold out more, or bring more people"
        )
    n_all, n_held_out = frame["customer_id"].nunique(), unseen["customer_id"].nunique()
    return Split("customers", training, unseen, f"{n_held_out:,} of {n_all:,} people, at random ({reason})")


def _split_by_time(frame: pd.DataFrame, window: pd.Timedelta, share: float) -> Split | str:
    """The split, or why there is none."""
    decided = frame["decided_at"]
    first = _first_test_time(decided, window, share)
    if first is None:
        return (
            f"all decisions were taken within {_days(decided.max() - decided.min())} and the attribution window is "
            f"{_days(window)}"
        )
    training, held_out = frame[decided + window <= first], frame[decided >= first]
    require_windows_closed(training, held_out, window)
    again = held_out["customer_id"].isin(training["customer_id"])
    n_again = held_out.loc[again, "customer_id"].nunique()
    held_out = held_out[~again]
    counts = pd.DataFrame({side: f["action"].value_counts() for side, f in (("before", training), ("after", held_out))})
    counts = counts.reindex(sorted({*training["action"], CONTROL})).fillna(0).astype(int)
    small = counts[(counts < MIN_PEOPLE_PER_ACTION).any(axis=1)]
    if len(small):
        told = ", ".join(f"{r.Index} {r.before:,} and {r.after:,}" for r in small.itertuples())
        return (
            f"{MIN_PEOPLE_PER_ACTION} decisions of each action are needed among those whose windows closed before "
            f"{first:%Y-%m-%d} and among those from then on, on other people; found {told}"
        )
    why = [
        f"by time: the {len(held_out):,} decisions from {first:%Y-%m-%d} on test; the {len(training):,} until "
        f"{training['decided_at'].max():%Y-%m-%d} teach, their windows of {_days(window)} had closed by then"
    ]
    n_between = len(frame) - len(training) - len(held_out) - int(again.sum())
    if n_between:
        why.append(f"{n_between:,} in between are on neither side")
    if n_again:
        why.append(f"{n_again:,} people who taught do not count again in the test")
    return Split("time", training.reset_index(drop=True), held_out.reset_index(drop=True), "; ".join(why))


def _first_test_time(decided: pd.Series, window: pd.Timedelta, share: float) -> pd.Timestamp | None:
    """The time from which on decisions test, so that about ``share`` of those that teach or test do; None: no such."""
    times = decided.sort_values(ignore_index=True)
    starts = times.drop_duplicates()
    starts = starts[starts >= times.iloc[0] + window]
    if starts.empty:
        return None
    n_test = len(times) - times.searchsorted(starts, side="left")
    n_training = times.searchsorted(starts - window, side="right")
    off = np.abs(n_test / (n_test + n_training) - share)
    # of two as good the later one, which leaves more to learn from
    return starts.iloc[len(off) - 1 - int(np.argmin(off[::-1]))]


def require_windows_closed(training: pd.DataFrame, held_out: pd.DataFrame, window: pd.Timedelta) -> None:
    """Refuse a split by time in which an outcome of training may come after a test decision.

    Raises
    ------
    InputError
        A test decision lies between a training decision and the end of its window.
    """
    end = training["decided_at"].max() + window
    n_inside = int((held_out["decided_at"] < end).sum())
    if n_inside:
        raise InputError(
            f"split by time: {n_inside:,} of {len(held_out):,} test decisions were taken before the last window of "
            f"training closed ({end:%Y-%m-%d %H:%M} UTC), so that training saw outcomes from after them; test on later "
            "decisions"
        )


def _days(span: pd.Timedelta) -> str:
    days = span / pd.Timedelta(days=1)
    return f"{days:,.0f} days" if days == round(days) else f"{days:,.1f} days"


def days_old(frame: pd.DataFrame) -> np.ndarray:
    """Age of each decision (n,), in days before the newest."""
    return ((frame["decided_at"].max() - frame["decided_at"]) / pd.Timedelta(days=1)).to_numpy(dtype=float)


def all_actions(labels: list[str]) -> list[str]:
    """Control first, then the sorted labels: the column order used everywhere."""
    return [CONTROL, *sorted(labels)]
