"""Is what was decided sent?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from propensity.contract import CONTROL
from propensity.inference import rate_change
from propensity.monitoring.results import Check, Finding, Period, concluded, p_words
from propensity.monitoring.strata import by_stratum, expected_of_fewer
from propensity.pages.words import percent

UNSENT_TOLERATED = 0.1
"""Share of decisions to send that opt-outs and the like keep from being sent (assumption)."""
PRACTICAL_RISE = 0.05
"""Of that share, in points."""
MIN_DECISIONS, MIN_UNSENT = 20, 10
"""Decisions that were due, and, to compare two times, unsent ones to be expected in either."""


def sent(looked_at: str, decisions: pd.DataFrame, period: Period, grace_days: float) -> Check:
    """Test the share of decisions to send of which no event shows that they were sent.

    Parameters
    ----------
    looked_at : str
    decisions : DataFrame (n, ...)
        To send: ``due_at``, from when it could go out; ``sent_at``, of the first event that shows that it went out
        (missing: none); `strata.STRATA`.
    period : Period
    grace_days : float
        After ``due_at``; a decision counts when they are over.
    """
    over = decisions["due_at"] + pd.Timedelta(days=grace_days)
    unsent = ~(decisions["sent_at"] <= over)
    now = (over > period.since) & (over <= period.until)
    before = (over > period.before) & (over <= period.since)
    judged = decisions.assign(has=unsent)
    findings = [_tolerated(int(unsent[now].sum()), int(now.sum())), _trend(judged[now], judged[before])]
    return concluded("sent", looked_at, findings, " ".join(f.sentence for f in findings))


def _tolerated(unsent: int, n: int) -> Finding:
    if n < MIN_DECISIONS:
        return Finding("unsent", f"Not sent: {n:,} decisions to send were due, too few to tell.")
    return Finding(
        name="unsent",
        sentence=(
            f"Not sent: {unsent:,} of {n:,} decisions to send that were due ({percent(unsent / n)}; up to "
            f"{percent(UNSENT_TOLERATED, 0)} is tolerated)."
        ),
        p_value=float(stats.binom.sf(unsent - 1, n, UNSENT_TOLERATED)),
        size=unsent / n,
        alarm_above=UNSENT_TOLERATED,
        figures={"unsent": unsent, "due": n},
    )


def _trend(now: pd.DataFrame, before: pd.DataFrame) -> Finding:
    name, counts = "unsent, against before", by_stratum(now, before)
    changed = rate_change(*counts)
    if changed is None or expected_of_fewer(*counts)[0] < MIN_UNSENT:
        return Finding(name, "Not sent, against before: too few were not sent to compare.")
    # only a rise is bad: half of the two-sided chance
    p_value = changed.p_value / 2 if changed.difference > 0 else 1 - changed.p_value / 2
    return Finding(
        name=name,
        sentence=(f"Not sent: {percent(changed.now)} now, {percent(changed.before)} before ({p_words(p_value)})."),
        p_value=p_value,
        size=max(0.0, changed.difference),
        alarm_above=PRACTICAL_RISE,
        figures=changed._asdict(),
    )


def first_sent(decisions: pd.DataFrame, events: pd.DataFrame, types: tuple[str, ...]) -> pd.Series:
    """When the first event of these types came that names each decision (n,); missing where none did."""
    shown = events[events["type"].isin(types) & events["decision_id"].notna()]
    first = shown.groupby("decision_id")["at"].min()
    return pd.Series(first.reindex(decisions["decision_id"]).array, index=decisions.index)


def due(decisions: pd.DataFrame) -> pd.Series:
    """From when each decision (n,) could go out: when it was taken, or later where it says so."""
    times = decisions[["decided_at", "not_before", "contact_at"]]
    return times.max(axis=1) if len(times) else times["decided_at"]


def to_send(decisions: pd.DataFrame) -> np.ndarray:
    """Which decisions (n,) of this product ask somebody to send something."""
    return (decisions["action"] != CONTROL).to_numpy() & decisions["model_version"].notna().to_numpy()
