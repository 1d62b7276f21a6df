"""Whether the figures of an experiment may be read, and what limits their reading, in plain sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from propensity.inference import (
    Balance,
    Covariates,
    SampleRatio,
    balance_test,
    sample_ratio_by_segment,
    sample_ratio_test,
)
from propensity.ledger.experiments import Elsewhere
from propensity.pages.words import action_words, listed, percent
from propensity.playbook import Guardrails, Playbook
from propensity_experiments.arms import Arms
from propensity_experiments.contents import Health, Imbalance, SegmentRatio
from propensity_experiments.known import UNKNOWN_TIME, Known
from propensity_experiments.watched import DAY, Watched

BROUGHT_BY = {
    "email": ("delivered", "opened", "clicked"),
    "in_app": ("opened", "clicked"),
    "sms": ("delivered",),
    "push": ("delivered", "opened"),
    "retargeting_ad": ("clicked",),
}
"""Types of events that each channel should bring."""
ENOUGH_TO_MISS = 200
"""Contacted people from whom on a type of event that never came is missed."""
SILENT_DAYS = 7
MOST_IMBALANCES = 5
UNLIKELY = 0.01
"""Below this p-value a difference before contact is not put down to chance."""
UNEVEN = "People did not get their arms with the planned chances."


def health_of(
    arms: Arms,
    watched: Watched,
    rows: np.ndarray,
    known: Known,
    elsewhere: Elsewhere,
    *,
    before: Covariates | None,
    segments: pd.DataFrame,
    currency: str,
    currencies: Mapping[str, str],
    playbook: Playbook | None,
    now: int,
) -> Health:
    """The health of an experiment.

    Parameters
    ----------
    arms : Arms
        Of the decisions whose window is over.
    watched : Watched
    rows : int array (n,)
        Those decisions, among the watched.
    known : Known
    elsewhere : Elsewhere
    before : Covariates (n, k) or None
        Numbers that were known before the decision.
    segments : DataFrame (m, segments)
        Of those of whom there is a snapshot, indexed by position among ``rows``.
    currency : str
        Of the campaign.
    currencies : mapping of str
        By campaign.
    playbook : Playbook or None
    now : int
        Microseconds since 1970.
    """
    ratio, by_segment = _ratio(arms), _by_segment(arms, segments)
    balance = None
    if before is not None and arms.propensity is not None:
        balance = balance_test(before, arms.action, arms.propensity)
    others = others_of(watched, rows, elsewhere)
    missing = _missing(arms, watched, rows, playbook)
    faults = []
    if not ratio.healthy:
        faults.append(UNEVEN)
    allowed = (playbook.guardrails if playbook is not None else Guardrails()).crossed_over_share
    if len(rows) and watched.crossed_over > allowed * len(rows):
        faults.append(
            f"{_people(watched.crossed_over)} got what another arm was to get, more than {percent(allowed)} of all: "
            "the arms are mixed up."
        )
    cautions = [
        *([arms.problem] if arms.problem else []),
        *_of_arms(arms),
        *_of_likeness(by_segment, balance),
        *_of_windows(watched, rows),
        *_of_others(others, currency, currencies),
        *_of_early_returns(watched, rows, known),
        *([f"No event of type {listed(missing, 'or')} was reported."] if missing else []),
        *_of_silence(watched, now),
    ]
    return Health(
        sample_ratio=ratio,
        by_segment=by_segment,
        balance_p_value=None if balance is None else balance.p_value,
        imbalances=() if balance is None else _imbalances(balance),
        crossed_over=watched.crossed_over,
        in_other_experiments=others,
        last_event=None if watched.newest is None else _moment(watched.newest),
        missing_outcomes=missing,
        cautions=tuple(cautions),
        faults=tuple(faults),
    )


def _ratio(arms: Arms) -> SampleRatio:
    if arms.propensity is not None:
        return sample_ratio_test(arms.action, arms.propensity)
    observed = np.bincount(arms.arm, minlength=len(arms.labels)).tolist()
    counted = dict(zip(arms.labels, observed, strict=True))
    return SampleRatio(True, 1.0, 0.0, 0, counted, {name: float(n) for name, n in counted.items()})


def _by_segment(arms: Arms, segments: pd.DataFrame) -> tuple[SegmentRatio, ...]:
    """The sample-ratio tests within segments, the most suspicious first."""
    if arms.propensity is None or not segments.columns.size:
        return ()
    action, chances = arms.action, arms.propensity
    if len(segments) < len(action):
        action, chances = action[segments.index], chances.iloc[segments.index].reset_index(drop=True)
    found = sample_ratio_by_segment(action, chances, segments.set_axis(chances.index))
    tested = [SegmentRatio(x.segment, x.value, x.people, x.p_value, x.p_adjusted) for x in found]
    return tuple(sorted((x for x in tested if not math.isnan(x.p_value)), key=lambda x: x.p_value))


def _imbalances(balance: Balance) -> tuple[Imbalance, ...]:
    """The columns in which the arms differ most, each by its worst arm."""
    worst: dict[str, float] = {}
    for found in balance.differences:
        if abs(found.difference) >= abs(worst.get(found.column, 0.0)):
            worst[found.column] = found.difference
    largest = sorted(worst.items(), key=lambda x: -abs(x[1]))[:MOST_IMBALANCES]
    return tuple(Imbalance(column, difference) for column, difference in largest)


def _of_likeness(by_segment: Sequence[SegmentRatio], balance: Balance | None) -> list[str]:
    said = []
    uneven = [x for x in by_segment if x.p_adjusted < UNLIKELY]
    if uneven:
        named = listed([f"{action_words(x.segment)}: {action_words(x.value)}" for x in uneven[:3]])
        said.append(f"People did not get their arms with the planned chances within some segments ({named}).")
    if balance is not None and balance.p_value < UNLIKELY:
        named = listed([action_words(x.column) for x in _imbalances(balance)[:3]])
        said.append(
            f"The arms differ in what was known before the decisions, more than chance explains: most in {named}."
        )
    return said


def others_of(watched: Watched, rows: np.ndarray, elsewhere: Elsewhere) -> dict[str, int]:
    """People who were contacted or held out in other campaigns while they were watched in this one, by campaign."""
    if not len(elsewhere.person) or not len(rows):
        return {}
    order = np.argsort(elsewhere.person, kind="stable")
    other, at, campaign = (x[order] for x in (elsewhere.person, elsewhere.at, elsewhere.campaign))
    person, decided = watched.person[rows], watched.at[rows]
    first, last = (np.searchsorted(other, person, side) for side in ("left", "right"))
    times = last - first
    mine = np.repeat(np.arange(len(rows)), times)
    theirs = np.arange(len(mine)) - np.repeat(np.cumsum(times) - times, times) + first[mine]
    # the other's window is as long as this one's: either may have touched what is counted here
    near = np.abs(at[theirs] - decided[mine]) < watched.window
    pairs = np.unique(np.column_stack([person[mine[near]], campaign[theirs[near]]]), axis=0)
    counts = np.bincount(pairs[:, 1], minlength=len(elsewhere.campaigns)) if len(pairs) else []
    return {name: int(n) for name, n in zip(elsewhere.campaigns, counts, strict=False) if n}


def _missing(arms: Arms, watched: Watched, rows: np.ndarray, playbook: Playbook | None) -> tuple[str, ...]:
    contacted = arms.contacted
    if contacted.sum() < ENOUGH_TO_MISS:
        return ()
    expected = {"purchased"}
    if playbook is not None:
        used = {playbook.actions[name].channel for name in arms.labels if name in playbook.actions}
        expected |= {kind for channel in used for kind in BROUGHT_BY.get(channel, ())}
    return tuple(sorted(kind for kind in expected if not watched.did[kind][rows].any()))


def _of_arms(arms: Arms) -> list[str]:
    said = []
    if arms.never_served:
        names = listed([action_words(name) for name in arms.never_served])
        said.append(f"Nobody got {names}, though people had a chance of it.")
    counts = np.bincount(arms.arm, minlength=len(arms.labels))
    alone = [action_words(name) for name, n in zip(arms.labels, counts, strict=True) if n == 1]
    if alone:
        said.append(f"Only one person got {listed(alone)}, too few to compare.")
    return said


def _of_windows(watched: Watched, rows: np.ndarray) -> list[str]:
    said = []
    days = watched.window / DAY
    if watched.overlapping:
        said.append(
            f"{_many(watched.overlapping, 'decision')} came less than {days:g} days after another one on the same "
            "person and are left out, because their outcomes cannot be told apart."
        )
    n_open = len(watched.rows) - len(rows)
    if n_open:
        said.append(
            f"{_many(n_open, 'decision')} are left out, because their {days:g} days are not over; they count in the "
            "curve of returns only."
        )
    if len(watched.not_sent):
        said.append(
            f"{_people(len(watched.not_sent))} were to be contacted and no event says that anything was sent; they are "
            "left out."
        )
    if watched.crossed_over:
        said.append(f"{_people(watched.crossed_over)} got what another arm of this experiment was to get.")
    return said


def _of_others(others: Mapping[str, int], currency: str, currencies: Mapping[str, str]) -> list[str]:
    said = []
    if others:
        named = listed([f"{name} ({n:,})" for name, n in sorted(others.items(), key=lambda x: (-x[1], x[0]))[:3]])
        rest = f", and {len(others) - 3} more campaigns" if len(others) > 3 else ""
        said.append(
            f"People of this experiment were contacted or held out in other campaigns at the same time: {named}{rest}. "
            "What those caused may be counted here."
        )
    foreign = sorted({currencies[name] for name in others if currencies.get(name, currency) != currency})
    if foreign:
        said.append(
            f"Some of these campaigns are in {listed(foreign)} and this one is in {currency}: purchases that were "
            "reported in another currency are counted as if they were in this one."
        )
    return said


def _of_early_returns(watched: Watched, rows: np.ndarray, known: Known) -> list[str]:
    left = known.churned_at[rows]
    back = int(((left > UNKNOWN_TIME) & (watched.back_before[rows] > left)).sum())
    if not back:
        return []
    return [
        f"{_people(back)} had come back already when it was decided to contact them or to hold them out; what they did "
        "before does not count."
    ]


def _of_silence(watched: Watched, now: int) -> list[str]:
    """No event for days, though there are people whose windows are open."""
    if watched.closed.all() or not len(watched.rows):
        return []
    last = max(watched.newest or 0, int(watched.at.max()))
    days = (now - last) / DAY
    return [f"No event has come for {days:.0f} days, though windows are open."] if days > SILENT_DAYS else []


def _moment(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


def _people(n: int) -> str:
    return f"{n:,} {'person' if n == 1 else 'people'}"


def _many(n: int, word: str) -> str:
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def first_reasons(stops: Sequence[tuple[str, ...]], stopped_by: np.ndarray) -> dict[str, int]:
    """How many decisions (n,) each first reason stopped, the most frequent first; ``unknown`` where none was kept."""
    counts = np.bincount(stopped_by + 1, minlength=len(stops) + 1)
    found: dict[str, int] = {}
    for n, codes in zip(counts.tolist(), [(), *stops], strict=True):
        if n:
            name = codes[0] if codes else "unknown"
            found[name] = found.get(name, 0) + n
    return dict(sorted(found.items(), key=lambda x: (-x[1], x[0])))
