"""A company whose customers leave month by month, as a world that policies act in: the same people and the same luck
for each of them.

Everybody comes up for a decision twice inside 180 days, if they are not back by then: when they left one to two months
ago, and 90 days later, when the attribution window of the first decision has closed. What an action does may shift from
a month on. Months have 30 days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd

from propensity import playbook as playbooks
from propensity.contract import CONSENT_PREFIX, CONTROL
from propensity.playbook import Playbook
from propensity.policy import profit
from propensity.simulation.customers import Flags, Traits, draw_customers, grown_older
from propensity.simulation.effects import Response, responses
from propensity.simulation.events import Draws, draw_numbers, outcomes_table
from propensity.simulation.logging_rule import contacts_table, draw_actions, eligible_actions, logging_probabilities

T = TypeVar("T", Traits, Draws)

FIRST_WAVE = datetime(2026, 3, 2, 9, tzinfo=UTC)
MONTH = timedelta(days=30)
MONTHS_BETWEEN_TOUCHES = 3
"""So that the attribution window of the first has closed at the second."""
FIRST_TOUCH_DAYS = (30.0, 60.0)
"""How long ago people left when they first come up."""
PILOT_DAYS = (30.0, 180.0)
PILOT_BEFORE = timedelta(days=160)
"""The pilot was decided so long before the first wave: its people come up no more, and its windows have closed."""
EVENT_COLUMNS = ("event_id", "source", "customer_id", "decision_id", "at", "type", "amount")
REPORTED_AFTER = timedelta(days=2)
"""What happens is known to the company so much later."""


class Shift(NamedTuple):
    """From a wave on (the first is 1), what has an archetype, channel or offer does so many times as much."""

    wave: int
    strength: Mapping[str, float]
    why: str


SHIFTS = (
    Shift(6, {"archetype:we_got_better": 2.0}, "a release"),
    Shift(9, {"offer:extended_trial": 0.3}, "the trial loses its charm"),
)


@dataclass(frozen=True, eq=False)
class Due:
    """People who come up for a decision, and the truth about them; everything in the order of ``customers``."""

    customers: pd.DataFrame
    traits: Traits
    response: Response
    draws: Draws

    def __len__(self) -> int:
        return len(self.customers)

    def only(self, kept: Flags) -> Due:
        """Some of them."""
        response = self.response
        by_person = {x.name: getattr(response, x.name) for x in fields(Response)}
        of_people = ("spontaneous", "kept", "won", "spend_currency", "unsubscribe")
        return Due(
            self.customers[kept].reset_index(drop=True),
            _some(self.traits, kept),
            replace(response, **{name: by_person[name][kept] for name in of_people}),
            _some(self.draws, kept),
        )

    def profit(self, playbook: Playbook) -> pd.DataFrame:
        """What each person truly brings under each action on average (n, actions with control), currency."""
        found = self.response
        actions = list(found.actions)
        chance, leaving = found.reactivation(), found.unsubscribe_probability()
        return pd.DataFrame(profit(found.revenue_currency(), chance, leaving, playbook, actions), columns=actions)


@dataclass(frozen=True, eq=False)
class Pilot:
    """A randomised wave before the first one: checked contract tables."""

    customers: pd.DataFrame
    contacts: pd.DataFrame
    outcomes: pd.DataFrame


class World:
    """What is the same whatever a policy does.

    Parameters
    ----------
    seed : int
    newcomers : int
        People who come up for the first time in each wave.
    playbook : Playbook, optional
        Default: `world_playbook`.
    shifts : sequence of Shift
    effect_scale : float
        Multiplies every effect; 0: contact does nothing.
    """

    def __init__(
        self,
        seed: int,
        newcomers: int,
        *,
        playbook: Playbook | None = None,
        shifts: Sequence[Shift] = SHIFTS,
        effect_scale: float = 1.0,
    ) -> None:
        self.seed, self.newcomers, self.shifts, self.effect_scale = seed, newcomers, shifts, effect_scale
        self.playbook = playbook or world_playbook()
        self._cohort = cache(self._drawn)
        self._again = cache(self._grown)

    def at(self, wave: int) -> pd.Timestamp:
        """When a wave (from 1) is decided."""
        return pd.Timestamp(FIRST_WAVE + (wave - 1) * MONTH)

    def strength(self, wave: int) -> dict[str, float]:
        """By how much more than at first each part of an action does in a wave."""
        found: dict[str, float] = {}
        for shift in self.shifts:
            if wave >= shift.wave:
                found |= {part: found.get(part, 1.0) * times for part, times in shift.strength.items()}
        return found

    def due(self, wave: int, back: set[str], opted_out: set[str]) -> Due:
        """Who comes up in a wave: newcomers, and after `MONTHS_BETWEEN_TOUCHES` those who are not back.

        Parameters
        ----------
        wave : int
        back, opted_out : set of str
            Ids of people who returned, or took back their consents.
        """
        first = self._cohort(wave)
        parts: list[tuple[pd.DataFrame, Traits, Draws]] = [(*first, self._luck(wave, 1))]
        earlier = wave - MONTHS_BETWEEN_TOUCHES
        if earlier >= 1:
            parts.append((*self._again(earlier), self._luck(earlier, 2)))
        customers = pd.concat([part[0] for part in parts], ignore_index=True)
        traits, draws = _joined([part[1] for part in parts]), _joined([part[2] for part in parts])
        silent = customers["customer_id"].isin(opted_out)
        for channel in self.playbook.consent_channels:
            name = CONSENT_PREFIX + channel
            customers[name] = customers[name].mask(silent, False)
        response = self._response(traits, self.strength(wave))
        everybody = Due(customers, traits, response, draws)
        return everybody.only(~customers["customer_id"].isin(back).to_numpy())

    def under(self, due: Due, strength: Mapping[str, float]) -> Due:
        """The same people, with other strengths of parts of actions."""
        return replace(due, response=self._response(due.traits, strength))

    def _response(self, traits: Traits, strength: Mapping[str, float]) -> Response:
        return responses(self.playbook, traits, self.effect_scale, strength)

    def pilot(self, n_customers: int) -> Pilot:
        """A randomised wave on people who left some months ago, before anything shifted."""
        at = FIRST_WAVE - PILOT_BEFORE
        people, luck, lottery = (np.random.default_rng([self.seed, 0, k]) for k in range(3))
        customers, traits = draw_customers(n_customers, self.playbook, at, people, PILOT_DAYS)
        customers["customer_id"] = self._named("pilot", customers)
        eligible = eligible_actions(customers, self.playbook, at)
        chances = logging_probabilities(eligible, self.playbook)
        inside: Flags = np.logical_or.reduce(eligible[:, 1:], axis=1)
        served = np.where(inside, draw_actions(chances, lottery), 0)
        contacts = contacts_table(customers.loc[inside], self.playbook, at, chances[inside], served[inside])
        keys = np.full(n_customers, None, dtype=object)
        keys[inside] = contacts["decision_id"].to_numpy()
        response = self._response(traits, {})
        outcomes = outcomes_table(customers, keys, served, response, draw_numbers(n_customers, luck), self.playbook, at)
        return Pilot(customers, contacts.assign(campaign="pilot"), _with_prefix(outcomes, f"{self.seed}-pilot-"))

    def _drawn(self, wave: int) -> tuple[pd.DataFrame, Traits]:
        rng = np.random.default_rng([self.seed, wave, 0])
        customers, traits = draw_customers(self.newcomers, self.playbook, self.at(wave), rng, FIRST_TOUCH_DAYS)
        customers["customer_id"] = self._named(f"m{wave:02d}", customers)
        return customers, traits

    def _grown(self, wave: int) -> tuple[pd.DataFrame, Traits]:
        rng = np.random.default_rng([self.seed, wave, 3])
        return grown_older(*self._cohort(wave), self.at(wave + MONTHS_BETWEEN_TOUCHES), rng)

    def _luck(self, wave: int, touch: int) -> Draws:
        return draw_numbers(self.newcomers, np.random.default_rng([self.seed, wave, touch]))

    def _named(self, group: str, customers: pd.DataFrame) -> pd.Series:
        return f"{self.seed}-{group}-" + customers["customer_id"].astype("str")


class Course:
    """What happens in a world under one policy."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.back: set[str] = set()
        self.opted_out: set[str] = set()
        self._coming: list[pd.DataFrame] = []

    def due(self, wave: int) -> Due:
        """Who comes up in a wave."""
        return self.world.due(wave, self.back, self.opted_out)

    def follow(self, wave: int, due: Due, actions: np.ndarray, decision_ids: np.ndarray) -> None:
        """Carry out what was decided on everybody who was due: actions (n,) and the decisions' ids (n,)."""
        world = self.world
        ids = due.customers["customer_id"]
        # what would have come after the window of an earlier decision is now for this one to bring
        self._coming = [events[~events["customer_id"].isin(ids)] for events in self._coming]
        served = pd.Index([CONTROL, *world.playbook.labels]).get_indexer(pd.Index(actions))
        events = outcomes_table(
            due.customers, decision_ids, served, due.response, due.draws, world.playbook, world.at(wave)
        )
        self._coming.append(_with_prefix(events, f"{world.seed}-"))

    def reported(self, wave: int) -> pd.DataFrame:
        """What the company came to know since it was last asked, until a wave is decided: a contract table."""
        known_until = self.world.at(wave) - REPORTED_AFTER
        parts = [events[events["at"] <= known_until] for events in self._coming]
        self._coming = [events[events["at"] > known_until] for events in self._coming]
        self._coming = [events for events in self._coming if len(events)]
        parts = [part for part in parts if len(part)]
        found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(EVENT_COLUMNS))
        self.back |= set(found.loc[found["type"].isin(["reactivated", "purchased"]), "customer_id"])
        self.opted_out |= set(found.loc[found["type"] == "unsubscribed", "customer_id"])
        return found


def world_playbook(name: str = "default") -> Playbook:
    """A playbook with two touches inside 180 days and no later ones."""
    book = playbooks.load(name)
    return book.model_copy(
        update={
            "program": book.program.model_copy(update={"horizon_days": 180}),
            "contact": book.contact.model_copy(update={"max_touches": 2, "within_days": 180}),
        }
    )


def _with_prefix(events: pd.DataFrame, prefix: str) -> pd.DataFrame:
    return events.assign(event_id=prefix + events["event_id"].astype("str"))


def _some(values: T, kept: Flags) -> T:
    return replace(values, **{x.name: getattr(values, x.name)[kept] for x in fields(values)})


def _joined(parts: Sequence[T]) -> T:
    def together(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    return replace(parts[0], **{x.name: together(x.name) for x in fields(parts[0])})
