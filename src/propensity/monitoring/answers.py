"""What people did after contact, now against before, at equal ages of their decisions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from propensity.contract import CONTROL, OUTCOME_TYPES
from propensity.inference import fewer_events, rate_change
from propensity.monitoring.results import Check, Finding, Period, concluded, p_words
from propensity.monitoring.strata import STRATA, by_stratum, expected_of_fewer
from propensity.pages.words import percent

RESPONSES = {"opened": ("opened",), "clicked": ("clicked",), "reactivated": ("reactivated", "purchased")}
"""Each response and the types of events that show it."""
PRACTICAL_CHANGE = 0.2
"""Of a response's share, as a part of what it was before."""
PRACTICAL_LOSS = 0.5
"""Share of the expected events that is missing."""
MIN_RESPONSES, MIN_EXPECTED = 20, 10
REPORTED = tuple(name for name in OUTCOME_TYPES if name != "excluded")
"""Types of events that come by themselves; exclusions are the company's own doing."""
NO_EVENT = "No kind of event has come yet."
_DAYS = (0, 1, 2, 3, 4, 5, 6, 7, 14, 21, 28, 42, 60, 90, 120, 180, 365)


def attached(events: pd.DataFrame, decisions: pd.DataFrame) -> pd.DataFrame:
    """Events with the decision that each follows: the one it names, else the customer's last before it.

    Parameters
    ----------
    events : DataFrame (k, ...)
        ``customer_id``, ``decision_id`` (may be missing), ``at``, ``type``.
    decisions : DataFrame (n, ...)
        ``decision_id``, ``customer_id``, ``decided_at``, `STRATA`.

    Returns
    -------
    DataFrame (up to k, ...)
        ``type``, ``decision_id``, `STRATA`, ``decided_at``, ``age_days``; those of no decision are left out.
    """
    columns = ["decision_id", "decided_at", *STRATA]
    named = events[events["decision_id"].notna()]
    named = named.merge(decisions[columns], on="decision_id")
    rest = events[events["decision_id"].isna()].drop(columns="decision_id").sort_values("at", kind="stable")
    followed = pd.merge_asof(
        rest,
        decisions[[*columns, "customer_id"]].sort_values("decided_at", kind="stable"),
        left_on="at",
        right_on="decided_at",
        by="customer_id",
    )
    both = pd.concat([named, followed[followed["decision_id"].notna()]], ignore_index=True)
    both["age_days"] = (both["at"] - both["decided_at"]).dt.total_seconds() / 86_400
    return both.loc[both["age_days"] >= 0, ["type", *columns, "age_days"]]


def responses(looked_at: str, decisions: pd.DataFrame, events: pd.DataFrame, period: Period, age_days: float) -> Check:
    """Compare shares of the contacted who responded within some days, of decisions that reached that age now or before.

    Parameters
    ----------
    looked_at : str
    decisions : DataFrame (n, ...)
        ``decision_id``, ``customer_id``, ``decided_at``, `STRATA`.
    events : DataFrame
        From `attached`.
    period : Period
    age_days : float
    """
    age = pd.Timedelta(days=age_days)
    contacted = decisions[decisions["action"] != CONTROL]
    grown = contacted["decided_at"] + age
    now = _first_of_each(contacted[(grown > period.since) & (grown <= period.until)])
    before = _first_of_each(contacted[(grown > period.before) & (grown <= period.since)])
    findings = []
    for name, types in RESPONSES.items():
        shown = events.loc[events["type"].isin(types) & (events["age_days"] <= age_days), "decision_id"]
        with_it = (group.assign(has=group["decision_id"].isin(set(shown))) for group in (now, before))
        findings.append(_response(name, *by_stratum(*with_it)))
    return concluded("responses", looked_at, findings, " ".join(f.sentence for f in findings))


def _first_of_each(decisions: pd.DataFrame) -> pd.DataFrame:
    """One decision a customer: people, not decisions, are independent."""
    return decisions.sort_values("decided_at", kind="stable").drop_duplicates("customer_id")


def _response(name: str, now: np.ndarray, before: np.ndarray) -> Finding:
    changed = rate_change(now, before)
    if changed is None or min(expected_of_fewer(now, before)) < MIN_RESPONSES:
        sentence = f"{name}: {int(now[:, 0].sum()):,} of {int(now[:, 1].sum()):,} contacted; too few to compare."
        return Finding(name, sentence)
    return Finding(
        name=name,
        sentence=(
            f"{name}: {percent(changed.now)} of {changed.n_now:,} contacted, {percent(changed.before)} of as old "
            f"decisions before; changed by {100 * changed.difference:+.1f} points (95 % sure: {100 * changed.low:+.1f} "
            f"to {100 * changed.high:+.1f}; {p_words(changed.p_value)})."
        ),
        p_value=changed.p_value,
        size=abs(changed.difference) / changed.before if changed.before > 0 else np.inf,
        alarm_above=PRACTICAL_CHANGE,
        figures=changed._asdict(),
    )


def missing_outcomes(
    looked_at: str, decisions: pd.DataFrame, events: pd.DataFrame, period: Period, window_days: float
) -> Check:
    """Test whether types of events that came before have become rare or stopped.

    Parameters
    ----------
    looked_at : str
    decisions : DataFrame (n, ...)
        Of everybody, without contact too: ``decision_id``, ``decided_at``, `STRATA`.
    events : DataFrame
        From `attached`.
    period : Period
    window_days : float
        Events after so many days are not looked at.

    Notes
    -----
    The days after a decision are cut into spans. A span counts as now or before by when it ended, and has or has not
    seen an event; that is compared for the same action in the same span (`inference.fewer_events`). So windows that are
    open count for as long as they were.
    """
    spans = [d for d in _DAYS if d < window_days] + [window_days]
    code, strata = pd.factorize(pd.MultiIndex.from_frame(decisions[STRATA]))
    if not len(strata):
        return concluded("missing_outcomes", looked_at, [], NO_EVENT)
    first = events.sort_values("age_days", kind="stable").drop_duplicates(["decision_id", "type"])
    exposure = _by_span(code, decisions["decided_at"], None, len(strata), spans, period)
    own = strata.get_indexer(pd.MultiIndex.from_frame(first[STRATA]))
    findings = []
    for name in REPORTED:
        kind = (first["type"] == name).to_numpy()
        if kind.any():
            mine = first[kind]
            happened = _by_span(own[kind], mine["decided_at"], mine["age_days"], len(strata), spans, period)
            findings.append(_missing(name, happened, exposure))
    return concluded("missing_outcomes", looked_at, findings, NO_EVENT)


def _by_span(
    stratum: np.ndarray,
    decided_at: pd.Series,
    age_days: pd.Series | None,
    n_strata: int,
    spans: Sequence[float],
    period: Period,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of now and of before, each (n strata x spans,); with ages, each row in the span of its age only."""
    counts = []
    age = None if age_days is None else np.searchsorted(spans[1:], age_days.to_numpy(), side="left")
    for since, until in ((period.since, period.until), (period.before, period.since)):
        sides = []
        for number, end in enumerate(spans[1:]):
            over = decided_at + pd.Timedelta(days=end)
            counted = ((over > since) & (over <= until)).to_numpy()
            if age is not None:
                counted = counted & (age == number)
            sides.append(np.bincount(stratum[counted], minlength=n_strata))
        counts.append(np.concatenate(sides).astype(float))
    return counts[0], counts[1]


def _missing(name: str, happened: tuple[np.ndarray, np.ndarray], exposure: tuple[np.ndarray, np.ndarray]) -> Finding:
    now, before = (np.column_stack(side) for side in zip(happened, exposure, strict=True))
    found = fewer_events(now, before)
    if found.expected < MIN_EXPECTED:
        sentence = f"{name}: {found.observed:,} came where {found.expected:.1f} were expected; too few to tell."
        return Finding(name, sentence)
    return Finding(
        name=name,
        sentence=(
            f"{name}: {found.observed:,} came where {found.expected:,.0f} were expected ({p_words(found.p_value)})."
        ),
        p_value=found.p_value,
        size=1 - found.observed / found.expected,
        alarm_above=PRACTICAL_LOSS,
        figures=found._asdict(),
    )
