"""When a message may go out, and which one follows if it brings no answer."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from propensity.contract import CONTROL, time_zone_names
from propensity.errors import InputError
from propensity.people import Customers, People, Texts, Times, days_between, in_utc
from propensity.playbook import Playbook, QuietHours, Step, derived
from propensity.policy.history import TouchHistory

TIME_ZONE = "time_zone"
"""Column of the customers table; people without one live in the program's."""


def not_before(action: np.ndarray, customers: Customers, playbook: Playbook, at: pd.Timestamp | pd.Series) -> pd.Series:
    """The first moment (n,), UTC, from which each person's action may go out: not in the channel's quiet hours.

    Parameters
    ----------
    action : array (n,)
        Labels; who gets nothing has ``at``.
    customers : DataFrame (n, ...)
    playbook : Playbook
    at : Timestamp or Series (n,)
        The earliest that anything can be sent.

    Raises
    ------
    InputError
        A time zone that there is not.
    """
    people = People.of(customers)
    start = np.full(len(people), at.to_datetime64()) if isinstance(at, pd.Timestamp) else in_utc(at)
    return as_utc(first_moments(action, people, playbook, start), people.index)


def first_moments(action: np.ndarray, people: People, playbook: Playbook, start: Times) -> Times:
    """`not_before` of times (n,), UTC without a zone."""
    first: Times = start.astype("datetime64[us]")
    channel = channel_of(action, playbook)
    zone = time_zones(people, playbook)
    for name, part in playbook.channels.items():
        rows = np.flatnonzero(channel == name)
        if part.quiet_hours is None or not len(rows):
            continue
        # people share zones and moments: each pair is worked out once
        keys = list(zip(zone[rows].tolist(), first[rows].astype(np.int64).tolist(), strict=True))
        shifted = {
            (z, moment): out_of_quiet_hours(pd.Timestamp(moment, unit="us", tz="UTC"), part.quiet_hours, z)
            for z, moment in dict.fromkeys(keys)
        }
        first[rows] = [shifted[key].to_datetime64() for key in keys]
    return first


def as_utc(moments: Times, index: pd.Index) -> pd.Series:
    """Times (n,), UTC without a zone, as a column."""
    return pd.Series(pd.DatetimeIndex(moments.astype("datetime64[us]"), tz="UTC"), index=index)


def out_of_quiet_hours(at: pd.Timestamp, quiet: QuietHours, zone: str) -> pd.Timestamp:
    """``at``, or the end of the quiet hours that it lies in, by the clocks of ``zone``; UTC."""
    local = at.tz_convert(zone).to_pydatetime()
    clock = local.time()
    if quiet.start < quiet.end:
        inside, days = quiet.start <= clock < quiet.end, 0
    else:
        inside, days = clock >= quiet.start or clock < quiet.end, int(clock >= quiet.start)
    if not inside:
        return at.tz_convert("UTC")
    return _on_clocks(local.date() + timedelta(days=days), quiet.end, zone)


def _on_clocks(day: date, clock: time, zone: str) -> pd.Timestamp:
    """The moment at which the clocks of a zone show a time; where they jump over it, as much later."""
    wall = datetime.combine(day, clock, tzinfo=ZoneInfo(zone))
    return pd.Timestamp(wall).tz_convert("UTC")


def time_zones(customers: Customers, playbook: Playbook) -> Texts:
    """Each person's time zone (n,); the program's where none is known."""
    people = People.of(customers)
    own = playbook.program.time_zone
    if TIME_ZONE not in people:
        return np.full(len(people), own, dtype=object)
    zones = people.texts(TIME_ZONE)
    zones = np.where(zones == None, own, zones)  # noqa: E711 - element by element
    unknown = sorted(set(zones.tolist()) - time_zone_names())
    if unknown:
        raise InputError(
            f"customers.{TIME_ZONE}: expected names such as 'Europe/Berlin', found {unknown[0]!r} in "
            f"{int(np.isin(zones, unknown).sum())} rows"
        )
    return zones


def channel_of(action: np.ndarray, playbook: Playbook) -> np.ndarray:
    """The channel (n,) of each action; None under control."""
    channels = _channels(playbook)
    return np.array([channels.get(a) for a in action], dtype=object)


@derived
def _channels(playbook: Playbook) -> dict[str, str]:
    return {label: part.channel for label, part in playbook.actions.items()}


def next_touch(
    action: np.ndarray,
    value: pd.DataFrame,
    allowed: pd.DataFrame,
    customers: Customers,
    playbook: Playbook,
    first: pd.Series,
    history: TouchHistory | None = None,
) -> pd.DataFrame:
    """What follows each person's action if it brings no answer, as the playbook's sequence says.

    Of the steps after the one that the action's channel belongs to, the first that the person can get: on one of its
    channels, with the same archetype, with one of its offers where it names some, and not forbidden after what was
    sent. Of several, the one of greatest value. Nothing follows where the person would rest by then, would have had as
    many touches as one person may get, or would have left too long ago. Seasons are left to the next decision.

    Parameters
    ----------
    action : array (n,)
    value, allowed : DataFrame (n, actions without control)
    customers : DataFrame (n, ...)
    playbook : Playbook
    first : Series (n,)
        When the action goes out.
    history : TouchHistory, optional
        Without it, no touch went before.

    Returns
    -------
    DataFrame (n, 2)
        ``next_action``, missing where nothing follows, and ``next_not_before``.
    """
    people, labels = People.of(customers), list(value.columns)
    can = allowed.to_numpy() if allowed.columns is value.columns else allowed[labels].to_numpy()
    found = following(action, labels, value.to_numpy(), can, people, playbook, in_utc(first), history)
    return pd.DataFrame(
        {"next_action": found.action, "next_not_before": as_utc(found.not_before, people.index)}, index=people.index
    )


class Following(NamedTuple):
    """What follows (n,): labels, None where nothing does, and when at the earliest, UTC without a zone."""

    action: Texts
    not_before: Times


def following(
    action: np.ndarray,
    labels: list[str],
    worth: np.ndarray,
    can: np.ndarray,
    people: People,
    playbook: Playbook,
    first: Times,
    history: TouchHistory | None,
) -> Following:
    """`next_touch` of values and permissions (n, labels), and of times (n,), UTC without a zone."""
    n = len(people)
    follows: np.ndarray = np.full(n, None, dtype=object)
    waits = np.zeros(n, dtype="timedelta64[us]")
    goes_on = _goes_on(playbook, history, n)
    left_for = days_between(people.times("churned_at"), first)
    for label in set(action.tolist()) - {CONTROL}:
        sent = np.flatnonzero((action == label) & goes_on)
        for waited, may in _later_steps(playbook)[label]:
            choices = np.array([i for i, other in enumerate(labels) if other in may], dtype=np.intp)
            open_ = sent[follows[sent] == None]  # noqa: E711 - element by element
            if not len(choices) or not len(open_):
                continue
            in_time = _in_time([labels[i] for i in choices], left_for[open_] + waited, playbook)
            of_step = np.where(can[np.ix_(open_, choices)] & in_time, worth[np.ix_(open_, choices)], -np.inf)
            best = of_step.argmax(axis=1)
            found = of_step[np.arange(len(open_)), best] > -np.inf
            follows[open_[found]] = np.array(labels, dtype=object)[choices[best[found]]]
            waits[open_[found]] = pd.to_timedelta(waited, unit="D").to_timedelta64()
    there = follows != None  # noqa: E711 - element by element
    moments = np.full(n, np.datetime64("NaT", "us"))
    if there.any():
        due = first_moments(np.where(there, follows, CONTROL), people, playbook, first + waits)
        moments[there] = due[there]
    return Following(follows, moments)


def keep_to_sequence(allowed: pd.DataFrame, history: TouchHistory, playbook: Playbook) -> pd.DataFrame:
    """Leave people who had a touch only what follows it in the playbook's sequence.

    The first later step counts of which they may get any action, as in `next_touch`. Where there is none, or they have
    rested since, the sequence is over, and everything stays allowed. Whoever came back or opted out may get nothing
    anyway (`eligibility`); an opened message alone does not end a sequence.

    Parameters
    ----------
    allowed : DataFrame (n, actions without control) of bool
    history : TouchHistory
    playbook : Playbook

    Returns
    -------
    DataFrame (n, actions without control) of bool
        Nobody who may get something loses all of it.
    """
    kept = allowed.to_numpy(copy=True)
    running = history.days_since_touch < playbook.contact.rest_days
    for label in set(history.last_action[running]) & set(playbook.actions):
        open_ = np.flatnonzero(running & (history.last_action == label))
        for _, may in _later_steps(playbook)[str(label)]:
            of_step = np.asarray(allowed.columns.isin(list(may)))
            gets = kept[np.ix_(open_, of_step)].any(axis=1)
            kept[open_[gets]] &= of_step
            open_ = open_[~gets]
    return pd.DataFrame(kept, columns=allowed.columns, index=allowed.index)


@derived
def _later_steps(playbook: Playbook) -> dict[str, list[tuple[float, frozenset[str]]]]:
    """Of each action the steps after its own: days after the action, and the actions that may follow it."""
    later: dict[str, list[tuple[float, frozenset[str]]]] = {label: [] for label in playbook.actions}
    for label, steps in later.items():
        waited = 0.0
        for step in playbook.sequence[_step_of(label, playbook) + 1 :]:
            waited += step.after_days
            may = _may_follow(label, step_labels(step, playbook), playbook)
            steps.append((max(waited, playbook.contact.min_gap_days), frozenset(may)))
    return later


def _goes_on(playbook: Playbook, history: TouchHistory | None, n: int) -> np.ndarray:
    """Who (n,) may be touched again if one more touch brings no answer."""
    contact = playbook.contact
    ignored, touches = (np.zeros(n), np.zeros(n)) if history is None else (history.ignored, history.touches)
    return (ignored + 1 < contact.rest_after_ignored) & (touches + 1 < contact.max_touches)


def _in_time(labels: list[str], days: np.ndarray, playbook: Playbook) -> np.ndarray:
    """Whether these actions (n, labels) come so many days after leaving (n,) that they may still be sent."""
    ends = [playbook.program.horizon_days] * len(labels)
    for i, label in enumerate(labels):
        window = playbook.channels[playbook.actions[label].channel].window_days
        ends[i] = ends[i] if window is None else min(ends[i], window[1])
    return ~(days[:, None] > np.array(ends))


def step_labels(step: Step, playbook: Playbook) -> list[str]:
    """Actions that a step of the sequence may take."""
    return [
        label
        for label, part in playbook.actions.items()
        if part.channel in step.channels and (not step.offers or part.offer in step.offers)
    ]


def _may_follow(label: str, labels: list[str], playbook: Playbook) -> set[str]:
    forbidden = {
        then
        for never in playbook.never
        if label in playbook.actions_named(never.first)
        for then in playbook.actions_named(never.then)
    }
    archetype = playbook.actions[label].archetype
    return {other for other in labels if playbook.actions[other].archetype == archetype} - forbidden - {label}


def _step_of(label: str, playbook: Playbook) -> int:
    """The step that an action's channel belongs to; after the last where it belongs to none."""
    channel = playbook.actions[label].channel
    steps = (i for i, step in enumerate(playbook.sequence) if channel in step.channels)
    return next(steps, len(playbook.sequence))
