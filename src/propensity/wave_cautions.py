"""What is no fault of a wave and may still surprise whoever asked for it, in plain sentences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from propensity.contract import CONSENT_PREFIX, CONTROL
from propensity.pages.words import action_words, left_alone, listed
from propensity.policy import Limit, decided_before
from propensity.policy.wave import BUDGET

if TYPE_CHECKING:
    from propensity.deciding import Wave

ACCESS = "account_access"


def cautions(people: Wave, weeks: float, budget: float | None = None, *, of: int) -> list[str]:
    """Plain sentences about what nobody can get, and about input that changes nothing.

    Parameters
    ----------
    people : Wave
        The people of the wave, or some drawn from it where they are very many.
    weeks : float
        For which capacities a week are meant.
    budget : float, optional
        Currency; default: the playbook's.
    of : int
        How many people the wave has.
    """
    if not len(people.people):
        return []
    limits = people.limits(weeks, budget)
    whole = of == len(people.people)
    return [
        *_of_missing_columns(people),
        *_of_unknown_actions(people),
        *_of_actions_for_nobody(people),
        *_of_budget(people, limits),
        *_of_capacities(people, limits, weeks),
        # of others nobody knows whether they are among those who were not drawn
        *(_of_ids(people) if whole else ()),
        *_of_touches(people, whole),
    ]


def missing_columns(people: Wave) -> dict[str, list[str]]:
    """Flags that the customers table lacks, each with the channels that nobody can therefore get."""
    playbook, lacking = people.model.playbook, defaultdict(list)
    for channel in sorted({action.channel for action in playbook.actions.values()}):
        part = playbook.channels[channel]
        if part.needs_consent and CONSENT_PREFIX + channel not in people.customers:
            lacking[CONSENT_PREFIX + channel].append(channel)
        if part.needs_account_access and ACCESS not in people.customers:
            lacking[ACCESS].append(channel)
    return dict(lacking)


def _of_missing_columns(people: Wave) -> Iterator[str]:
    lacking = missing_columns(people)
    for columns, means in (
        ([c for c in lacking if c != ACCESS], "those who agreed"),
        ([c for c in lacking if c == ACCESS], "those who can log in"),
    ):
        if columns:
            channels = [action_words(channel) for column in columns for channel in lacking[column]]
            one = len(columns) == 1
            yield (
                f"nobody can get {listed(channels)}: the customers have no column{'' if one else 's'} "
                f"{listed(columns)}; add {'it' if one else 'them'}, true for {means}"
            )


def _of_unknown_actions(people: Wave) -> Iterator[str]:
    unknown = [label for label in people.model.playbook.labels if label not in people.model.actions]
    if unknown:
        yield (
            f"nobody gets {listed(map(action_words, unknown))}: the model has not learnt what it does, because too few "
            "got it in the data that it was trained on"
        )


def _of_actions_for_nobody(people: Wave) -> Iterator[str]:
    """Actions that no person can get though the columns are there, by the rule that stops most."""
    explained = {channel for channels in missing_columns(people).values() for channel in channels}
    playbook, allowed = people.model.playbook, people.eligible.allowed
    by_rule: dict[tuple[str, int], list[str]] = defaultdict(list)
    for label in allowed.columns:
        if not allowed[label].any() and playbook.actions[label].channel not in explained:
            by_rule[people.what_stops(label).most_common(1)[0]].append(label)
    n = len(people.customers)
    for (rule, stopped), labels in by_rule.items():
        what = "anything" if len(labels) == allowed.shape[1] else listed(map(action_words, labels))
        yield f"nobody of {n:,} people can get {what}; what stops most ({stopped:,} people): {left_alone(rule)}"


def _of_budget(people: Wave, limits: list[Limit]) -> Iterator[str]:
    """A budget that is too small for one contact."""
    for limit in limits:
        if limit.name != BUDGET:
            continue
        allowed = people.eligible.allowed
        least = np.where(allowed, np.asarray(limit.use, dtype=float), np.inf).min(axis=0, initial=np.inf)
        cost = {label: c for label, c in zip(allowed.columns, least.tolist(), strict=True) if np.isfinite(c)}
        beyond = sorted((c, label) for label, c in cost.items() if c > limit.amount)
        if not beyond:
            continue
        currency = people.model.playbook.currency
        cheapest = f"the cheapest, {action_words(beyond[0][1])}, costs {beyond[0][0]:,.3g} {currency}"
        if len(beyond) == len(cost):
            yield (
                f"nobody can be contacted: the budget of {limit.amount:,g} {currency} is too small for one contact, "
                f"{cheapest} with what is expected of its offer"
            )
        else:
            yield (
                f"the budget of {limit.amount:,g} {currency} is too small for one contact with {len(beyond)} of "
                f"{len(cost)} actions; {cheapest} with what is expected of its offer"
            )


def _of_capacities(people: Wave, limits: list[Limit], weeks: float) -> Iterator[str]:
    for limit in limits:
        if limit.name != BUDGET and limit.amount == 0:
            a_week = people.model.playbook.channels[limit.name].capacity_per_week
            yield (
                f"nobody can get {action_words(limit.name)}: its capacity of {a_week:,} a week is less than one "
                f"contact in {weeks:g} weeks"
            )


def _of_ids(people: Wave) -> Iterator[str]:
    """Suppressed ids of whom nobody is in the wave: written otherwise, or another file."""
    if people.suppressed and set(people.suppressed).isdisjoint(people.people.ids):
        yield (
            f"none of the {len(people.suppressed):,} suppressed ids, such as {sorted(people.suppressed)[0]!r}, is a "
            "customer_id of the people; expected one id a line, as the customers table has it"
        )


def _of_touches(people: Wave, whole: bool) -> Iterator[str]:
    """Contacts and outcomes that do not count."""
    for name, table, time in (("contacts", people.contacts, "decided_at"), ("outcomes", people.outcomes, "at")):
        if table is None:
            continue
        own = table[table["customer_id"].isin(people.people.ids)]
        if whole and own.empty and len(table):
            yield (
                f"{name}: none of its {_rows(len(table))} is about one of the people; expected the customer_id that "
                "the customers table has"
            )
        counts = decided_before(own, people.now, people.campaign) if name == "contacts" else own[time] < people.now
        late = int((~counts).sum())
        if late:
            yield f"{name}.{time}: {_rows(late)} of the decision's time or later; only earlier ones count"
        if name == "contacts":
            known = {CONTROL, *people.model.playbook.actions}
            strange = own.loc[~own["action"].isin(known), "action"]
            if len(strange):
                yield (
                    f"contacts.action: {_rows(len(strange))} with an action that the playbook lacks, such as "
                    f"{strange.iloc[0]!r}; it counts as a touch, but on no channel"
                )


def _rows(n: int) -> str:
    return "1 row" if n == 1 else f"{n:,} rows"
