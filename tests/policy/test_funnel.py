"""The funnel counts everybody once, in the order of the rules."""

from __future__ import annotations

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


def test_steps_come_in_the_order_in_which_rules_are_applied():
    found = funnel({"held_out_to_measure": 1, "no_consent_email": 1, "suppressed": 2}, 6)
    assert found.to_dict("records") == [
        {"step": "in the wave", "stopped": 0, "left": 6},
        {"step": "suppressed", "stopped": 2, "left": 4},
        {"step": "no_consent_email", "stopped": 1, "left": 3},
        {"step": "held_out_to_measure", "stopped": 1, "left": 2},
        {"step": "contacted", "stopped": 0, "left": 2},
    ]


@given(st.dictionaries(st.sampled_from(RULES), st.integers(1, 50)), st.integers(0, 30))
def test_everybody_is_counted_once(stopped, contacted):
    found = funnel(stopped, sum(stopped.values()) + contacted)
    assert found["stopped"].sum() == sum(stopped.values())
    assert found["left"].iloc[-1] == contacted
    assert (found["left"].diff().fillna(0) == -found["stopped"]).all()
    assert found["step"].is_unique


def test_an_empty_wave_has_a_funnel():
    assert funnel({}, 0)["left"].tolist() == [0, 0]
