"""What is no mistake in a playbook and may still surprise whoever wrote it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from propensity.contract import CONSENT_PREFIX, REASONS
from propensity.playbook.book import FACTORS, Playbook


def cautions(playbook: Playbook) -> list[str]:
    """Plain sentences about actions that few people can get, parts that nothing leads to, limits that never bind."""
    return [
        *_of_channels(playbook),
        *_of_unused_parts(playbook),
        *_of_reasons(playbook),
        *_of_caps(playbook),
        *_of_sequence(playbook),
        *_of_budget(playbook),
        *_of_changes(playbook),
        *_of_clocks(playbook),
    ]


def _of_channels(playbook: Playbook) -> Iterator[str]:
    """Actions that need a yes in the customers table."""
    consents = {c: CONSENT_PREFIX + c for c in playbook.consent_channels}
    access = {c: "account_access" for c, channel in playbook.channels.items() if channel.needs_account_access}
    for need, flag_of in (("consent", consents), ("access to the account", access)):
        flags = [flag_of[a.channel] for a in playbook.actions.values() if a.channel in flag_of]
        if flags:
            yield (
                f"{len(flags)} of {len(playbook.actions)} actions need {need}; they reach only people for whom the "
                f"customers table says yes in {', '.join(sorted(set(flags)))}"
            )


def _of_unused_parts(playbook: Playbook) -> Iterator[str]:
    held: tuple[Collection[str], ...] = (playbook.archetypes, playbook.channels, playbook.offers)
    for part, names in zip(FACTORS, held, strict=True):
        used = {getattr(action, part) for action in playbook.actions.values()}
        for name in names:
            if name not in used:
                yield f"{part} {name}: no action uses it"


def _of_reasons(playbook: Playbook) -> Iterator[str]:
    """Archetypes that no reason leads to, and reasons that lead to none, by answers or by rules."""
    rules = playbook.archetype_rules
    for name, archetype in playbook.archetypes.items():
        if not archetype.answers and name not in {rule.archetype for rule in rules}:
            yield f"archetype {name}: no reason for churn leads to it, so nobody gets it by rule"
    answered = set(playbook.archetype_of_reason())
    for rule in rules:
        answered |= set(rule.reasons or REASONS)
    open_ = [reason for reason in REASONS if reason not in answered]
    if open_:
        yield f"no archetype answers {', '.join(open_)}; people who left for that get nothing by rule"


def _of_caps(playbook: Playbook) -> Iterator[str]:
    """Limits on touches that another limit makes idle."""
    contact = playbook.contact
    for name in _used_channels(playbook):
        channel = playbook.channels[name]
        if channel.max_touches is not None and channel.max_touches > contact.max_touches:
            yield (
                f"channels.{name}.max_touches is {channel.max_touches}, but nobody gets more than "
                f"contact.max_touches, {contact.max_touches}, on all channels together"
            )
        if "min_gap_days" in channel.model_fields_set and channel.min_gap_days < contact.min_gap_days:
            yield (
                f"channels.{name}.min_gap_days is {channel.min_gap_days:g}, but any two touches are "
                f"contact.min_gap_days, {contact.min_gap_days:g}, apart"
            )
    if (contact.max_touches - 1) * contact.min_gap_days > contact.within_days:
        yield (
            f"contact.max_touches is {contact.max_touches} within {contact.within_days:g} days, but touches are "
            f"{contact.min_gap_days:g} days apart, so that many cannot fit in"
        )


def _of_sequence(playbook: Playbook) -> Iterator[str]:
    """Steps that come sooner than touches may, or after people began to rest."""
    contact, waited = playbook.contact, 0.0
    for i, step in enumerate(playbook.sequence):
        if i == 0:
            continue
        waited += step.after_days
        again = set(step.channels) & set(playbook.sequence[i - 1].channels)
        gaps = {"contact": contact.min_gap_days, **{f"channels.{c}": playbook.channels[c].min_gap_days for c in again}}
        longest = max(gaps, key=lambda name: gaps[name])
        if step.after_days < gaps[longest]:
            yield (
                f"sequence.{i}.after_days is {step.after_days:g}, but {longest}.min_gap_days, {gaps[longest]:g}, keeps "
                "touches further apart, so the step is late"
            )
        if i >= contact.rest_after_ignored and step.after_days < contact.rest_days:
            yield (
                f"sequence.{i}: comes after {i} touches, but who did not react to contact.rest_after_ignored, "
                f"{contact.rest_after_ignored}, rests for {contact.rest_days:g} days, so it reaches only those who "
                "reacted"
            )
        if i >= contact.max_touches and waited <= contact.within_days:
            yield (
                f"sequence.{i}: is touch {i + 1} within {waited:g} days, but contact.max_touches is "
                f"{contact.max_touches} within {contact.within_days:g}, so nobody gets it in time"
            )


def _of_budget(playbook: Playbook) -> Iterator[str]:
    budget = playbook.budget.currency_per_wave
    if budget is None:
        return
    costs = {name: playbook.channels[name].cost_currency for name in _used_channels(playbook)}
    for name, cost in costs.items():
        if cost > budget:
            yield (
                f"channels.{name}.cost_currency is {cost:g}, more than budget.currency_per_wave, {budget:g}, so nobody "
                "gets it unless a wave has a budget of its own"
            )


def _of_changes(playbook: Playbook) -> Iterator[str]:
    """Archetypes that wait for a change, and offers that are excluded for all whom the archetype is for."""
    for name, archetype in playbook.archetypes.items():
        if archetype.needs_change and not playbook.changes:
            yield f"archetype {name}: is for whom something changed, and there are no [[changes]], so nobody gets it"
    for label, action in playbook.actions.items():
        answers = set(playbook.archetypes[action.archetype].answers)
        if answers and answers <= set(playbook.offers[action.offer].excluded_reasons):
            yield (
                f"action {label}: offer {action.offer} is excluded for every reason that archetype {action.archetype} "
                "answers, so nobody gets it by rule"
            )


def _of_clocks(playbook: Playbook) -> Iterator[str]:
    quiet = [name for name in _used_channels(playbook) if playbook.channels[name].quiet_hours]
    if quiet and "time_zone" not in playbook.program.model_fields_set:
        yield (
            f"program.time_zone is not named, so the quiet hours of {', '.join(quiet)} go by the clocks of "
            f"{playbook.program.time_zone} for people without a time_zone of their own"
        )


def _used_channels(playbook: Playbook) -> list[str]:
    used = {action.channel for action in playbook.actions.values()}
    return [name for name in playbook.channels if name in used]
