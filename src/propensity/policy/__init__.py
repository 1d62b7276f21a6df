"""From values to decisions. No input or output happens here."""

from propensity.policy.allocation import Allocation, Limit, allocate, best_under_prices
from propensity.policy.archetypes import archetype_by_rule, changed_since
from propensity.policy.decide import (
    Drawn,
    action_probabilities,
    best_action,
    best_column,
    decide,
    drawn_actions,
    holdout_share,
    is_held_out,
    positions,
)
from propensity.policy.draws import decision_keys, uniform_draws, window_end, window_number
from propensity.policy.eligibility import Eligibility, Situation, eligibility, what_stops
from propensity.policy.funnel import funnel
from propensity.policy.history import TouchHistory, decided_before, touch_history
from propensity.policy.rules import rule_action
from propensity.policy.schedule import first_moments, following, keep_to_sequence, next_touch, not_before
from propensity.policy.valuation import contact_costs, net_value, offer_costs, profit, valued_alike
from propensity.policy.wave import (
    BUDGET,
    TIE_SHARE,
    Terms,
    WavePlan,
    plan_wave,
    spend,
    spend_table,
    used_by,
    wave_limits,
    within_limits,
    within_room,
)

__all__ = [
    "BUDGET",
    "TIE_SHARE",
    "Allocation",
    "Drawn",
    "Eligibility",
    "Limit",
    "Situation",
    "Terms",
    "TouchHistory",
    "WavePlan",
    "action_probabilities",
    "allocate",
    "archetype_by_rule",
    "best_action",
    "best_column",
    "best_under_prices",
    "changed_since",
    "contact_costs",
    "decide",
    "decided_before",
    "decision_keys",
    "drawn_actions",
    "eligibility",
    "first_moments",
    "following",
    "funnel",
    "holdout_share",
    "is_held_out",
    "keep_to_sequence",
    "net_value",
    "next_touch",
    "not_before",
    "offer_costs",
    "plan_wave",
    "positions",
    "profit",
    "rule_action",
    "spend",
    "spend_table",
    "touch_history",
    "uniform_draws",
    "used_by",
    "valued_alike",
    "wave_limits",
    "what_stops",
    "window_end",
    "window_number",
    "within_limits",
    "within_room",
]
