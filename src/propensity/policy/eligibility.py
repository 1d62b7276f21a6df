"""Who may be contacted at all, and with which actions; everybody else has the rule that stopped them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from propensity.contract import CONSENT_PREFIX
from propensity.people import Customers, Flags, People, Texts, among
from propensity.playbook import Playbook, derived
from propensity.policy.codes import is_rule
from propensity.policy.history import TouchHistory
from propensity.segments import AnySegments, meets, segment_texts


@dataclass(frozen=True)
class Eligibility:
    """What each person may get.

    Attributes
    ----------
    allowed : DataFrame (n, actions without control) of bool
    stopped_by : Series (n,)
        The rule that left a person without any action, or missing where some action is allowed.
    """

    allowed: pd.DataFrame
    stopped_by: pd.Series


@dataclass(frozen=True)
class Situation:
    """What is known of the people of a wave beside their row; what is left out stops nobody.

    Attributes
    ----------
    history : TouchHistory or None
    segments : DataFrame (n, segments), Segmented or None
        Needed where the playbook has conditions or tiers (see `propensity.segments`).
    reason : Series or array (n,) or None
        For churn, stated or predicted; default: the stated one.
    changed : array (n,) or None
        For whom something changed since they left (see `changed_since`).
    """

    history: TouchHistory | None = None
    segments: AnySegments | None = None
    reason: pd.Series | Texts | None = None
    changed: Flags | None = None


def eligibility(
    customers: Customers,
    playbook: Playbook,
    at: pd.Timestamp | pd.Series,
    suppressed: Collection[str] = (),
    situation: Situation | None = None,
) -> Eligibility:
    """Apply the playbook's rules.

    Parameters
    ----------
    customers : DataFrame (n, ...)
        Checked customers.
    playbook : Playbook
    at : Timestamp or Series (n,)
        When the decision is taken.
    suppressed : collection of str
        Ids of people who opted out, complained or were erased.
    situation : Situation, optional

    Notes
    -----
    Rules of the person come first, in the order of `_person_rules`; then each action's own, in that of `_action_rules`.
    A person whose actions are all forbidden is stopped by the rule that forbade most of them.
    """
    situation, people = situation or Situation(), People.of(customers)
    n, labels = len(people), playbook.labels
    # actions in rows, where each lies together
    allowed = np.ones((len(labels), n), dtype=bool)
    forbidden_by: dict[str, np.ndarray] = {}
    shared = _rules_of_parts(people, playbook, at, situation)
    for open_, label in zip(allowed, labels, strict=True):
        for rule, forbids in _rules_of(label, people, playbook, shared, situation):
            if rule not in forbidden_by:
                forbidden_by[rule] = np.zeros(n, dtype=np.int32)
            fresh = forbids & open_
            forbidden_by[rule] += fresh
            open_ ^= fresh
    stopped_by: np.ndarray = np.full(n, None, dtype=object)
    stopped = ~allowed.any(axis=0)
    if stopped.any():
        names = np.array(list(forbidden_by), dtype=object)
        stopped_by[stopped] = names[np.array(list(forbidden_by.values()))[:, stopped].argmax(axis=0)]
    of_person = list(_person_rules(people, playbook, at, suppressed, situation))
    if strangers := [rule for rule in (*forbidden_by, *dict(of_person)) if not is_rule(rule)]:
        raise ValueError(
            f"rules {', '.join(strangers)}: are not in policy.codes, so nobody could be told them in words"
        )
    for rule, stops in reversed(of_person):
        if stops.any():
            stopped_by[stops] = rule
            allowed &= ~stops
    return Eligibility(
        pd.DataFrame(allowed.T, columns=_label_index(playbook), index=people.index),
        pd.Series(stopped_by, index=people.index, dtype=object),
    )


@derived
def _label_index(playbook: Playbook) -> pd.Index:
    return pd.Index(playbook.labels)


def what_stops(
    label: str,
    customers: Customers,
    playbook: Playbook,
    at: pd.Timestamp | pd.Series,
    suppressed: Collection[str] = (),
    situation: Situation | None = None,
) -> Counter[str]:
    """How many people each rule keeps from an action; everybody counts once, for the first rule that does.

    Parameters are those of `eligibility`, and the action's ``label``.
    """
    situation, people = situation or Situation(), People.of(customers)
    shared = _rules_of_parts(people, playbook, at, situation)
    stopped: Counter[str] = Counter()
    open_: Flags = np.ones(len(people), dtype=bool)
    of_person = _person_rules(people, playbook, at, suppressed, situation)
    for rule, stops in (*of_person, *_rules_of(label, people, playbook, shared, situation)):
        stopped[rule] += int((open_ & stops).sum())
        open_ &= ~stops
    return +stopped


def _person_rules(
    people: People,
    playbook: Playbook,
    at: pd.Timestamp | pd.Series,
    suppressed: Collection[str],
    situation: Situation,
) -> Iterator[tuple[str, Flags]]:
    days = people.days_since_churn(at)
    yield "suppressed", _are_suppressed(people, suppressed)
    history, contact = situation.history, playbook.contact
    if history is not None:
        yield "opted_out", history.opted_out
        yield "complained", history.complained
        yield "already_back", history.came_back
    yield "cooling_off", days < playbook.program.cooling_off_days
    yield "past_horizon", days > playbook.program.horizon_days
    if history is not None:
        resting = (history.ignored >= contact.rest_after_ignored) & (history.days_since_touch < contact.rest_days)
        yield "resting_after_ignored_touches", resting
        yield "touched_too_often", history.touches >= contact.max_touches
        yield "touched_too_recently", history.days_since_touch < contact.min_gap_days


def _rules_of(
    label: str,
    people: People,
    playbook: Playbook,
    shared: Mapping[tuple[str, str], list[tuple[str, Flags]]],
    situation: Situation,
) -> Iterator[tuple[str, Flags]]:
    """Rules that forbid an action: those of its parts (see `_rules_of_parts`), and its own."""
    action = playbook.actions[label]
    yield from shared["channel", action.channel]
    yield from shared["offer", action.offer]
    yield from shared["archetype", action.archetype]
    yield from _action_rules(people, playbook, label, situation)


def _rules_of_parts(
    people: People, playbook: Playbook, at: pd.Timestamp | pd.Series, situation: Situation
) -> dict[tuple[str, str], list[tuple[str, Flags]]]:
    """Rules that all actions of a channel, an offer or an archetype share."""
    closed = _closed_seasons(playbook, at, len(people))
    rules: dict[tuple[str, str], list[tuple[str, Flags]]] = {}
    for name in playbook.channels:
        found = list(_channel_rules(people, playbook, name, at, situation))
        rules["channel", name] = [*found, *closed.get(("channel", name), [])]
    reason = people.texts("reason") if situation.reason is None else np.asarray(situation.reason, dtype=object)
    for name, offer in playbook.offers.items():
        rules["offer", name] = []
        if offer.excluded_reasons and (situation.reason is not None or "reason" in people):
            rules["offer", name] = [("offer_excluded_for_reason", among(reason, offer.excluded_reasons))]
    for name, archetype in playbook.archetypes.items():
        rules["archetype", name] = list(closed.get(("archetype", name), []))
        if archetype.needs_change and situation.changed is not None:
            rules["archetype", name].append(("nothing_changed_since", ~situation.changed))
    return rules


def _channel_rules(
    people: People, playbook: Playbook, name: str, at: pd.Timestamp | pd.Series, situation: Situation
) -> Iterator[tuple[str, Flags]]:
    channel, history = playbook.channels[name], situation.history
    if channel.needs_consent:
        yield f"no_consent_{name}", ~people.flags(CONSENT_PREFIX + name)
    if channel.needs_account_access:
        yield "no_account_access", ~people.flags("account_access")
    if channel.window_days is not None:
        first, last = channel.window_days
        days = people.days_since_churn(at)
        yield f"outside_window_of_{name}", (days < first) | (days > last)
    if situation.segments is not None and playbook.tiers:
        closed_to = [t for t, part in playbook.tiers.items() if part.only_channels and name not in part.only_channels]
        if closed_to:
            yield f"{name}_not_for_value_tier", among(segment_texts(situation.segments, "value_tier"), closed_to)
    if history is not None and name in history.channel_touches:
        yield f"{name}_bounced", history.bounced[name]
        yield f"too_recently_on_{name}", history.days_since_channel[name] < channel.min_gap_days
        if channel.max_touches is not None:
            yield f"too_often_on_{name}", history.channel_touches[name] >= channel.max_touches


def _action_rules(people: People, playbook: Playbook, label: str, situation: Situation) -> Iterator[tuple[str, Flags]]:
    only, history = playbook.actions[label].only, situation.history
    if only and situation.segments is not None:
        yield "not_for_segment", ~meets(only, people, situation.segments)
    if history is None:
        return
    for never in playbook.never:
        if label in playbook.actions_named(never.then):
            within = np.inf if never.within_days is None else never.within_days
            for first in playbook.actions_named(never.first):
                if first in history.days_since_action:
                    days = history.days_since_action[first]
                    yield "never_after_what_was_sent", np.isfinite(days) & (days <= within)


def _closed_seasons(
    playbook: Playbook, at: pd.Timestamp | pd.Series, n: int
) -> dict[tuple[str, str], list[tuple[str, Flags]]]:
    """Channels and archetypes that rest at the time of each decision."""
    zone = playbook.program.time_zone
    closed: dict[tuple[str, str], list[tuple[str, Flags]]] = {}
    for season in playbook.seasons:
        if isinstance(at, pd.Timestamp):
            holds = np.full(n, season.holds(_day_of_year(at.tz_convert(zone))))
        else:
            holds = at.dt.tz_convert(zone).map(_day_of_year).map(season.holds).to_numpy(dtype=bool)
        all_rest = not season.closed_channels and not season.closed_archetypes
        parts = [("channel", c) for c in (playbook.channels if all_rest else season.closed_channels)]
        parts += [("archetype", a) for a in season.closed_archetypes]
        for part in parts:
            closed.setdefault(part, []).append(("season_of_rest", holds))
    return closed


def _day_of_year(at: pd.Timestamp) -> str:
    # years that Python's own calendar lacks have days too
    return f"{at.month:02d}-{at.day:02d}"


def _are_suppressed(people: People, suppressed: Collection[str]) -> Flags:
    if not suppressed:
        return np.zeros(len(people), dtype=bool)
    ids = set(suppressed)
    return np.array([key in ids for key in people.ids], dtype=bool)
