"""From values to decisions. No input or output happens here."""

from propensity.policy.allocation import Allocation, Limit, allocate, best_under_prices
from propensity.policy.decide import action_probabilities, best_action, decide, holdout_share, is_held_out
from propensity.policy.draws import decision_keys, uniform_draws, window_number
from propensity.policy.eligibility import Eligibility, eligibility
from propensity.policy.rules import rule_action
from propensity.policy.valuation import contact_costs, net_value, offer_costs, profit

__all__ = [
    "Allocation",
    "Eligibility",
    "Limit",
    "action_probabilities",
    "allocate",
    "best_action",
    "best_under_prices",
    "contact_costs",
    "decide",
    "decision_keys",
    "eligibility",
    "holdout_share",
    "is_held_out",
    "net_value",
    "offer_costs",
    "profit",
    "rule_action",
    "uniform_draws",
    "window_number",
]
