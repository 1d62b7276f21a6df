"""The funnel counts everybody once, in the order of the rules."""

from __future__ import annotations

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from propensity.policy import funnel

RULES = [
    "no_consent_email",
    "suppressed",
    "held_out_to_measure",
    "cooling_off",
    "no_action_pays",
    "a_rule_of_their_own",
]


def decisions(*reasons):
    """None is a contact."""
    codes = [["worth_more_than_it_costs", "more"] if r is None else [r, "more"] for r in reasons]
    return pd.DataFrame({"send": [r is None for r in reasons], "reason_codes": codes})


def test_steps_come_in_the_order_in_which_rules_are_applied():
    found = funnel(decisions("held_out_to_measure", None, "no_consent_email", "suppressed", None, "suppressed"))
    assert found.to_dict("records") == [
        {"step": "in the wave", "stopped": 0, "left": 6},
        {"step": "suppressed", "stopped": 2, "left": 4},
        {"step": "no_consent_email", "stopped": 1, "left": 3},
        {"step": "held_out_to_measure", "stopped": 1, "left": 2},
        {"step": "contacted", "stopped": 0, "left": 2},
    ]


@given(st.lists(st.sampled_from([None, *RULES]), max_size=30))
def test_everybody_is_counted_once(reasons):
    found = funnel(decisions(*reasons))
    assert found["stopped"].sum() + reasons.count(None) == len(reasons)
    assert found["left"].iloc[-1] == reasons.count(None)
    assert (found["left"].diff().fillna(0) == -found["stopped"]).all()
    assert found["step"].is_unique


def test_an_empty_wave_has_a_funnel():
    assert funnel(decisions())["left"].tolist() == [0, 0]
