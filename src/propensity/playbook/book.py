"""The playbook as a whole: what a company may send to whom, what it costs, and the rules it keeps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from itertools import pairwise
from typing import Any, Self

import pandas as pd
from pydantic import Field, model_validator

from propensity.contract import CONTROL, PRIVATE, REASONS, RELATIONSHIPS
from propensity.playbook.parts import (
    TIERS,
    Action,
    Archetype,
    ArchetypeRule,
    Budget,
    Change,
    Channel,
    Contact,
    Features,
    Guardrails,
    Learning,
    Never,
    Offer,
    Part,
    Program,
    Reasons,
    Season,
    Segments,
    Step,
    Tier,
    TierName,
    Trigger,
    Value,
)

FACTORS = ("archetype", "channel", "offer")


class ContradictionError(ValueError):
    """Parts of a playbook that do not fit each other; each of ``mistakes`` begins with where, as the file has it."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


class Results(dict[Any, Any]):
    """Results by the function that made them; two playbooks may be equal whatever was worked out from them."""

    __eq__ = object.__eq__


class Playbook(Part):
    """Everything a company decided about its win-back program."""

    name: str = Field(pattern=r"^[a-z0-9_\-]+$")
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    program: Program = Program()
    contact: Contact = Contact()
    value: Value = Value()
    budget: Budget = Budget()
    learning: Learning
    guardrails: Guardrails = Guardrails()
    features: Features
    segments: Segments = Segments()
    reasons: Reasons = Reasons()
    archetypes: dict[str, Archetype]
    archetype_rules: tuple[ArchetypeRule, ...] = ()
    channels: dict[str, Channel]
    offers: dict[str, Offer] = Field(default_factory=lambda: {"none": Offer()})
    actions: dict[str, Action]
    never: tuple[Never, ...] = ()
    sequence: tuple[Step, ...] = ()
    tiers: dict[TierName, Tier] = Field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    seasons: tuple[Season, ...] = ()
    triggers: dict[str, Trigger] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        mistakes = list(self._mistakes())
        if mistakes:
            raise ContradictionError(mistakes)
        return self

    def _mistakes(self) -> Iterator[str]:
        """What the parts say of each other that cannot be; each begins with where, as the file has it."""
        yield from self._mistakes_of_actions()
        yield from self._mistakes_of_names()
        yield from self._mistakes_of_answers()
        yield from self._mistakes_of_tiers()
        yield from self._mistakes_of_privacy()
        both = set(self.features.numeric) & set(self.features.categorical)
        if both:
            yield f"features: {', '.join(sorted(both))} is listed as numeric and as categorical"
        seen = set(self.features.protected) & {*self.features.numeric, *self.features.categorical}
        if seen:
            yield f"features.protected: {', '.join(sorted(seen))} is a feature too, and models must not see it"
        if self.program.horizon_days <= self.program.cooling_off_days:
            yield "program.horizon_days: must be more than cooling_off_days, or nobody is eligible"
        yield from self._mistakes_of_windows()
        yield from self._mistakes_of_budget()

    def _mistakes_of_windows(self) -> Iterator[str]:
        """Times that never come."""
        for name, channel in self.channels.items():
            if channel.window_days and channel.window_days[1] <= self.program.cooling_off_days:
                yield f"channels.{name}.window_days: ends inside the cooling-off time, so nobody could ever get it"
            if channel.window_days and channel.window_days[0] > self.program.horizon_days:
                yield (
                    f"channels.{name}.window_days: begins after program.horizon_days "
                    f"({self.program.horizon_days:g}), so nobody could ever get it"
                )
        for i, season in enumerate(self.seasons):
            days = pd.date_range("2000-01-01", "2000-12-31").strftime("%m-%d")
            if all(season.holds(day) for day in days):
                rests = ", ".join((*season.closed_channels, *season.closed_archetypes)) or "everything"
                yield f"seasons.{i}: {season.name!r} lasts the whole year, so {rests} would rest for ever"

    def _mistakes_of_budget(self) -> Iterator[str]:
        """A budget that buys nothing at all."""
        budget = self.budget.currency_per_wave
        used = {action.channel for action in self.actions.values() if action.channel in self.channels}
        costs = {name: self.channels[name].cost_currency for name in used}
        if budget is not None and costs and budget < min(costs.values()):
            cheapest = min(costs, key=lambda name: costs[name])
            yield (
                f"budget.currency_per_wave: expected at least what one contact costs ({costs[cheapest]:g} by "
                f"{cheapest}), found {budget:g}, so nobody could ever be contacted"
            )

    def _mistakes_of_actions(self) -> Iterator[str]:
        if not self.actions:
            yield "actions: expected at least one action, found none"
        for label, action in self.actions.items():
            if label == CONTROL:
                yield f"actions.{label}: {label!r} is the name of no contact; choose another label"
            known: tuple[Collection[str], ...] = (self.archetypes, self.channels, self.offers)
            for part, names in zip(FACTORS, known, strict=True):
                if getattr(action, part) not in names:
                    yield _unknown(f"actions.{label}.{part}", getattr(action, part), names, "one")
            offer = self.offers.get(action.offer)
            if offer and action.archetype in offer.excluded_archetypes:
                yield (
                    f"actions.{label}: offer {action.offer!r} excludes archetype {action.archetype!r}, so nobody could "
                    "ever get this action"
                )
            channel = self.channels.get(action.channel)
            if channel and channel.capacity_per_week == 0:
                yield (
                    f"actions.{label}: channel {action.channel!r} has a capacity of 0, so nobody could ever get this "
                    "action"
                )

    def _mistakes_of_names(self) -> Iterator[str]:
        """Names that nothing bears."""
        for where, found, known in self._named():
            for name in found:
                if name not in known:
                    yield _unknown(where, name, known)
        for i, rule in enumerate(self.never):
            for side in ("first", "then"):
                if not self._stands_for_something(getattr(rule, side)):
                    yield (
                        f"never.{i}.{side}: expected an action, or archetype:NAME, channel:NAME or offer:NAME, "
                        f"found {getattr(rule, side)!r}"
                    )

    def _stands_for_something(self, name: str) -> bool:
        part, _, of = name.rpartition(":")
        known: dict[str, Collection[str]] = {
            "": self.actions,
            "archetype": self.archetypes,
            "channel": self.channels,
            "offer": self.offers,
        }
        return of in known.get(part, ())

    def _named(self) -> Iterator[tuple[str, Collection[str], Collection[str]]]:
        """Where names are used, which ones, and which there are."""
        for name, archetype in self.archetypes.items():
            yield f"archetypes.{name}.answers", archetype.answers, REASONS
        for name, offer in self.offers.items():
            yield f"offers.{name}.excluded_reasons", offer.excluded_reasons, REASONS
            yield f"offers.{name}.excluded_archetypes", offer.excluded_archetypes, self.archetypes
        for i, rule in enumerate(self.archetype_rules):
            yield f"archetype_rules.{i}.archetype", [rule.archetype], self.archetypes
            yield f"archetype_rules.{i}.reasons", rule.reasons, REASONS
            yield f"archetype_rules.{i}.relationships", rule.relationships, RELATIONSHIPS
        for i, change in enumerate(self.changes):
            yield f"changes.{i}.closes", change.closes, REASONS
        for i, step in enumerate(self.sequence):
            yield f"sequence.{i}.channels", step.channels, self.channels
            yield f"sequence.{i}.offers", step.offers, self.offers
        for i, season in enumerate(self.seasons):
            yield f"seasons.{i}.closed_channels", season.closed_channels, self.channels
            yield f"seasons.{i}.closed_archetypes", season.closed_archetypes, self.archetypes
        for tier_name, tier in self.tiers.items():
            yield f"tiers.{tier_name}.only_channels", tier.only_channels, self.channels
        yield "reasons.unknown_as", [self.reasons.unknown_as], REASONS

    def _mistakes_of_answers(self) -> Iterator[str]:
        claimed: dict[str, str] = {}
        for name, archetype in self.archetypes.items():
            for reason in archetype.answers:
                if reason in claimed:
                    yield f"archetypes.{name}.answers: reason {reason!r} is already answered by {claimed[reason]!r}"
                claimed[reason] = name

    def _mistakes_of_tiers(self) -> Iterator[str]:
        least = [(name, self.tiers[name].min_annual_value_currency) for name in TIERS if name in self.tiers]
        for (higher, more), (lower, less) in pairwise(least):
            if more <= less:
                yield f"tiers.{higher}.min_annual_value_currency: must be more than that of {lower}"
        used = {action.channel for action in self.actions.values()}
        for name, tier in self.tiers.items():
            if tier.only_channels and not used & set(tier.only_channels):
                yield (
                    f"tiers.{name}.only_channels: expected a channel that some action uses, {', '.join(sorted(used))}, "
                    f"found {', '.join(tier.only_channels)}, so nobody of this tier could ever get anything"
                )

    def _mistakes_of_privacy(self) -> Iterator[str]:
        """Where something is to be read from what people wrote in their own words."""
        conditions = {f"actions.{label}.only": action.only for label, action in self.actions.items()}
        conditions |= {f"changes.{i}.where": change.where for i, change in enumerate(self.changes)}
        used: dict[str, Collection[str]] = {
            **{f"features.{kind}": getattr(self.features, kind) for kind in ("numeric", "categorical", "protected")},
            "segments": list(self.segments.model_dump().values()),
            **conditions,
        }
        for where, columns in used.items():
            for name in PRIVATE:
                if name in columns:
                    yield f"{where}: {name} may hold personal data and tells only the reason for churn; remove it"

    def actions_named(self, name: str) -> list[str]:
        """Labels that a name of `Never` stands for: one action, or all of an archetype, a channel or an offer."""
        part, _, of = name.rpartition(":")
        if not part:
            return [name] if name in self.actions else []
        return [label for label in self.labels if part in FACTORS and getattr(self.actions[label], part) == of]

    @cached_property
    def derived(self) -> Results:
        """What was worked out from this playbook (see `derived`)."""
        return Results()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, with changes that are not checked; what was worked out from this playbook stays behind."""
        copied = super().model_copy(update=update, deep=deep)
        for name in ("derived", "version"):
            copied.__dict__.pop(name, None)
        return copied

    @cached_property
    def version(self) -> str:
        """Hash of the content, 12 hexadecimal digits; what is left at its default does not count.

        The order of actions counts, because by rule the first that fits is taken; that of other parts does not.
        """
        dumped = self.model_dump(mode="json", exclude_defaults=True)
        content = json.dumps(dumped | {"actions": list(dumped["actions"].items())}, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    @property
    def labels(self) -> list[str]:
        """The action labels without control, sorted."""
        return sorted(self.actions)

    @property
    def consent_channels(self) -> list[str]:
        """Channels that some action uses and that need consent."""
        used = {action.channel for action in self.actions.values()}
        return sorted(c for c in used if self.channels[c].needs_consent)

    def factors(self) -> pd.DataFrame:
        """Archetype, channel and offer of each action: a DataFrame indexed by action label, categorical columns."""
        rows = {label: self.actions[label].model_dump(include=set(FACTORS)) for label in self.labels}
        return pd.DataFrame.from_dict(rows, orient="index").astype("category")

    def archetype_of_reason(self) -> dict[str, str]:
        """The archetype that answers each reason for churn."""
        return {reason: name for name, part in self.archetypes.items() for reason in part.answers}


def _unknown(where: str, found: str, known: Collection[str], how_many: str = "some") -> str:
    return f"{where}: expected {how_many} of {', '.join(known)}, found {found!r}"
