"""What a playbook is made of: each part is typed, with its unit in its name."""

from __future__ import annotations

import zoneinfo
from datetime import date, time
from itertools import pairwise
from typing import Annotated, Literal, Self

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

Share = Annotated[float, Field(ge=0, lt=1)]
Days = Annotated[float, Field(ge=0)]
Currency = Annotated[float, Field(ge=0)]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
CopyPattern = Literal["aida", "pas", "picture_promise_proof_push", "before_after_bridge"]
TierName = Literal["individual", "segment", "mass"]
TIERS: tuple[TierName, ...] = ("individual", "segment", "mass")


def _known_zone(name: object) -> object:
    if not isinstance(name, str) or name not in zoneinfo.available_timezones():
        raise ValueError(f"expected a time zone such as 'Europe/Berlin', found {name!r}")
    return name


TimeZone = Annotated[str, BeforeValidator(_known_zone)]


def _day_of_year(text: object) -> object:
    try:
        return pd.Timestamp(f"2000-{text}").strftime("%m-%d")
    except ValueError:
        raise ValueError(f"expected a day of the year such as '11-20', found {text!r}") from None


DayOfYear = Annotated[str, BeforeValidator(_day_of_year)]
Condition = dict[str, tuple[str, ...]]
"""Columns of the customers table, or of the segments, and the values of which one must hold; all columns must agree."""


class Part(BaseModel):
    """Refuses what it does not know, and never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Brief(Part):
    """The six parts that every message has."""

    say_that_they_left: Text
    what_changed: Text
    proof: Text
    next_step: Text
    past_relationship: Text
    close: Text


class Archetype(Part):
    """A kind of message: which reasons for churn it answers, who speaks, how it is made, and its brief.

    ``needs_change``: it is sent only to people for whom something changed since they left (see `Change`).
    """

    answers: tuple[str, ...] = ()
    message: str
    made_by: str
    speaker: str
    length_seconds: tuple[int, int]
    treatment: str = ""
    copy_pattern: CopyPattern | None = None
    needs_change: bool = False
    brief: Brief

    @model_validator(mode="after")
    def _check_length(self) -> Self:
        shortest, longest = self.length_seconds
        if not 0 < shortest <= longest:
            raise ValueError(f"length_seconds: expected the shortest and the longest, found {[shortest, longest]}")
        return self


class ArchetypeRule(Part):
    """Which archetype a person gets by rule: the first rule of which everything named agrees.

    ``competitor`` says whether they went to a named one; ``changed`` whether something changed for them since.
    """

    archetype: str
    reasons: tuple[str, ...] = ()
    relationships: tuple[str, ...] = ()
    competitor: bool | None = None
    changed: bool | None = None


class Change(Part):
    """Something that changed on a day, such as a release that closes a gap, and for whom it did.

    ``closes`` are reasons for churn; none stands for all. ``where`` narrows it, for example to a gap that was named.
    """

    on: date
    what: Text
    closes: tuple[str, ...] = ()
    where: Condition = {}


class QuietHours(Part):
    """When nothing may arrive, in the person's own time; may go past midnight."""

    start: time
    end: time

    @model_validator(mode="after")
    def _check_length(self) -> Self:
        if self.start == self.end:
            raise ValueError(f"start and end are both {self.start:%H:%M}: expected two different times")
        return self


class Channel(Part):
    """How a message travels, what one contact costs, and what it needs.

    ``max_touches`` is the most that one person gets within ``contact.within_days``; ``window_days`` are the days since
    churn between which it may be used; ``lead_days`` is how long a message travels.
    """

    cost_currency: Currency = 0.0
    needs_consent: bool = False
    needs_account_access: bool = False
    min_gap_days: Days = 3
    capacity_per_week: int | None = Field(default=None, ge=0)
    max_touches: int | None = Field(default=None, ge=1)
    max_impressions_per_week: int | None = Field(default=None, ge=1)
    window_days: tuple[Days, Days] | None = None
    quiet_hours: QuietHours | None = None
    lead_days: Days = 0
    audience: bool = False
    note: str = ""

    @model_validator(mode="after")
    def _check_window(self) -> Self:
        if self.window_days and not self.window_days[0] < self.window_days[1]:
            raise ValueError(f"window_days: expected the first day and a later last one, found {self.window_days}")
        return self


class Offer(Part):
    """What is put on the table, what it costs when redeemed, and who must not get it."""

    cost_if_redeemed_currency: Currency = 0.0
    redemption_rate: float = Field(default=1.0, ge=0, le=1)
    expires_days: Days | None = None
    excluded_reasons: tuple[str, ...] = ()
    excluded_archetypes: tuple[str, ...] = ()
    note: str = ""


class Action(Part):
    """One archetype on one channel with one offer, for those who meet ``only``."""

    archetype: str
    channel: str
    offer: str = "none"
    only: Condition = {}


class Never(Part):
    """What must not follow what: action labels, or ``archetype:NAME``, ``channel:NAME``, ``offer:NAME``."""

    first: str
    then: str
    within_days: Days | None = None


class Program(Part):
    """Who belongs to the win-back program, and over which windows it is judged."""

    cooling_off_days: Days = 30
    horizon_days: Days = 548
    attribution_window_days: Annotated[float, Field(gt=0)] = 90
    decision_window_days: Annotated[float, Field(gt=0)] = 30
    time_zone: TimeZone = "UTC"


class Contact(Part):
    """How often one person is written to, whatever the channel, and when they are left alone.

    At most ``max_touches`` within ``within_days``, ``min_gap_days`` apart. After ``rest_after_ignored`` touches in a
    row without any response a person rests for ``rest_days``, after a complaint or an opt-out for good.
    """

    max_touches: int = Field(default=4, ge=1)
    within_days: Days = 45
    min_gap_days: Days = 3
    rest_after_ignored: int = Field(default=2, ge=1)
    rest_days: Days = 90


class Step(Part):
    """A touch of a planned sequence: the channels that it may take, and the days after the touch before it.

    Whoever did not answer a touch gets a later step next, where one can reach them; in whatever campaign.
    """

    channels: tuple[str, ...] = Field(min_length=1)
    after_days: Days = 7
    offers: tuple[str, ...] = ()


class Reasons(Part):
    """How the reason for churn is told where a person gave none.

    A reason that an exit answer or the features tell counts if its chance is at least ``min_probability`` and above
    its share among the people who stated one; otherwise people are taken for ``unknown_as``.
    """

    min_probability: float = Field(default=0.5, ge=0, le=1)
    unknown_as: str = "disengaged"


class Tier(Part):
    """How a message is made for people of a value: individually, by segment, or one for all.

    ``production_cost_currency`` is that of one variant of a message.
    """

    min_annual_value_currency: Currency = 0.0
    production_cost_currency: Currency = 0.0
    only_channels: tuple[str, ...] = ()


class Season(Part):
    """Days of each year on which channels or archetypes rest; all of them where none is named."""

    name: Text
    first_day: DayOfYear
    last_day: DayOfYear
    closed_channels: tuple[str, ...] = ()
    closed_archetypes: tuple[str, ...] = ()

    def holds(self, day: str) -> bool:
        """Whether it is that season on a day of the year such as 11-20."""
        if self.first_day <= self.last_day:
            return self.first_day <= day <= self.last_day
        return day >= self.first_day or day <= self.last_day


class Trigger(Part):
    """An event after which decisions are due, and how many hours after it each of them is: its steps.

    No step of a cancellation comes before the end of the cooling-off time.
    """

    event: Literal["cancelled", "cart_abandoned"]
    after_hours: tuple[Annotated[float, Field(ge=0)], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if any(later <= earlier for earlier, later in pairwise(self.after_hours)):
            raise ValueError(f"after_hours: expected each later than the one before, found {list(self.after_hours)}")
        return self


class Value(Part):
    """How an effect becomes money.

    ``revenue_effect`` says where the extra revenue of a person comes from: ``direct`` learns it from revenue itself;
    ``through_reactivation`` is the effect on reactivation times the extra revenue that an extra reactivation brought
    on average. The second is far less noisy where few people buy. ``new_customer_value_currency`` is the margin that a
    new customer brings over their lifetime, by which summaries measure what a returned one is worth.
    """

    margin_share: float = Field(default=1.0, gt=0, le=1)
    revenue_effect: Literal["direct", "through_reactivation"] = "through_reactivation"
    unsubscribe_cost_currency: Currency = 0.0
    new_customer_value_currency: Annotated[float, Field(gt=0)] | None = None


class Budget(Part):
    """What a wave may spend: contacts, and offers as far as they are expected to be redeemed."""

    currency_per_wave: Currency | None = None


class Learning(Part):
    """How much is set aside in order to learn: holdouts that get nothing, and exploration.

    ``explore_share`` is tried out at most: less where the model is sure what is best, but a quarter of it always
    (`policy.exploration`). Exploration takes at most ``explore_limit_share`` of the budget and of each capacity.
    """

    holdout_share: Share = 0.05
    campaign_holdout_share: Share = 0.05
    explore_share: Share = 0.05
    explore_limit_share: Share = 0.1
    salt: str = Field(min_length=1)


class Guardrails(Part):
    """How much harm an experiment bears before it is stopped, or its figures may not be read.

    Each share but the last is by how much the event may become more frequent with contact, of people. The defaults are
    what mailbox providers and mailing tools usually bear. ``crossed_over`` is the share of people who may get what
    another arm was to get; beyond it the arms are mixed up.
    """

    unsubscribed_share: Share = 0.005
    complained_share: Share = 0.001
    bounced_share: Share = 0.02
    crossed_over_share: Share = 0.05


class Features(Part):
    """Columns of the customers table that models may see, and ``protected`` ones by which fairness is watched.

    A ``categorical`` feature may also be a segment, such as ``rfm`` or ``engagement``.
    """

    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()


class Segments(Part):
    """Columns of the customers table that segments are made from; a segment without its column is unknown."""

    tenure_months: str = "tenure_months"
    orders: str = "orders_last_year"
    value: str = "annual_value"
    activity: str = "logins_last_year"
    trial_canceller: str = "trial_canceller"
