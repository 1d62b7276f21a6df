"""Messages whose times of sending make a known difference, or none: a test of finding the best time of contact."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

START = pd.Timestamp("2026-01-05T00:00Z")  # a Monday
EMAILS = ("miss_you_email_none", "better_email_update", "fit_email_trial")


Gain = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""What a weekday (n,), 0 for Monday, and an hour (n,) add to the chance of an answer (n,)."""


def no_difference(weekday: np.ndarray, hour: np.ndarray) -> np.ndarray:
    """Times that make no difference."""
    return np.zeros(len(hour))


def sent_messages(
    n: int,
    gain: Gain,
    *,
    seed: int,
    weeks: int = 12,
    each: int = 3,
    habits: bool = True,
    zone: str = "America/New_York",
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Messages of the default playbook's e-mails that were sent at known times, and the answers.

    People answer at rates of their own; each of the messages, each week and each single day has its own rate, too.

    Parameters
    ----------
    n : int
        Messages.
    gain : callable
        See `Gain`.
    seed : int
    weeks : int
        Over which they are sent.
    each : int
        To one person, on average.
    habits : bool
        Whether each person is always sent messages at about the same hour.
    zone : str
        Time zone of everybody.

    Returns
    -------
    contacts, outcomes, customers : DataFrame
        The columns that `ContactTimes.fit` needs.
    """
    rng = np.random.default_rng(seed)
    person = rng.integers(0, n // each, n)
    action = rng.integers(0, len(EMAILS), n)
    day = rng.integers(0, 7 * weeks, n)
    hour = rng.integers(0, 24, n)
    if habits:
        hour = (rng.integers(0, 24, n // each)[person] + rng.integers(-2, 3, n)) % 24
    chance = (
        rng.uniform(0.1, 0.3, n // each)[person]
        + np.array([-0.05, 0.0, 0.08])[action]
        + rng.normal(0, 0.03, weeks)[day // 7]
        + rng.normal(0, 0.03, 7 * weeks)[day]
        + gain(day % 7, hour)
    )
    local = START.tz_localize(None) + pd.to_timedelta(day, unit="D") + pd.to_timedelta(hour * 60 + 10, unit="m")
    sent_at = local.tz_localize(zone, ambiguous=np.ones(n, dtype=bool), nonexistent="shift_forward").tz_convert("UTC")
    decision_id = pd.Series(np.arange(n)).map("d{}".format).astype("str")
    customer_id = pd.Series(person).map("c{}".format).astype("str")
    contacts = pd.DataFrame(
        {
            "decision_id": decision_id,
            "customer_id": customer_id,
            "decided_at": sent_at.normalize() - pd.Timedelta(days=1),
            "campaign": "one",
            "action": np.array(EMAILS, dtype=object)[action],
        }
    )
    answers = rng.random(n) < chance
    parts = [("sent", np.ones(n, dtype=bool), 0), ("delivered", np.ones(n, dtype=bool), 1), ("opened", answers, 30)]
    outcomes = pd.concat(
        [
            pd.DataFrame(
                {
                    "customer_id": customer_id[there],
                    "decision_id": decision_id[there],
                    "at": sent_at[there] + pd.Timedelta(minutes=minutes),
                    "type": kind,
                }
            )
            for kind, there, minutes in parts
        ],
        ignore_index=True,
    )
    customers = pd.DataFrame({"customer_id": customer_id.unique(), "as_of": START, "time_zone": zone})
    return contacts, outcomes, customers
