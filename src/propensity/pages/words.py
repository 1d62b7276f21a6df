"""Figures as words, the same on every page and terminal."""

from __future__ import annotations

from collections.abc import Iterable

from propensity.evaluation import Estimate


def interval(estimate: Estimate, digits: int = 1, sign: bool = False) -> str:
    """A value with its interval: ``76.1 (95 % sure: 67.0 to 85.2)``."""
    level = f"{estimate.level:.0%}".replace("%", " %")
    value, low, high = (
        signed(x, digits) if sign else f"{x:,.{digits}f}" for x in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} ({level} sure: {low} to {high})"


def signed(value: float, digits: int = 1) -> str:
    """A number with its sign; nothing is 0."""
    text = f"{value:+,.{digits}f}"
    return text.lstrip("+-") if not any(c in "123456789" for c in text) else text


def chance(p_value: float) -> str:
    """A probability in words: ``90 %``, ``1.2 %``, ``fewer than 1 in 10,000``."""
    if p_value < 1e-4:
        return "fewer than 1 in 10,000"
    digits = 2 if p_value < 1e-3 else 1 if p_value < 0.1 else 0
    return f"{p_value:.{digits}%}".replace("%", " %")


def percent(share: float, digits: int = 1) -> str:
    """A share in per cent: ``12.5 %``."""
    return f"{100 * share:,.{0 if share in (0, 1) else digits}f} %"


def action_words(action: str) -> str:
    """An action's label as words."""
    return action.replace("_", " ")


def listed(names: Iterable[str], last_word: str = "and") -> str:
    """Names as a list in words: ``e-mail, push and a call``."""
    *others, last = names
    return f"{', '.join(others)} {last_word} {last}" if others else last


LEFT_ALONE = {
    "suppressed": "opted out, complained or were erased",
    "opted_out": "opted out since they left",
    "complained": "complained since they left",
    "already_back": "came back already",
    "cooling_off": "left too recently",
    "past_horizon": "left too long ago",
    "resting_after_ignored_touches": "rest after messages that they did not react to",
    "touched_too_often": "had as many messages as one person may get",
    "touched_too_recently": "had a message too recently",
    "no_account_access": "cannot log in to their account",
    "offer_excluded_for_reason": "the offer is excluded for their reason to leave",
    "nothing_changed_since": "nothing has changed for them since they left",
    "never_after_what_was_sent": "must not get it after what was sent before",
    "not_for_segment": "the action is for others",
    "season_of_rest": "nothing is sent at this time of the year",
    "no_learnt_action": "may get only what the model has not learnt",
    "no_action_pays": "no action is predicted to be worth more than it costs",
    "decided_by_rules": "have nothing by the playbook's rules; the model did not answer in time",
    "ledger_unavailable": "nothing could be looked up or recorded, and contacting nobody is always safe",
    "no_effect_found": "the model contacts nobody",
    "no_chance_logged": "had no chance of any action that the model knows, so these data cannot judge one",
    "limits_reached": "others are worth more, and budget or capacity end there",
    "held_out_to_measure": "are held out, so that the effect can be measured",
}
"""Why people are left alone, by the rule that stopped them."""
NOT_OF_DECISIONS = ("no_chance_logged",)
"""Of these, what only figures about many people say."""
OF_A_CHANNEL = {
    "no_consent_{}": "gave no consent for {}",
    "outside_window_of_{}": "left too recently or too long ago for {}",
    "too_recently_on_{}": "had something by {} too recently",
    "too_often_on_{}": "had as much by {} as one person may get",
    "{}_bounced": "cannot be reached by {}",
    "{}_not_for_value_tier": "{} is for people of another value",
}


def left_alone(rule: str) -> str:
    """Why people are left alone, for people: "gave no consent for email"; a rule without words is shown by its name."""
    if rule in LEFT_ALONE:
        return LEFT_ALONE[rule]
    for pattern, words in OF_A_CHANNEL.items():
        start, end = pattern.split("{}")
        if rule.startswith(start) and rule.endswith(end) and len(rule) > len(start) + len(end):
            return words.format(action_words(rule.removeprefix(start).removesuffix(end)))
    return action_words(rule)
