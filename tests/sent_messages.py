"""Messages sent at times of which the truth is known, for tests of when people answer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

START = pd.Timestamp("2026-01-05T00:00Z")  # a Monday
EMAILS = ("miss_you_email_none", "better_email_update", "fit_email_trial")


def sent_messages(
    n: int,
    gain: Callable[[np.ndarray, np.ndarray], np.ndarray],
    *,
    seed: int,
    weeks: int = 12,
    each: int = 3,
    habits: bool = True,
    zone: str = "America/New_York",
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Contacts, outcomes and customers: n messages, ``each`` of them to one person.

    People answer at rates of their own, each message and each week has its own rate, and so has each single day.
    ``habits``: a person is always sent at about the same hour. ``gain(weekday, hour)`` (n,) adds to the chance.
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


def no_difference(weekday: np.ndarray, hour: np.ndarray) -> np.ndarray:
    return np.zeros(len(hour))
