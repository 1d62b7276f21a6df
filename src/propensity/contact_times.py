"""When people answered more: the best day and hour of each channel, from the times at which messages were sent.

Send times are rarely drawn at random, so what is measured here is a difference, not an effect: people who were sent a
message at one time answered more than people who were sent the same message at other times. It moves a contact within
the days for which a decision holds anyway, and only where the difference is shown beyond chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import time
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy import stats

from propensity.people import Customers, People, Times, in_utc
from propensity.playbook import Playbook, QuietHours
from propensity.policy.schedule import as_utc, time_zones

ANSWERS = ("opened", "clicked")
ANSWER_HOURS = 48
"""Hours after sending within which an answer counts."""
BLOCK_HOURS = 4
LEVEL = 0.05
"""Share of trainings, at most, that name a best time of any channel where times make no difference."""
MIN_SENDS = 300
"""At a time, each with the same message in the same week at another time beside it; else it is not compared."""
MIN_ANSWERS = 20
"""Answers to expect of these sends if times made no difference."""
MIN_DAYS = 10
"""Days on which these sends were made."""
DAY_MINUTES = 24 * 60

Openings = list[tuple[int, int]]
"""Parts of a day, in minutes from midnight, in order; ends do not belong to them."""


@dataclass(frozen=True)
class BestTime:
    """A time of the week, by people's own clocks, and how much more they answered at it.

    Attributes
    ----------
    weekday : int or None
        0 is Monday; None: any day.
    hours : (int, int) or None
        First hour and the hour at which it ends; None: any hour.
    sends, days : int
        Messages that were sent at this time, and the days on which.
    answered_share : float
        Of these.
    gain : float
        How much larger that share is than of the same messages in the same weeks at other times, drawn towards none.
    measured_gain, standard_error : float
        As it was measured, and how far such a measurement strays if the time makes no difference.
    """

    weekday: int | None
    hours: tuple[int, int] | None
    sends: int
    days: int
    answered_share: float
    gain: float
    measured_gain: float
    standard_error: float


@dataclass(frozen=True)
class ContactTimes:
    """The best time of each channel that has one.

    Attributes
    ----------
    best : dict of BestTime
        By channel. What is not in it has no best time: contact waits for none.
    compared : int
        Times of the week that were compared, over all channels.
    sends : int
        Messages whose time is known.
    """

    best: dict[str, BestTime] = field(default_factory=dict)
    compared: int = 0
    sends: int = 0

    @classmethod
    def fit(
        cls, contacts: pd.DataFrame, outcomes: pd.DataFrame, customers: pd.DataFrame, playbook: Playbook
    ) -> ContactTimes:
        """Compare the times of the week of each channel.

        Parameters
        ----------
        contacts, outcomes, customers : DataFrame
            Checked tables. Of the outcomes, ``sent`` says when a message went out (its decision must be named), and
            ``opened`` and ``clicked`` are answers; one that names no decision answers the last message before it. A
            message whose `ANSWER_HOURS` reach past the last event does not count yet.
        playbook : Playbook

        Notes
        -----
        Days, blocks of `BLOCK_HOURS` hours and both together are compared, each with all other times of its channel.
        A message is compared only with the same action of the same campaign that was decided on in the same week, so
        that neither what was sent nor the season counts as the time. The difference is a regression slope with one
        level a group; its standard error allows for answers of one day, and of one person, that depend on each other,
        the larger of the two, because days differ for reasons of their own: a time must do better day after day. Over
        all times of all channels the chance to find one that is none is at most `LEVEL` (Bonferroni). A day together
        with hours, for which contact would wait longest, is taken only where it is shown to be better than the best day
        or hours alone, too.

        References
        ----------
        Cameron & Miller (2015), A practitioner's guide to cluster-robust inference, section VI (few groups).
        """
        sends = _sends(contacts, outcomes, customers, playbook)
        compared = {
            str(channel): found
            for channel, rows in sends.groupby("channel")
            if (found := _compare(rows, playbook.channels[str(channel)].quiet_hours))
        }
        n = sum(map(len, compared.values()))
        best = {channel: _best(times, stats.norm.isf(LEVEL / n)) for channel, times in compared.items()}
        return cls({channel: time for channel, time in best.items() if time is not None}, n, len(sends))

    def contact_at(
        self,
        action: np.ndarray,
        first: pd.Series,
        customers: Customers,
        playbook: Playbook,
        expires_at: pd.Timestamp,
    ) -> pd.Series:
        """When (n,), UTC, each person's action best goes out.

        Parameters
        ----------
        action : array (n,)
            Labels.
        first : Series (n,)
            The first moment at which it may (see `policy.not_before`).
        customers : DataFrame (n, ...)
        playbook : Playbook
        expires_at : Timestamp

        Returns
        -------
        Series (n,)
            The first moment of the channel's best time that is no earlier than ``first`` and outside of quiet hours;
            ``first`` where the channel has no best time, or none comes before the decision expires.
        """
        people = People.of(customers)
        return as_utc(self.moments(action, in_utc(first), people, playbook, expires_at), first.index)

    def moments(
        self, action: np.ndarray, first: Times, people: People, playbook: Playbook, expires_at: pd.Timestamp
    ) -> Times:
        """`contact_at` of times (n,), UTC without a zone."""
        first = first.astype("datetime64[us]")
        moments = first.copy()
        if self.best:
            zone = pd.Index(time_zones(people, playbook))
            for name, best in self.best.items():
                openings = _openings(best.hours, playbook.channels[name].quiet_hours)
                labels = [label for label in playbook.labels if playbook.actions[label].channel == name]
                on_channel = pd.Index(action).isin(labels)
                for place in zone[on_channel].unique() if openings else ():
                    rows = np.flatnonzero(on_channel & (zone == place))
                    moments[rows] = _first_moments(moments[rows], str(place), best.weekday, openings)
        return np.where(moments < expires_at.to_datetime64(), moments, first)

    def to_state(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `to_state` gave."""
        best = {
            channel: BestTime(**{**time, "hours": None if time["hours"] is None else tuple(time["hours"])})
            for channel, time in state["best"].items()
        }
        return cls(best, state["compared"], state["sends"])


def _sends(contacts: pd.DataFrame, outcomes: pd.DataFrame, customers: pd.DataFrame, playbook: Playbook) -> pd.DataFrame:
    """Messages whose time is known (n, 7): ``channel``, ``group``, ``customer_id``, local ``day``, ``weekday``,
    ``hour``, ``answered``."""
    if "decision_id" not in outcomes:
        outcomes = outcomes.assign(decision_id=pd.Series(None, index=outcomes.index, dtype="str"))
    known = contacts[contacts["action"].isin(playbook.labels)]
    sent_at = outcomes[outcomes["type"] == "sent"].groupby("decision_id")["at"].min()
    known = known.assign(sent_at=sent_at.reindex(known["decision_id"]).array)
    known = known[known["sent_at"].notna()].astype({"sent_at": "datetime64[us, UTC]"})
    known = known[known["sent_at"] + pd.Timedelta(hours=ANSWER_HOURS) <= outcomes["at"].max()]
    week = known["decided_at"].dt.tz_convert("UTC").dt.tz_localize(None).dt.to_period("W").astype("str")
    newest = customers.sort_values("as_of", kind="stable").drop_duplicates("customer_id", keep="last")
    zones = pd.Series(time_zones(newest, playbook), index=newest["customer_id"])
    zone = zones.reindex(known["customer_id"]).fillna(playbook.program.time_zone).to_numpy()
    channels = {label: part.channel for label, part in playbook.actions.items()}
    return pd.DataFrame(
        {
            "channel": known["action"].map(channels),
            "group": pd.factorize(known["campaign"] + "\x1f" + known["action"] + "\x1f" + week)[0],
            "customer_id": known["customer_id"],
            **_by_own_clock(known["sent_at"], zone),
            "answered": _answered(known, outcomes),
        }
    )


def _by_own_clock(sent_at: pd.Series, zone: np.ndarray) -> dict[str, np.ndarray]:
    """Day (since 1970), weekday and hour (n,) of each moment by the clocks of its zone."""
    wall = np.empty(len(sent_at), dtype="datetime64[us]")
    for place in pd.unique(zone):
        rows = zone == place
        wall[rows] = sent_at[rows].dt.tz_convert(place).dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
    local = pd.DatetimeIndex(wall)
    day = wall.astype("datetime64[D]").astype(np.int64)
    return {"day": day, "weekday": local.day_of_week.to_numpy(), "hour": local.hour.to_numpy()}


def _answered(known: pd.DataFrame, outcomes: pd.DataFrame) -> np.ndarray:
    """Whether each message (n,) was answered in time."""
    events = outcomes.loc[outcomes["type"].isin(ANSWERS), ["customer_id", "decision_id", "at"]]
    events = events.astype({"at": "datetime64[us, UTC]"})
    unnamed = pd.merge_asof(
        events[events["decision_id"].isna()].drop(columns="decision_id").sort_values("at"),
        known[["customer_id", "decision_id", "sent_at"]].sort_values("sent_at"),
        left_on="at",
        right_on="sent_at",
        by="customer_id",
    )
    named = events[events["decision_id"].notna()].merge(known[["decision_id", "sent_at"]], on="decision_id")
    answers = pd.concat([part[["decision_id", "sent_at", "at"]] for part in (named, unnamed)])
    waited = answers["at"] - answers["sent_at"]
    in_time = (waited >= pd.Timedelta(0)) & (waited <= pd.Timedelta(hours=ANSWER_HOURS))
    return known["decision_id"].isin(answers.loc[in_time, "decision_id"]).to_numpy()


def _compare(sends: pd.DataFrame, quiet: QuietHours | None) -> list[BestTime]:
    """The times of one channel that enough was sent at, each against all others."""
    group = pd.factorize(sends["group"])[0]
    size = np.bincount(group)
    # what a mean over its own group hides of a message's deviation
    hidden = np.sqrt(size / np.maximum(size - 1, 1))[group]
    answered = sends["answered"].to_numpy(dtype=float)
    share = (np.bincount(group, answered) / size)[group]
    dependent = [pd.factorize(sends[column])[0] for column in ("day", "customer_id")]
    weekday, block = sends["weekday"].to_numpy(), sends["hour"].to_numpy() // BLOCK_HOURS
    found: dict[str, list[BestTime]] = {}
    for kind, day, hours in _times():
        if not _openings(hours, quiet):
            continue
        inside = np.ones(len(sends), dtype=bool)
        if day is not None:
            inside &= weekday == day
        if hours is not None:
            inside &= block == hours[0] // BLOCK_HOURS
        of_group = (np.bincount(group, inside) / size)[group]
        counts = inside & (of_group < 1)
        n_days = len(np.unique(dependent[0][counts]))
        if counts.sum() < MIN_SENDS or share[counts].sum() < MIN_ANSWERS or n_days < MIN_DAYS:
            continue
        lever = inside - of_group
        part = (answered - share) * lever
        variance = max(float((np.bincount(codes, part * hidden) ** 2).sum()) for codes in dependent)
        if variance == 0:
            continue
        weight = float((lever**2).sum())
        gain, error = float(part.sum()) / weight, float(np.sqrt(variance)) / weight
        mine = float(answered[inside].mean())
        found.setdefault(kind, []).append(BestTime(day, hours, int(inside.sum()), n_days, mine, gain, gain, error))
    return [time for times in found.values() for time in _shrunk(times)]


def _times() -> Iterator[tuple[str, int | None, tuple[int, int] | None]]:
    """Days, blocks of hours, and both together; each with the kind of time that it is."""
    blocks = [(first, first + BLOCK_HOURS) for first in range(0, 24, BLOCK_HOURS)]
    yield from (("day", day, None) for day in range(7))
    yield from (("hours", None, block) for block in blocks)
    yield from (("both", day, block) for day in range(7) for block in blocks)


def _shrunk(times: list[BestTime]) -> list[BestTime]:
    """Times of a kind, their gains drawn towards none by how little they differ beyond chance (DerSimonian-Laird)."""
    spread = max(0.0, float(np.mean([t.measured_gain**2 - t.standard_error**2 for t in times])))
    return [BestTime(**{**asdict(t), "gain": t.measured_gain * spread / (spread + t.standard_error**2)}) for t in times]


def _best(times: list[BestTime], threshold: float) -> BestTime | None:
    """The time of greatest gain among those that are shown to be better; None where none is."""
    shown = [t for t in times if t.gain > 0 and t.measured_gain > threshold * t.standard_error]
    wide = [t for t in shown if t.weekday is None or t.hours is None]
    narrow = [t for t in shown if t not in wide]
    best_wide, best_narrow = (max(ts, key=lambda t: t.gain, default=None) for ts in (wide, narrow))
    if best_wide is None or best_narrow is None:
        return best_wide or best_narrow
    surely = best_narrow.measured_gain - threshold * best_narrow.standard_error > best_wide.measured_gain
    return best_narrow if surely else best_wide


def _openings(hours: tuple[int, int] | None, quiet: QuietHours | None) -> Openings:
    """The parts of a day within these hours that are not quiet."""
    first, last = (0, DAY_MINUTES) if hours is None else (hours[0] * 60, hours[1] * 60)
    loud = [(0, DAY_MINUTES)]
    if quiet is not None:
        start, end = _minutes(quiet.start), _minutes(quiet.end)
        loud = [(0, start), (end, DAY_MINUTES)] if start < end else [(end, start)]
    cut = [(max(first, a), min(last, b)) for a, b in loud]
    return [(a, b) for a, b in cut if a < b]


def _minutes(clock: time) -> int:
    # a message a minute late keeps the quiet hours; one a second early does not
    return clock.hour * 60 + clock.minute + bool(clock.second or clock.microsecond)


def _first_moments(first: np.ndarray, zone: str, weekday: int | None, openings: Openings) -> np.ndarray:
    """The first moments (n,), no earlier than ``first`` (n,), UTC, that lie in an opening on the weekday."""
    wall = pd.DatetimeIndex(first, tz="UTC").tz_convert(zone).tz_localize(None).to_numpy(dtype="datetime64[us]")
    midnight = wall.astype("datetime64[D]")
    found = np.full(len(wall), np.datetime64("NaT"), dtype="datetime64[us]")
    for day in (midnight + np.timedelta64(days, "D") for days in range(8)):
        fits = np.ones(len(wall), dtype=bool)
        if weekday is not None:
            fits = pd.DatetimeIndex(day).day_of_week.to_numpy() == weekday
        for start, end in openings:
            begins = np.maximum(wall, day + np.timedelta64(start, "m"))
            fresh = fits & np.isnat(found) & (begins < day + np.timedelta64(end, "m"))
            found[fresh] = begins[fresh]
    waits = found != wall
    moments = first.copy()
    on_clocks = pd.DatetimeIndex(found[waits])
    # where clocks show a time twice, the first; where they jump over it, the moment after
    there = on_clocks.tz_localize(zone, ambiguous=np.ones(len(on_clocks), dtype=bool), nonexistent="shift_forward")
    moments[waits] = there.tz_convert("UTC").tz_localize(None).to_numpy(dtype="datetime64[us]")
    return np.maximum(moments, first)
