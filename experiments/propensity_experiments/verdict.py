"""What to do about an experiment: roll out, stop, keep running, or do not read; and what it is worth.

Where a model has learnt from the experiment, its gate decides, on people that no training saw. Otherwise the arms do:
an arm is rolled out where it is shown to bring people back *and* to pay for itself. As long as windows are open,
somebody looks before the end, and a finding must hold in the always-valid band too.
"""

from __future__ import annotations

from math import ceil, inf, isfinite, isnan

from propensity.assessment import PEOPLE, PolicyResult
from propensity.contract import CONTROL
from propensity.evaluation import Estimate
from propensity.evaluation.estimate import estimate_with_error
from propensity.inference import always_valid, people_to_tell
from propensity.pages.words import action_words, interval, listed
from propensity_experiments import words
from propensity_experiments.contents import Effect, Summary, Verdict
from propensity_experiments.effects import CONFIDENCE

POWER = 0.8
"""Chance of telling an effect as large as the one seen, where more people are asked for."""
LONGEST_DAYS, MOST_PEOPLE = 730, 100_000_000
"""Nobody waits longer, and nobody has more."""


def verdict(summary: Summary) -> Verdict:
    """The verdict on an experiment."""
    if not summary.health.healthy:
        return _unhealthy(summary)
    if summary.primary is None or not summary.primary.effects:
        return _no_comparison(summary)
    if summary.assessment is not None:
        return _of_policy(summary)
    return _of_arms(summary)


def _unhealthy(summary: Summary) -> Verdict:
    # each fault is a sentence of its own
    faults = listed([fault[0].lower() + fault[1:].rstrip(".") for fault in summary.health.faults])
    headline = f"Do not read these results: {faults}."
    return Verdict("unhealthy", headline, "", tuple(words.unhealthy_sentences(summary)))


def _no_comparison(summary: Summary) -> Verdict:
    why = "there is nobody to compare with" if summary.people else "no window has closed yet"
    headline = f"Nothing can be said of what contact brought: {why}."
    return Verdict("no_comparison", headline, "", (*summary.health.cautions, *words.counted_sentences(summary)))


# ------------------------------------------------------------------------------------------------------ by a policy


def _of_policy(summary: Summary) -> Verdict:
    """What the gate grants; see `assessment.Gate`."""
    assessment = summary.assessment
    assert assessment is not None  # asked before
    why, found = assessment.gate.why, words.found_sentences(summary)
    wave = words.wave_sentences(summary)
    worth = _worth_of_policy(summary, assessment.policy("model")) or _worth_of(summary, _any(summary))
    granted = assessment.gate.granted
    if granted == "nobody":
        policy = f"{why} The recommended policy is the same for everybody: no contact."
        if any(x.clear and x.difference.value > 0 for x in words.effects(summary, "reactivated")):
            headline = "Contact brings people back, but is not yet shown to pay for itself: contact few, and learn on."
            return Verdict("keep_running", headline, worth, (*found, policy, *wave))
        headline = "No difference worth acting on was found: contact nobody, apart from the people used to learn."
        return Verdict("stop", headline, worth, (*found, policy, *wave))
    best = action_words(assessment.best_action)
    if granted == "one_action":
        others = set(assessment.actions) - {assessment.best_action, CONTROL}
        instead = ", and the next best action to the rest" if others else ""
        headline = f"Send {best} to everybody who may get it{instead}; choosing per person is not shown to do better."
    else:
        headline = "Choose for each person: people differ in what brings them back."
    return Verdict("roll_out", headline, worth, (*words.policy_sentences(summary, best), why, *wave, *found))


def _worth_of_policy(summary: Summary, policy: PolicyResult | None) -> str:
    if policy is None or policy.contacted_share == 0:
        return ""
    return _worth(policy.net_value, summary, "for each 1,000 people that the policy decides on")


# --------------------------------------------------------------------------------------------------------- by arms


def _of_arms(summary: Summary) -> Verdict:
    found = words.found_sentences(summary)
    harm = [g.title for g in summary.guardrails if g.kept is False]
    if harm:
        headline = f"Stop: contact raises {listed(harm)} by more than is tolerated."
        return Verdict("stop", headline, _worth_of(summary, _any(summary)), tuple(found))
    arms = words.effects(summary, "reactivated")
    clear = [x for x in arms if x.clear and x.difference.value > 0]
    if summary.pace is not None and summary.pace.running:
        clear = [x for x in clear if _sure(summary, x.difference, len(arms)).low > 0]
    if clear:
        return _of_clear(summary, clear, found)
    net = _net(summary, _any(summary))
    if net is not None and _sure(summary, net).high < 0:
        headline = "Stop: contact costs more than it brings."
        return Verdict("stop", headline, _worth_of(summary, _any(summary)), tuple(found))
    many = summary.campaign["reactivated_words"]
    return _not_yet(summary, f"contact is not yet shown to change the number of {many}", _any(summary), found)


def _of_clear(summary: Summary, clear: list[Effect], found: list[str]) -> Verdict:
    """Arms that bring people back; whether they pay for themselves decides."""
    worth = {x.action: _net(summary, x) for x in clear}
    known = {action: _sure(summary, net, len(clear)) for action, net in worth.items() if net is not None}
    if not known:
        best = max(clear, key=lambda x: x.difference.value)
        headline = f"Roll out {action_words(best.action)}: it brings people back. What it is worth is not known."
        return Verdict("roll_out", headline, "", tuple(found))
    pays = [action for action, net in known.items() if net.low > 0]
    best_action = max(pays or known, key=lambda action: known[action].value)
    best = next(x for x in clear if x.action == best_action)
    name, told = action_words(best_action), _worth_of(summary, best)
    if pays:
        headline = f"Roll out {name}: it brings people back and pays for itself."
        return Verdict("roll_out", headline, told, (*_among(summary, len(clear)), *found))
    if all(net.high < 0 for net in known.values()):
        headline = f"Stop: {name} brings people back, but costs more than it brings."
        return Verdict("stop", headline, told, tuple(found))
    return _not_yet(summary, f"{name} brings people back, but is not yet shown to pay for itself", best, found)


def _among(summary: Summary, clear: int) -> list[str]:
    """Whether the arm that is rolled out is shown to be better than the others."""
    among = summary.primary.among_arms if summary.primary else None
    if among is None or among.clear or clear < 2:
        return []
    return ["The arms cannot be told from one another: any of them may be the best one."]


def _not_yet(summary: Summary, what: str, effect: Effect | None, found: list[str]) -> Verdict:
    """More people are needed; how many, and for how long."""
    worth, pace = _worth_of(summary, effect), summary.pace
    net = _net(summary, effect)
    looked_at = net if net is not None else effect.difference if effect else None
    # in the same proportions over all arms
    needed = None if looked_at is None else summary.people * people_to_tell(looked_at, POWER) / looked_at.n
    seen = "an effect as large as the one seen so far, if it is real,"
    if pace is None or needed is None or isnan(needed):
        return Verdict("keep_running", f"Keep running: {what}.", worth, tuple(found))
    if not pace.running and needed > MOST_PEOPLE:
        told = "What was seen is so close to no effect that no number of people would tell it from none."
        return Verdict("stop", f"Nothing was found: {what}.", worth, (told, *found))
    if not pace.running:
        about = f"{_round(needed):,.0f} people"
        told = f"{seen.capitalize()} would be told from none by about {about} in 4 of 5 experiments."
        return Verdict("keep_running", f"Not enough people took part: {what}.", worth, (told, *found))
    days = max(needed - summary.people, 0.0) / pace.people_a_day
    if days > LONGEST_DAYS:
        told = f"At the pace so far it takes more than two years until {seen} can be told from none."
        return Verdict("stop", f"Stop, or look for something that does more: {what}.", worth, (told, *found))
    wait, window = max(ceil(days), 1), summary.campaign["window_days"]
    told = (
        f"At the pace so far, {pace.people_a_day:,.0f} people a day, {seen} is told from none after about {wait:,} "
        f"more days of contacts in 4 of 5 experiments; the last window closes {window:.0f} days later."
    )
    return Verdict("keep_running", f"Keep running {wait:,} more days: {what}.", worth, (told, *found))


def _round(people: float) -> float:
    """To two digits, as it is a guess."""
    digits = max(len(str(int(people))) - 2, 0)
    return ceil(people / 10**digits) * 10**digits


def _any(summary: Summary) -> Effect | None:
    """Of any contact, or of the one arm."""
    primary = summary.primary
    if primary is None:
        return None
    return primary.any_contact or max(primary.effects, key=lambda x: x.difference.value, default=None)


def _net(summary: Summary, effect: Effect | None) -> Estimate | None:
    """Net value a person of an arm or of any contact, currency."""
    result = summary.outcome("net_value")
    if result is None or effect is None:
        return None
    every = [*result.effects, *([result.any_contact] if result.any_contact else [])]
    return next((x.difference for x in every if x.action == effect.action), None)


def _sure(summary: Summary, found: Estimate, looked_at: int = 1) -> Estimate:
    """With bounds that hold for all that are looked at together, and, before the end, however often somebody looks."""
    level = 1 - (1 - CONFIDENCE) / looked_at
    if summary.pace is None or not summary.pace.running:
        return estimate_with_error(found.value, found.standard_error, found.n, level)
    begun = summary.over_time and isfinite(summary.over_time[-1].difference.low)
    if not begun:
        return found._replace(low=-inf, high=inf)
    return always_valid(found, level=level)


def _worth_of(summary: Summary, effect: Effect | None) -> str:
    net = _net(summary, effect)
    return "" if net is None else _worth(net.times(PEOPLE), summary, "for each 1,000 people contacted")


def _worth(net: Estimate, summary: Summary, whom: str) -> str:
    """Net value in a sentence."""
    currency = summary.campaign["currency"]
    sure = "" if net.low > 0 or net.high < 0 else "; it may as well be nothing"
    return f"Worth {currency} {interval(net, digits=0, sign=True)} {whom}, after all costs{sure}."
