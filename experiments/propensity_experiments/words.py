"""What the figures say, in sentences for a marketer. The page and the terminal show the same ones."""

from __future__ import annotations

from propensity.assessment import PEOPLE
from propensity.contract import CONTROL
from propensity.evaluation import Estimate
from propensity.pages.words import action_words, chance, interval, listed, signed
from propensity_experiments.contents import Effect, SegmentEffect, Summary

MOST_SEGMENTS, MOST_ARMS = 3, 4
"""Named in a sentence; the page has all."""


def found_sentences(summary: Summary) -> list[str]:
    """What each arm brought, whom contact moved, and that the figures may be read."""
    told = [*_together(summary), *_arm_sentences(summary), *_segment_sentences(summary)]
    return [*told, *summary.health.cautions, *_health(summary)]


def unhealthy_sentences(summary: Summary) -> list[str]:
    """How sure it is that something is wrong, and what to do."""
    ratio = summary.health.sample_ratio
    by_chance = f"A split like this one would come about by chance in {chance(ratio.p_value)} of healthy experiments. "
    what = "Find out where people were lost, added or mixed up before trusting any figure of it."
    return [(by_chance if not ratio.healthy else "") + what, *summary.health.cautions]


def counted_sentences(summary: Summary) -> list[str]:
    """How many people each arm has and how many came back, where there is nothing to compare them with."""
    many = summary.campaign["reactivated_words"]
    totals = summary.primary.totals if summary.primary else ()
    told = [
        f"Of {arm.people:,} people {'not contacted' if arm.action == CONTROL else 'with ' + action_words(arm.action)}, "
        f"{arm.with_it:,} came back ({many})."
        for arm in totals
        if arm.people
    ]
    if summary.open_windows:
        told.append(f"{summary.open_windows:,} people are left out: their {_days(summary)} are not over.")
    return told


def _health(summary: Summary) -> list[str]:
    counted = f"{summary.people:,} people are counted"
    if summary.open_windows:
        counted += f" ({summary.open_windows:,} more are left out: their {_days(summary)} are not over)"
    return [
        f"{counted}, and the sizes of the arms fit the plan (a split at least this uneven comes about in "
        f"{chance(summary.health.sample_ratio.p_value)} of healthy experiments)."
    ]


def _together(summary: Summary) -> list[str]:
    """Of several arms: what contact of any kind brought, and whether it matters which one people get."""
    primary = summary.primary
    if primary is None or primary.any_contact is None or primary.among_arms is None:
        return []
    anyhow, among, many = primary.any_contact, primary.among_arms, summary.campaign["reactivated_words"]
    brought = "brought" if anyhow.clear else "showed no effect that can be told from chance:"
    best, worst = action_words(among.best), action_words(among.worst)
    gap = interval(among.difference.times(PEOPLE), sign=True)
    differ = "The arms differ" if among.clear else "The arms cannot be told from one another"
    return [
        f"Contact of any kind {brought} {interval(anyhow.difference.times(PEOPLE), sign=True)} {many} for each 1,000 "
        "people contacted.",
        f"{differ}: between the best and the worst, {best} and {worst}, lie {gap} {many} for each 1,000 people.",
    ]


def _arm_sentences(summary: Summary) -> list[str]:
    found = effects(summary, "reactivated")
    if len(found) > MOST_ARMS:
        names = ", ".join(action_words(x.action) for x in found if x.clear) or "none"
        return [f"Of {len(found)} actions, these changed how many people came back, beyond chance: {names}."]
    revenue = {x.action: x for x in effects(summary, "revenue")}
    sentences = []
    for effect in found:
        brought = "brought" if effect.clear else "showed no effect that can be told from chance:"
        back = interval(effect.difference.times(PEOPLE), sign=True)
        bought = revenue.get(effect.action)
        money_too = f" and {money(bought.difference.times(PEOPLE), summary, sign=True)} of revenue" if bought else ""
        sentences.append(
            f"{action_words(effect.action).capitalize()} {brought} {back} {summary.campaign['reactivated_words']}"
            f"{money_too} for each 1,000 people contacted."
        )
    return sentences


def effects(summary: Summary, key: str) -> tuple[Effect, ...]:
    """Of each arm on an outcome."""
    result = summary.outcome(key)
    return result.effects if result else ()


def _segment_sentences(summary: Summary) -> list[str]:
    """Whom contact moved more or less than the others, where that is told from chance."""
    if not any(s.differs for s in summary.segments):
        return []
    overall = sum(s.reactivations.value * s.people for s in summary.segments) / sum(s.people for s in summary.segments)
    sides = []
    for side, kept in (("more", lambda e: e > overall), ("less", lambda e: e <= overall)):
        clear = [s for s in summary.segments if s.differs and kept(s.reactivations.value)]
        clear.sort(key=lambda s: -abs(s.reactivations.value - overall))
        if clear:
            told = [f"{segment_words(s)} ({signed(s.reactivations.value)})" for s in clear[:MOST_SEGMENTS]]
            rest = len(clear) - MOST_SEGMENTS
            sides.append(f"{side} among {listed([*told, f'{rest} more'] if rest > 0 else told)}")
    many, looked = summary.campaign["reactivated_words"], len(summary.segments)
    return [
        f"Contact brought clearly {'; '.join(sides)}, in extra {many} per 1,000 people; {looked} segments were looked "
        "at, and that is allowed for."
    ]


def segments_note(summary: Summary) -> str:
    """How the segments are to be read."""
    if not summary.segments:
        return ""
    found, looked = sum(s.differs for s in summary.segments), f"{len(summary.segments)} segments were looked at"
    if not found:
        return f"{looked}; none can be told from everybody else, once it is allowed for how many they are."
    return f"{looked}; {found} can be told from everybody else, once it is allowed for how many they are."


def segment_words(segment: SegmentEffect) -> str:
    """A segment in words: ``time since churn: 60 to 180 days``."""
    return f"{action_words(segment.segment)}: {action_words(segment.value)}"


def policy_sentences(summary: Summary, best: str) -> list[str]:
    """What the policy brings on people whom no training saw; ``best`` is the best action for all, in words."""
    assessment = summary.assessment
    if assessment is None:
        return []
    model, same = assessment.policy("model"), assessment.policy("one_action")
    personal = assessment.policy("per_person")
    if model is None or same is None or personal is None:
        return []
    many = summary.campaign["reactivated_words"]
    sentences = [
        f"Measured on {assessment.n_people:,} people whom no training saw, this policy brings "
        f"{interval(model.reactivations)} extra {many} and {money(model.revenue, summary)} of extra revenue for each "
        f"1,000 people, and costs {_amount(model.cost, summary)} to send."
    ]
    if assessment.gate.granted == "per_person":
        difference = same.model_minus_this
        sentences.append(
            f"Against {best} to all, choosing per person brings {interval(difference['reactivations'], sign=True)} "
            f"{many} and {money(difference['revenue'], summary, sign=True)} of revenue for each 1,000 people"
            + ("." if difference["reactivations"].low > 0 else ": too little to tell from chance.")
        )
    elif assessment.gate.proposed == "per_person" and personal.model_minus_this["reactivations"].standard_error > 0:
        difference = personal.model_minus_this["reactivations"].times(-1)
        sentences.append(
            f"Choosing per person instead would bring {interval(difference, sign=True)} {many} for each 1,000 people "
            f"against {best} to all."
        )
    return sentences


def wave_sentences(summary: Summary) -> list[str]:
    """Who gets what in the wave that follows, and what is expected of it."""
    wave = summary.next_wave
    if wave is None:
        return []
    total = sum(wave.sent.values())
    actions = ", ".join(f"{n:,} with {action_words(a)}" for a, n in sorted(wave.sent.items(), key=lambda x: -x[1])[:6])
    if len(wave.sent) > 6:
        actions += f", the rest with {len(wave.sent) - 6} other actions"
    kept = []
    for assignment, why in (
        ("holdout", "are held out so that the next result can be measured"),
        ("explore", "of the contacts are drawn at random to keep learning"),
        ("suppressed", "may not be contacted"),
    ):
        if wave.assignments.get(assignment):
            kept.append(f"{wave.assignments[assignment]:,} {why}")
    by = f" ({actions})" if total else ""
    sentences = [
        f"Next wave, {wave.people:,} people: contact {total:,}{by} for {_amount(wave.cost, summary)}"
        + (f"; {', '.join(kept)}." if kept else ".")
    ]
    if wave.reactivations is not None and wave.revenue is not None and wave.reactivations.value:
        many = summary.campaign["reactivated_words"]
        decided = wave.assignments.get("policy", 0)
        extra, revenue = interval(wave.reactivations, digits=0), money(wave.revenue, summary)
        sentences.append(
            f"Expected of the {decided:,} people whom the policy decides on: {extra} extra {many} and {revenue} of "
            "extra revenue."
        )
    return sentences


def money(estimate: Estimate, summary: Summary, sign: bool = False) -> str:
    """A sum of money with its interval."""
    return f"{summary.campaign['currency']} {interval(estimate, digits=0, sign=sign)}"


def _amount(value: float, summary: Summary) -> str:
    return f"{summary.campaign['currency']} {value:,.0f}"


def _days(summary: Summary) -> str:
    return f"{summary.campaign['window_days']:.0f} days"
