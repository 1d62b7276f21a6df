"""What is no mistake in a playbook and may still surprise whoever wrote it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from propensity.contract import CONSENT_PREFIX, REASONS
from propensity.playbook.book import FACTORS, Playbook


def cautions(playbook: Playbook) -> list[str]:
    """Plain sentences about actions that few people can get and about parts that nothing leads to."""
    return [*_of_channels(playbook), *_of_unused_parts(playbook), *_of_reasons(playbook)]


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
