"""The codes that say why a decision is what it is; `propensity.pages.decision_words` has words for each of them."""

from __future__ import annotations

from functools import cache

SUPPRESSED = "suppressed"
RULES_OF_THE_PERSON = (
    SUPPRESSED,
    "opted_out",
    "complained",
    "already_back",
    "cooling_off",
    "past_horizon",
    "resting_after_ignored_touches",
    "touched_too_often",
    "touched_too_recently",
)
"""In the order in which `eligibility` applies them; rules of channels, offers and archetypes follow."""
NOT_LEARNT = "no_learnt_action"
"""The playbook allows some action, but none that the model knows."""
RULES_OF_AN_ACTION = (
    "no_account_access",
    "offer_excluded_for_reason",
    "nothing_changed_since",
    "never_after_what_was_sent",
    "not_for_segment",
    "season_of_rest",
    NOT_LEARNT,
)
NO_CONSENT = "no_consent_{}"
RULES_OF_A_CHANNEL = (
    NO_CONSENT,
    "outside_window_of_{}",
    "{}_not_for_value_tier",
    "{}_bounced",
    "too_recently_on_{}",
    "too_often_on_{}",
)
"""With the channel's name."""

ASSIGNMENTS = ("policy", "explore", "holdout", "suppressed", "fallback")
HELD_OUT, TRIED, LIMITS = "held_out_to_measure", "tried_to_learn", "limits_reached"
BY_RULES = "decided_by_rules"
"""The model did not answer in time."""
LEDGER_UNAVAILABLE = "ledger_unavailable"
"""Nothing could be looked up or recorded, so that nobody is contacted."""
BEST_WITHIN_LIMITS = "best_within_limits"
WOULD_HAVE_SENT = "would_have_sent_{}"
"""With the label of the action."""
DEAR, LESS_WORTH = "costs_more_than_it_brings", "worth_less"
ALTERNATIVE_LOST = (HELD_OUT, TRIED, DEAR, LIMITS, LESS_WORTH)
"""Why the next best action lost; the first that is true."""
BY_REASON_AND_EFFECT, BY_EFFECT = ARCHETYPE_BY = ("reason_and_effect", "effect")


@cache
def is_rule(code: str) -> bool:
    """Whether a code is a rule of this list; one that is not would have no words."""
    return code in (*RULES_OF_THE_PERSON, *RULES_OF_AN_ACTION) or any(
        _fits(code, pattern) for pattern in RULES_OF_A_CHANNEL
    )


def _fits(code: str, pattern: str) -> bool:
    start, end = pattern.split("{}")
    return code.startswith(start) and code.endswith(end) and len(code) > len(start) + len(end)
