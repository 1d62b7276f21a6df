"""What policies are worth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from propensity.evaluation import (
    Estimate,
    dr_scores,
    ips_value,
    mean_estimate,
    policy_scores,
    policy_value,
    snips_value,
)

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


def decided_by_a_policy(rng, overstated, n=1_500, n_actions=26):
    """People who got what a policy says but in one of twenty cases; another differs for a quarter, and overstates why.

    Both policies are worth the same. Returns the scores, their variances, and the two policies.
    """
    actions = ["control", *(f"a{i}" for i in range(n_actions))]
    old = 1 + rng.integers(0, n_actions, n)
    new = np.where(rng.random(n) < 0.25, 1 + (old + rng.integers(0, n_actions - 1, n)) % n_actions, old)
    rows = np.arange(n)
    logged = np.full((n, n_actions + 1), 0.05 / n_actions)
    logged[:, 0] = 0.1
    logged[rows, old] += 0.85
    arm = (rng.random(n)[:, None] > logged.cumsum(axis=1)[:, :-1]).sum(axis=1)
    y = (rng.random(n) < np.where(arm == 0, 0.04, 0.08)).astype(float)
    expected = np.full(logged.shape, 0.08)
    expected[:, 0] = 0.04
    expected[rows, new] += overstated * (new != old)
    tables = (
        pd.DataFrame(values, columns=actions) for values in (logged, expected, expected * (1 - expected) / logged)
    )
    propensity, outcome, variance = tables
    labels = np.array(actions, dtype=object)
    return dr_scores(y, labels[arm], propensity, outcome), variance, labels[new], labels[old]


@pytest.mark.parametrize("overstated", [0.0, 0.02])
def test_among_people_whom_another_policy_decided_on_the_interval_needs_the_variance_that_scores_should_have(
    overstated,
):
    """The few who got what the policy would give seldom came back: scores agree with the prediction, right or not."""
    rng = np.random.default_rng(3)
    runs = 400
    covers, too_high = {"with": 0, "without": 0}, {"with": 0, "without": 0}
    for _ in range(runs):
        scores, variance, new, old = decided_by_a_policy(rng, overstated)
        for name, known in (("with", variance), ("without", None)):
            estimate = policy_value(scores, new, old, variance=known)
            covers[name] += estimate.low <= 0 <= estimate.high
            too_high[name] += estimate.low > 0
    allowed = 3.5 * np.sqrt(0.95 * 0.05 / runs)
    assert covers["with"] / runs > 0.95 - allowed
    assert too_high["with"] / runs < 0.025 + allowed
    # the spread of the scores themselves does not do where predictions are wrong
    assert (covers["without"] / runs < 0.9) is (overstated > 0)


def test_the_standard_error_is_the_larger_of_what_was_found_and_what_follows_from_the_variance():
    nothing, much = SCORES * 0, SCORES * 0 + 100.0
    found = policy_value(SCORES, BEST, ["call"] * 4)
    assert policy_value(SCORES, BEST, ["call"] * 4, variance=nothing) == found
    wide = policy_value(SCORES, BEST, ["call"] * 4, variance=much)
    # three of the four get another action: their two scores vary by 100 each
    assert (wide.value, wide.standard_error) == pytest.approx((found.value, np.sqrt(3 * 200) / 4))
    assert policy_value(SCORES, BEST, BEST, variance=much).standard_error == 0
    half = (chances(BEST) + chances(["call"] * 4)) / 2
    assert policy_value(SCORES, half, BEST, variance=much).standard_error == pytest.approx(np.sqrt(3 * 50) / 4)
    weighed = policy_value(SCORES, BEST, variance=much, weight=[1.0, 1.0, 2.0, 0.0])
    assert weighed.standard_error == pytest.approx(np.sqrt(6 * 100) / 4)


def test_estimates_change_units():
    estimate = Estimate(2.0, 0.5, 1.0, 3.0, 10, 0.95)
    assert estimate.times(1000) == Estimate(2000.0, 500.0, 1000.0, 3000.0, 10, 0.95)
    assert estimate.times(-1) == Estimate(-2.0, 0.5, -3.0, -1.0, 10, 0.95)


def test_weights_count_as_so_many_equal_people():
    times = np.array([3, 0, 1, 2])
    repeated = SCORES.loc[np.repeat(SCORES.index, times)].reset_index(drop=True)
    found = policy_value(SCORES, BEST, ["call"] * 4, weight=times)
    assert found.value == pytest.approx(policy_value(repeated, np.repeat(BEST, times), ["call"] * 6).value)


def campaign(rng, n=400):
    """Logged people with unequal chances, and a policy of labels."""
    x = rng.random(n)
    chances = np.column_stack([0.5 - 0.3 * x, 0.3 * np.ones(n), 0.2 + 0.3 * x])
    arm = (rng.random(n)[:, None] > chances.cumsum(axis=1)[:, :2]).sum(axis=1)
    y = 1 + np.column_stack([x, 2 * x, 1 - x])[np.arange(n), arm] + rng.normal(size=n)
    policy = np.where(x > 0.5, "call", "mail")
    return y, np.array(ACTIONS)[arm], pd.DataFrame(chances, columns=ACTIONS), policy


# E[2x | x > 1/2] / 2 + E[1 - x | x < 1/2] / 2 + 1, and the same less E[x] + 1
POLICY_WORTH, CONTROL_WORTH = 1 + 0.75 + 0.375, 1.5


def by_hand(y, action, propensity, policy, weight):
    """The two estimates of a policy, person by person."""
    products = ratios = total = 0.0
    for i in range(len(y)):
        if action[i] == policy[i]:
            ratio = weight[i] / propensity[action[i]].iloc[i]
            products, ratios = products + ratio * y[i], ratios + ratio
        total += weight[i]
    return products / total, products / ratios


@pytest.mark.parametrize("weighted", [False, True])
def test_inverse_propensity_values_equal_their_definitions(weighted):
    rng = np.random.default_rng(1)
    y, action, propensity, policy = campaign(rng)
    weight = rng.random(400) if weighted else np.ones(400)
    given = {"weight": weight} if weighted else {}
    control = np.full(400, "control")
    ips, snips = by_hand(y, action, propensity, policy, weight)
    other_ips, other_snips = by_hand(y, action, propensity, control, weight)
    logged = (y, action, propensity)
    assert ips_value(*logged, policy, **given).value == pytest.approx(ips)
    assert snips_value(*logged, policy, **given).value == pytest.approx(snips)
    assert ips_value(*logged, policy, control, **given).value == pytest.approx(ips - other_ips)
    assert snips_value(*logged, policy, control, **given).value == pytest.approx(snips - other_snips)


def test_the_error_of_snips_is_how_much_it_moves_with_each_person():
    y, action, propensity, policy = campaign(np.random.default_rng(2), 60)
    control, step = np.full(60, "control"), 1e-6
    moves = []
    for i in range(60):
        both = []
        for sign in (1, -1):
            weight = np.ones(60)
            weight[i] += sign * step
            both.append(snips_value(y, action, propensity, policy, control, weight=weight).value)
        moves.append((both[0] - both[1]) / (2 * step))
    error = snips_value(y, action, propensity, policy, control).standard_error
    assert error == pytest.approx(np.sqrt(np.sum(np.square(moves)) * 60 / 59), rel=1e-5)


def test_a_constant_moves_snips_by_itself_and_changes_no_comparison():
    y, action, propensity, policy = campaign(np.random.default_rng(3))
    first, moved = snips_value(y, action, propensity, policy), snips_value(y + 1000, action, propensity, policy)
    assert moved.value == pytest.approx(first.value + 1000)
    assert moved.standard_error == pytest.approx(first.standard_error)
    control = np.full(400, "control")
    assert snips_value(y + 1000, action, propensity, policy, control) == pytest.approx(
        snips_value(y, action, propensity, policy, control)
    )
    # inverse propensity scores alone pay for a constant with noise
    assert ips_value(y + 1000, action, propensity, policy).standard_error > 20 * first.standard_error


@pytest.mark.parametrize("measure", [ips_value, snips_value])
def test_the_policy_that_was_logged_is_worth_what_was_seen(measure):
    y, action, propensity, _ = campaign(np.random.default_rng(4))
    found = measure(y, action, propensity, propensity)
    assert found == pytest.approx(mean_estimate(y))
    assert measure(y, action, propensity, propensity, propensity) == pytest.approx(Estimate(0, 0, 0, 0, 400, 0.95))


@pytest.mark.parametrize("measure", [ips_value, snips_value])
def test_intervals_of_inverse_propensity_values_cover_as_often_as_they_say(measure):
    rng = np.random.default_rng(5)
    held, paired = [], []
    for _ in range(500):
        *logged, policy = campaign(rng)
        alone, against = measure(*logged, policy), measure(*logged, policy, np.full(400, "control"))
        held.append(alone.low <= POLICY_WORTH <= alone.high)
        paired.append(against.low <= POLICY_WORTH - CONTROL_WORTH <= against.high)
    assert 0.925 <= np.mean(held) <= 0.975
    assert 0.925 <= np.mean(paired) <= 0.975


def test_snips_needs_somebody_who_was_served_what_the_policy_says():
    propensity = pd.DataFrame([[0.5, 0.25, 0.25]] * 2, columns=ACTIONS)
    with pytest.raises(ValueError, match="policy: expected somebody who was served what it says, found nobody"):
        snips_value([1.0, 2.0], ["call", "call"], propensity, ["mail", "control"])
    assert ips_value([1.0, 2.0], ["call", "call"], propensity, ["mail", "control"]).value == 0.0
    with pytest.raises(ValueError, match="baseline: expected somebody who was served what it says"):
        snips_value([1.0, 2.0], ["call", "call"], propensity, ["call", "call"], ["mail", "control"])


def test_refuses_scores_that_are_missing():
    with pytest.raises(ValueError, match="scores: expected finite numbers, found 2 missing or infinite"):
        policy_value(SCORES.mask(SCORES == 2.0).mask(SCORES == 4.0), BEST)


def test_one_value_has_no_interval():
    with pytest.raises(ValueError, match="values: expected at least 2, found 1"):
        mean_estimate(np.array([1.0]))
