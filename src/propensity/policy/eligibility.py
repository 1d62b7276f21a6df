"""Who may be contacted at all, and with which actions; everybody else has the rule that stopped them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from propensity.contract import CONSENT_PREFIX
from propensity.playbook import Playbook
from propensity.policy.codes import is_rule
from propensity.policy.history import TouchHistory
from propensity.segments import meets

Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]


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
    segments : DataFrame (n, segments) or None
        Needed where the playbook has conditions or tiers (see `propensity.segments`).
    reason : Series (n,) or None
        For churn, stated or predicted; default: the stated one.
    changed : array (n,) or None
        For whom something changed since they left (see `changed_since`).
    """

    history: TouchHistory | None = None
    segments: pd.DataFrame | None = None
    reason: pd.Series | None = None
    changed: Flags | None = None


def eligibility(
    customers: pd.DataFrame,
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
    situation = situation or Situation()
    n = len(customers)
    allowed = np.ones((n, len(playbook.labels)), dtype=bool)
    forbidden_by: dict[str, np.ndarray] = {}
    shared = _rules_of_parts(customers, playbook, at, situation)
    for position, label in enumerate(playbook.labels):
        for rule, forbids in _rules_of(label, customers, playbook, shared, situation):
            fresh = forbids & allowed[:, position]
            forbidden_by.setdefault(rule, np.zeros(n, dtype=np.int32))
            forbidden_by[rule] += fresh
            allowed[:, position] &= ~forbids
    stopped_by: np.ndarray = np.full(n, None, dtype=object)
    if forbidden_by:
        names = np.array(list(forbidden_by), dtype=object)
        most = np.argmax(np.column_stack(list(forbidden_by.values())), axis=1)
        stopped_by = np.asarray(np.where(allowed.any(axis=1), None, names[most]))
    of_person = list(_person_rules(customers, playbook, at, suppressed, situation))
    if strangers := [rule for rule in (*forbidden_by, *dict(of_person)) if not is_rule(rule)]:
        raise ValueError(
            f"rules {', '.join(strangers)}: are not in policy.codes, so nobody could be told them in words"
        )
    for rule, stops in reversed(of_person):
        stopped_by = np.asarray(np.where(stops, rule, stopped_by))
        allowed &= ~stops[:, None]
    return Eligibility(
        pd.DataFrame(allowed, columns=playbook.labels, index=customers.index),
        pd.Series(stopped_by, index=customers.index, dtype=object),
    )


def what_stops(
    label: str,
    customers: pd.DataFrame,
    playbook: Playbook,
    at: pd.Timestamp | pd.Series,
    suppressed: Collection[str] = (),
    situation: Situation | None = None,
) -> Counter[str]:
    """How many people each rule keeps from an action; everybody counts once, for the first rule that does.

    Parameters are those of `eligibility`, and the action's ``label``.
    """
    situation = situation or Situation()
    shared = _rules_of_parts(customers, playbook, at, situation)
    stopped: Counter[str] = Counter()
    open_: Flags = np.ones(len(customers), dtype=bool)
    of_person = _person_rules(customers, playbook, at, suppressed, situation)
    for rule, stops in (*of_person, *_rules_of(label, customers, playbook, shared, situation)):
        stopped[rule] += int((open_ & stops).sum())
        open_ &= ~stops
    return +stopped


def days_since_churn(customers: pd.DataFrame, at: pd.Timestamp | pd.Series) -> np.ndarray:
    """Days (n,) from leaving to ``at``."""
    return (at - customers["churned_at"]).dt.total_seconds().to_numpy() / 86_400


def _person_rules(
    customers: pd.DataFrame,
    playbook: Playbook,
    at: pd.Timestamp | pd.Series,
    suppressed: Collection[str],
    situation: Situation,
) -> Iterator[tuple[str, Flags]]:
    days = days_since_churn(customers, at)
    yield "suppressed", customers["customer_id"].isin(set(suppressed)).to_numpy()
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
    customers: pd.DataFrame,
    playbook: Playbook,
    shared: Mapping[tuple[str, str], list[tuple[str, Flags]]],
    situation: Situation,
) -> Iterator[tuple[str, Flags]]:
    """Rules that forbid an action: those of its parts (see `_rules_of_parts`), and its own."""
    action = playbook.actions[label]
    yield from shared["channel", action.channel]
    yield from shared["offer", action.offer]
    yield from shared["archetype", action.archetype]
    yield from _action_rules(customers, playbook, label, situation)


def _rules_of_parts(
    customers: pd.DataFrame, playbook: Playbook, at: pd.Timestamp | pd.Series, situation: Situation
) -> dict[tuple[str, str], list[tuple[str, Flags]]]:
    """Rules that all actions of a channel, an offer or an archetype share."""
    closed = _closed_seasons(playbook, at, len(customers))
    rules: dict[tuple[str, str], list[tuple[str, Flags]]] = {}
    for name in playbook.channels:
        found = list(_channel_rules(customers, playbook, name, at, situation))
        rules["channel", name] = [*found, *closed.get(("channel", name), [])]
    reason = situation.reason if situation.reason is not None else customers.get("reason")
    for name, offer in playbook.offers.items():
        rules["offer", name] = []
        if offer.excluded_reasons and reason is not None:
            rules["offer", name] = [("offer_excluded_for_reason", reason.isin(list(offer.excluded_reasons)).to_numpy())]
    for name, archetype in playbook.archetypes.items():
        rules["archetype", name] = list(closed.get(("archetype", name), []))
        if archetype.needs_change and situation.changed is not None:
            rules["archetype", name].append(("nothing_changed_since", ~situation.changed))
    return rules


def _channel_rules(
    customers: pd.DataFrame, playbook: Playbook, name: str, at: pd.Timestamp | pd.Series, situation: Situation
) -> Iterator[tuple[str, Flags]]:
    channel, history = playbook.channels[name], situation.history
    if channel.needs_consent:
        yield f"no_consent_{name}", ~_flag(customers, CONSENT_PREFIX + name)
    if channel.needs_account_access:
        yield "no_account_access", ~_flag(customers, "account_access")
    if channel.window_days is not None:
        first, last = channel.window_days
        days = days_since_churn(customers, at)
        yield f"outside_window_of_{name}", (days < first) | (days > last)
    if situation.segments is not None and playbook.tiers:
        tier = situation.segments["value_tier"].to_numpy(dtype=object)
        closed_to = [t for t, part in playbook.tiers.items() if part.only_channels and name not in part.only_channels]
        if closed_to:
            yield f"{name}_not_for_value_tier", np.isin(tier, closed_to)
    if history is not None and name in history.channel_touches:
        yield f"{name}_bounced", history.bounced[name]
        yield f"too_recently_on_{name}", history.days_since_channel[name] < channel.min_gap_days
        if channel.max_touches is not None:
            yield f"too_often_on_{name}", history.channel_touches[name] >= channel.max_touches


def _action_rules(
    customers: pd.DataFrame, playbook: Playbook, label: str, situation: Situation
) -> Iterator[tuple[str, Flags]]:
    only, history = playbook.actions[label].only, situation.history
    if only and situation.segments is not None:
        yield "not_for_segment", ~meets(only, customers, situation.segments)
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


def _flag(customers: pd.DataFrame, column: str) -> Flags:
    """A flag as bool; missing, also as a column, is no."""
    if column not in customers:
        return np.zeros(len(customers), dtype=bool)
    return customers[column].fillna(False).to_numpy(dtype=bool)
