"""When a message may go out, and which one follows if it brings no answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.errors import InputError
from propensity.playbook import Playbook, QuietHours, Step
from propensity.policy.history import TouchHistory

TIME_ZONE = "time_zone"
"""Column of the customers table; people without one live in the program's."""


def not_before(
    action: np.ndarray, customers: pd.DataFrame, playbook: Playbook, at: pd.Timestamp | pd.Series
) -> pd.Series:
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
    start = at if isinstance(at, pd.Series) else pd.Series(at, index=customers.index)
    first = start.dt.tz_convert("UTC").astype("datetime64[us, UTC]").copy()
    channel = channel_of(action, playbook)
    zone = time_zones(customers, playbook)
    for name, part in playbook.channels.items():
        if part.quiet_hours is None:
            continue
        on_channel = channel == name
        moments = pd.DataFrame({"zone": zone[on_channel], "at": first.dt.tz_localize(None).to_numpy()[on_channel]})
        # people share zones and moments: each pair is worked out once
        shifted = {
            (z, moment): out_of_quiet_hours(pd.Timestamp(moment, tz="UTC"), part.quiet_hours, str(z))
            for z, moment in moments.drop_duplicates().itertuples(index=False)
        }
        if shifted:
            keys = moments.itertuples(index=False, name=None)
            first[on_channel] = pd.DatetimeIndex([shifted[key] for key in keys]).as_unit("us")
    return first


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


def time_zones(customers: pd.DataFrame, playbook: Playbook) -> np.ndarray:
    """Each person's time zone (n,); the program's where none is known."""
    if TIME_ZONE not in customers:
        return np.full(len(customers), playbook.program.time_zone, dtype=object)
    zones = customers[TIME_ZONE].astype(object).where(customers[TIME_ZONE].notna(), playbook.program.time_zone)
    unknown = sorted(set(zones) - available_timezones())
    if unknown:
        raise InputError(
            f"customers.{TIME_ZONE}: expected names such as 'Europe/Berlin', found {unknown[0]!r} in "
            f"{int(zones.isin(unknown).sum())} rows"
        )
    return zones.to_numpy(dtype=object)


def channel_of(action: np.ndarray, playbook: Playbook) -> np.ndarray:
    """The channel (n,) of each action; None under control."""
    channels = {label: part.channel for label, part in playbook.actions.items()}
    return np.array([channels.get(a) for a in action], dtype=object)


def next_touch(
    action: np.ndarray,
    value: pd.DataFrame,
    allowed: pd.DataFrame,
    customers: pd.DataFrame,
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
    n = len(customers)
    follows: np.ndarray = np.full(n, None, dtype=object)
    days = np.zeros(n)
    labels = list(value.columns)
    can, worth = allowed[labels].to_numpy(), value.to_numpy()
    goes_on = _goes_on(playbook, history, n)
    left_for = (first - customers["churned_at"]).dt.total_seconds().to_numpy() / 86_400
    for label in set(action) - {CONTROL}:
        sent = np.flatnonzero((action == label) & goes_on)
        for waited, may in _later_steps(label, playbook):
            choices = np.array([i for i, other in enumerate(labels) if other in may], dtype=np.intp)
            open_ = sent[pd.isna(follows[sent])]
            if not len(choices) or not len(open_):
                continue
            in_time = _in_time([labels[i] for i in choices], left_for[open_] + waited, playbook)
            of_step = np.where(can[np.ix_(open_, choices)] & in_time, worth[np.ix_(open_, choices)], -np.inf)
            best = of_step.argmax(axis=1)
            found = of_step[np.arange(len(open_)), best] > -np.inf
            follows[open_[found]] = np.array(labels, dtype=object)[choices[best[found]]]
            days[open_[found]] = waited
    there = ~pd.isna(follows)
    due = first + pd.to_timedelta(days, unit="D")
    moments = not_before(np.where(there, follows, CONTROL), customers, playbook, due)
    return pd.DataFrame({"next_action": follows, "next_not_before": moments.where(there)}, index=customers.index)


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
        for _, may in _later_steps(label, playbook):
            of_step = np.asarray(allowed.columns.isin(may))
            gets = kept[np.ix_(open_, of_step)].any(axis=1)
            kept[open_[gets]] &= of_step
            open_ = open_[~gets]
    return pd.DataFrame(kept, columns=allowed.columns, index=allowed.index)


def _later_steps(label: str, playbook: Playbook) -> Iterator[tuple[float, set[str]]]:
    """The steps after an action's own: days after the action, and the actions that may follow it."""
    waited = 0.0
    for step in playbook.sequence[_step_of(label, playbook) + 1 :]:
        waited += step.after_days
        yield max(waited, playbook.contact.min_gap_days), _may_follow(label, step_labels(step, playbook), playbook)


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
