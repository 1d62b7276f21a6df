"""What people of a wave went through before it: touches, what they did about them, and why some must be left alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.people import Customers, People
from propensity.playbook import Playbook

RESPONSES = ("opened", "clicked", "reactivated", "purchased")
"""What shows that a touch was not ignored."""
RETURNS = ("reactivated", "purchased")

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]
Counts = np.ndarray[tuple[int], np.dtype[np.int64]]
Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]
Labels = np.ndarray[tuple[int], np.dtype[np.object_]]
Rows = np.ndarray[tuple[int], np.dtype[np.intp]]


@dataclass(frozen=True)
class TouchHistory:
    """Each person's touches before a wave; all arrays (n,), in the order of the wave.

    Attributes
    ----------
    touches : counts
        Within the playbook's ``contact.within_days``.
    days_since_touch : float
        Infinite where there was none; so below.
    ignored : counts
        Touches in a row that brought no response, up to now; only those that are known to have been sent.
    opted_out, complained, came_back : bool
        Since they left; whom the company took off its lists counts as opted out.
    campaign_touches : counts
        Of all time, in the campaign.
    channel_touches, days_since_channel : dict
        The first two by channel.
    bounced : dict of bool
        By channel: the last touch on it did not arrive.
    days_since_action : dict
        By action, those that somebody got.
    last_action : array of str or None
        Of the last touch.
    """

    touches: Counts
    days_since_touch: Floats
    ignored: Counts
    opted_out: Flags
    complained: Flags
    came_back: Flags
    campaign_touches: Counts
    channel_touches: dict[str, Counts]
    days_since_channel: dict[str, Floats]
    bounced: dict[str, Flags]
    days_since_action: dict[str, Floats]
    last_action: Labels


def touch_history(
    customers: Customers,
    contacts: pd.DataFrame,
    outcomes: pd.DataFrame,
    playbook: Playbook,
    at: pd.Timestamp,
    campaign: str = "default",
) -> TouchHistory:
    """Sum up what is known of people before ``at``.

    Parameters
    ----------
    customers : DataFrame (n, ...) or People
        Checked customers, each once.
    contacts, outcomes : DataFrame
        Checked tables; rows of other people, and of ``at`` or later, do not count, but for what other campaigns decided
        at the very moment (see `decided_before`). A held-out person was not touched.
        A flag ``sent`` of a contact says whether it is known to have been sent; without the column all are.
    playbook : Playbook
        Touches with an action that it does not have count as touches on no channel.
    at : Timestamp
    campaign : str

    Notes
    -----
    A touch is ignored when no response (`RESPONSES`) came between it and now: a response answers all touches before it.
    A touch is when its message was sent, where an event says so, else when it was decided.
    """
    n, customers = len(customers), People.of(customers)
    people = pd.Index(customers.ids)
    churned = customers.times("churned_at")
    touched = contacts[(contacts["action"] != CONTROL) & decided_before(contacts, at, campaign)]
    who, touched = _rows(people, touched)
    about, events = _rows(people, outcomes[outcomes["at"] < at])
    touched = _at_sending(touched, events)
    when = _times(touched["decided_at"])
    now = at.tz_convert("UTC").tz_localize(None).to_datetime64()
    age = _days(now, when)
    recent = age <= playbook.contact.within_days
    channel_of = {label: action.channel for label, action in playbook.actions.items()}
    channel = touched["action"].map(channel_of).to_numpy(dtype=object)
    action = touched["action"].to_numpy(dtype=object)

    happened = _times(events["at"])
    since_left = happened > churned[about]
    kind = events["type"].to_numpy(dtype=object)

    def happened_to(*kinds: str) -> Flags:
        flags: Flags = np.zeros(n, dtype=bool)
        flags[about[since_left & np.isin(kind, kinds)]] = True
        return flags

    responds = np.isin(kind, RESPONSES)
    answered = _latest(n, about[responds], happened[responds])
    channels = [c for c in playbook.channels if (channel == c).any()]
    last_on = {c: _latest(n, who[channel == c], when[channel == c]) for c in channels}
    bounce = _channel_of_events(events[kind == "bounced"], touched.assign(channel=channel))
    bounced_at = {
        c: _latest(n, about[kind == "bounced"][bounce == c], happened[kind == "bounced"][bounce == c]) for c in channels
    }
    # whoever never answered has the earliest of all times here
    unanswered = when.astype(np.int64) > answered.astype(np.int64)[who]
    if "sent" in touched:
        unanswered &= touched["sent"].to_numpy(dtype=bool)
    return TouchHistory(
        touches=np.bincount(who[recent], minlength=n),
        days_since_touch=_age(now, _latest(n, who, when)),
        ignored=np.bincount(who[unanswered], minlength=n),
        opted_out=happened_to("unsubscribed", "excluded"),
        complained=happened_to("complained"),
        came_back=happened_to(*RETURNS),
        campaign_touches=np.bincount(who[(touched["campaign"] == campaign).to_numpy()], minlength=n),
        channel_touches={c: np.bincount(who[recent & (channel == c)], minlength=n) for c in channels},
        days_since_channel={c: _age(now, last_on[c]) for c in channels},
        # what was sent after a bounce goes to a mended address
        bounced={c: bounced_at[c] >= last_on[c] for c in channels},
        days_since_action={a: _age(now, _latest(n, who[action == a], when[action == a])) for a in pd.unique(action)},
        last_action=_last_action(n, who, when, action),
    )


def decided_before(contacts: pd.DataFrame, at: pd.Timestamp, campaign: str) -> pd.Series:
    """Which contacts (m,) come before a campaign's decisions of a time: earlier ones, and other campaigns' of the time.

    Of two campaigns decided as of one time the second must know of the first.
    """
    when = contacts["decided_at"]
    return (when < at) | ((when == at) & (contacts["campaign"] != campaign))


def _at_sending(touched: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Touches (m, ...) with the times of their last ``sent`` events as ``decided_at``, where they have one."""
    if "decision_id" not in events:
        return touched
    sent_at = events[events["type"] == "sent"].groupby("decision_id")["at"].max()
    known = pd.Series(sent_at.reindex(touched["decision_id"]).array, index=touched.index)
    return touched.assign(decided_at=known.fillna(touched["decided_at"]))


def _last_action(n: int, who: Rows, when: np.ndarray, action: np.ndarray) -> Labels:
    """Action of each person's last touch, (n,); of two at once, the later by name."""
    order = np.lexsort((action.astype(str), when, who))
    found: Labels = np.full(n, None, dtype=object)
    found[who[order]] = action[order]  # of several, the last stays
    return found


def _channel_of_events(events: pd.DataFrame, touched: pd.DataFrame) -> np.ndarray:
    """Channel of the touch that each event (m,) is about: the decision that it names, else the latest before it."""
    if events.empty:
        return np.empty(0, dtype=object)
    left = events[["customer_id"]].assign(at=_times(events["at"]), row=np.arange(len(events)))
    right = touched[["customer_id", "channel"]].assign(at=_times(touched["decided_at"]))
    latest = pd.merge_asof(left.sort_values("at"), right.sort_values("at", kind="stable"), on="at", by="customer_id")
    channel = latest.set_index("row")["channel"].reindex(np.arange(len(events)))
    if "decision_id" in events:
        named = events["decision_id"].map(touched.set_index("decision_id")["channel"])
        channel = channel.where(named.isna().to_numpy(), named.to_numpy())
    return channel.to_numpy(dtype=object)


def _rows(people: pd.Index, table: pd.DataFrame) -> tuple[Rows, pd.DataFrame]:
    """Position in the wave of each row of a table, and the rows that have one."""
    position = people.get_indexer(pd.Index(table["customer_id"]))
    return position[position >= 0], table[position >= 0]


def _times(times: pd.Series) -> np.ndarray:
    return times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(dtype="datetime64[ns]")


def _latest(n: int, who: Rows, when: np.ndarray) -> np.ndarray:
    """Each person's latest time, (n,); not a time where there is none."""
    latest = np.full(n, np.iinfo(np.int64).min)
    np.maximum.at(latest, who, when.astype("datetime64[ns]").astype(np.int64))
    return latest.astype("datetime64[ns]")


def _age(now: np.datetime64, then: np.ndarray) -> Floats:
    days = _days(now, then)
    return np.where(np.isnan(days), np.inf, days)


def _days(now: np.datetime64, then: np.ndarray) -> Floats:
    return pd.Series(now - then).dt.total_seconds().to_numpy(dtype=np.float64) / 86_400
