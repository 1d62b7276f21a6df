"""What policies are worth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from propensity.evaluation import Estimate, dr_scores, mean_estimate, policy_scores, policy_value

ACTIONS = ["control", "call", "mail"]
SCORES = pd.DataFrame([[0.0, 2.0, 4.0], [1.0, -1.0, 0.0], [3.0, 3.0, 9.0], [0.0, 5.0, 1.0]], columns=ACTIONS)
BEST = np.array(["mail", "control", "mail", "call"], dtype=object)


def chances(labels):
    return pd.DataFrame((np.asarray(labels)[:, None] == np.array(ACTIONS)).astype(float), columns=ACTIONS)


def test_takes_each_persons_score_of_their_action():
    assert policy_scores(SCORES, BEST).tolist() == [4.0, 1.0, 9.0, 5.0]
    estimate = policy_value(SCORES, BEST)
    assert estimate.value == 4.75
    assert estimate.standard_error == pytest.approx(np.std([4, 1, 9, 5], ddof=1) / 2)
    assert estimate.n == 4
    assert estimate.high - estimate.low == pytest.approx(2 * 1.959964 * estimate.standard_error)


def test_probabilities_mix_the_actions():
    assert (policy_scores(SCORES, chances(BEST)) == policy_scores(SCORES, BEST)).all()
    half = (chances(BEST) + chances(["control"] * 4)) / 2
    assert policy_value(SCORES, half).value == (4.75 + 1.0) / 2
    assert (policy_scores(SCORES, half[ACTIONS[::-1]]) == policy_scores(SCORES, half)).all()


@pytest.mark.parametrize("policy", [BEST, chances(BEST), chances(BEST) * 0.5 + 1 / 6], ids=["labels", "sure", "mixed"])
def test_a_policy_is_worth_exactly_nothing_more_than_itself(policy):
    assert policy_value(SCORES, policy, policy) == Estimate(0.0, 0.0, 0.0, 0.0, 4, 0.95)


def test_pairing_is_the_difference_and_turns_its_sign():
    call = np.full(4, "call")
    paired, back = policy_value(SCORES, BEST, call), policy_value(SCORES, call, BEST)
    assert paired.value == policy_value(SCORES, BEST).value - policy_value(SCORES, call).value
    assert (back.low, back.high) == (-paired.high, -paired.low)
    assert paired.standard_error == pytest.approx(np.std([2, 2, 6, 0], ddof=1) / 2)


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        (["call"], r"expected 4 labels, found shape \(1,\)"),
        (["call", "sms", "mail", "call"], "policy: expected one of control, call, mail, found sms"),
        (chances(BEST) * 3 - 2 / 3, "summing to 1 a person"),
        (chances(BEST) * 2, "summing to 1 a person"),
        (chances(BEST).drop(columns="call"), "summing to 1 a person"),
        (chances(BEST).iloc[:3], "one probability an action and person"),
    ],
)
def test_refuses_what_is_no_policy(policy, sentence):
    with pytest.raises(ValueError, match=sentence):
        policy_value(SCORES, policy)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_intervals_cover_the_true_difference_as_often_as_they_say(level):
    rng = np.random.default_rng(0)
    n, runs, held = 400, 600, 0
    logged = np.array([0.5, 0.3, 0.2])
    for _ in range(runs):
        x = rng.random(n)
        arm = rng.choice(3, n, p=logged)
        means = np.column_stack([x, 2 * x, 1 - x])
        y = (rng.random(n) < 0.4 * means[np.arange(n), arm]).astype(float)
        wrong = pd.DataFrame(np.tile([0.3, 0.1, 0.2], (n, 1)), columns=ACTIONS)
        propensity = pd.DataFrame(np.tile(logged, (n, 1)), columns=ACTIONS)
        scores = dr_scores(y, np.array(ACTIONS)[arm], propensity, wrong)
        policy = np.where(x > 0.5, "call", "mail")
        # E[2x - x | x > 1/2] / 2 + E[1 - x - x | x < 1/2] / 2, times 0.4
        estimate = policy_value(scores, policy, np.full(n, "control"), level)
        held += estimate.low <= 0.4 * (0.75 + 0.5) / 2 <= estimate.high
    assert held / runs == pytest.approx(level, abs=3.5 * np.sqrt(level * (1 - level) / runs))


def test_estimates_change_units():
    estimate = Estimate(2.0, 0.5, 1.0, 3.0, 10, 0.95)
    assert estimate.times(1000) == Estimate(2000.0, 500.0, 1000.0, 3000.0, 10, 0.95)
    assert estimate.times(-1) == Estimate(-2.0, 0.5, -3.0, -1.0, 10, 0.95)


def test_one_value_has_no_interval():
    with pytest.raises(ValueError, match="values: expected at least 2, found 1"):
        mean_estimate(np.array([1.0]))
