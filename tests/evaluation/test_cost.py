"""The order in which contacts are bought, and what a budget brings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from propensity.evaluation import cost_curve, cost_qini_score, policy_value, qini_curve, qini_score

ACTIONS = ["mail", "sms", "call"]
COSTS = {"mail": 1.0, "sms": 0.5, "call": 4.0}


def campaign(rng, n, ties=False):
    """Scores with control, predicted values above control, and costs of each person."""
    predicted = rng.integers(-2, 6, (n, 3)).astype(float) if ties else rng.normal(0.5, 1.0, size=(n, 3))
    cost = rng.integers(1, 4, (n, 3)).astype(float) if ties else rng.random((n, 3)) + 0.1
    scores = pd.DataFrame(rng.normal(size=(n, 4)), columns=["control", *ACTIONS])
    scores[ACTIONS] += predicted
    return scores, pd.DataFrame(predicted, columns=ACTIONS), pd.DataFrame(cost, columns=ACTIONS)


def best_by_linear_program(value, cost, budget, weight):
    """The most value per person that a budget per person buys, with at most one action a person."""
    n, k = value.shape
    objective = (weight[:, None] * np.where(np.isfinite(value), value, 0)).ravel()
    one_each = np.kron(np.eye(n), np.ones(k))
    spend = (weight[:, None] * cost).ravel()
    bounds = [(0, 1 if np.isfinite(v) else 0) for v in value.ravel()]
    found = linprog(-objective, np.vstack([one_each, spend]), np.r_[np.ones(n), budget * weight.sum()], bounds=bounds)
    return -found.fun / weight.sum()


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_each_budget_buys_what_a_linear_program_would(ties, seed):
    rng = np.random.default_rng(seed)
    scores, predicted, cost = campaign(rng, 12, ties)
    predicted = predicted.mask(pd.DataFrame(rng.random((12, 3)) < 0.1, columns=ACTIONS), -np.inf)
    weight = rng.integers(1, 4, 12).astype(float)
    budgets = np.linspace(0, cost.to_numpy().max(), 30)
    curve = cost_curve(scores, predicted, cost, budgets=budgets, weight=weight)
    best = [best_by_linear_program(predicted.to_numpy(), cost.to_numpy(), b, weight) for b in budgets]
    assert curve["predicted"].tolist() == pytest.approx(best, abs=1e-9)
    assert (curve["spend"] <= budgets + 1e-9).all()
    # what is left over could buy nothing more
    assert (np.isclose(curve["spend"], budgets) | np.isclose(curve["predicted"], curve["predicted"].max())).all()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(-3, 9), st.integers(0, 5)), min_size=1, max_size=5), st.integers(1, 20))
def test_one_persons_upgrades_follow_the_hull_also_with_free_and_equal_actions(options, quarter):
    value = np.array([[v for v, _ in options], [1] * len(options)], dtype=float)
    cost = np.array([[c for _, c in options], [3] * len(options)], dtype=float)
    actions = [f"a{k}" for k in range(len(options))]
    scores = pd.DataFrame(0.0, index=range(2), columns=["control", *actions])
    given_ = (scores, pd.DataFrame(value, columns=actions), pd.DataFrame(cost, columns=actions))
    curve = cost_curve(*given_, budgets=[quarter / 4])
    assert curve["predicted"].tolist() == pytest.approx([best_by_linear_program(value, cost, quarter / 4, np.ones(2))])


def test_by_hand():
    # sms (0.5 for 1.0), then call instead of it (3.5 more for 1.4), mail (1 for 0.6) beside them
    scores = pd.DataFrame([[0.0, 2, 3, 9], [1.0, 5, 1, 1]], columns=["control", *ACTIONS])
    predicted = pd.DataFrame([[0.8, 1.0, 2.4], [0.6, 0.1, -1.0]], columns=ACTIONS)
    curve = cost_curve(scores, predicted, COSTS, budgets=[0.25, 0.5, 0.75, 2.5, 9.0])
    # after sms comes mail for the second person (merit 0.6), then call instead of sms for the first (0.4)
    assert curve["spend"].tolist() == pytest.approx([0.25, 0.5, 0.75, 2.5, 2.5])
    assert curve["value"].tolist() == pytest.approx([1.5, 1.5 + 1.0, 1.5 + 2.0, 4.5 + 2.0, 4.5 + 2.0])
    assert curve["contacted"].tolist() == [0.5, 0.75, 1.0, 1.0, 1.0]
    assert curve["random"].tolist() == pytest.approx([0.65, 1.3, 1.95, 6.5, 6.5])
    # 0.25 buys sms for half (0.275), 0.5 sms for all (0.55), 0.75 mail for 3/4 (0.525): sms; 2.5 mail for all (0.7)
    assert curve["single_action"].tolist() == ["sms", "sms", "sms", "mail", "mail"]
    assert curve["single"].tolist() == pytest.approx([0.75, 1.5, 1.5, 3.0, 3.0])
    assert curve["over_single"].tolist() == pytest.approx((curve["value"] - curve["single"]).tolist())


def test_with_one_action_of_one_cost_it_is_the_qini_curve_of_one_arm():
    rng = np.random.default_rng(0)
    n = 500
    predicted = pd.DataFrame({"mail": rng.random(n) + 0.1})
    scores = pd.DataFrame({"control": rng.normal(size=n), "mail": rng.normal(size=n) + predicted["mail"]})
    gain = (scores["mail"] - scores["control"]).to_numpy()
    share = np.arange(1, 26) / 25
    curve = cost_curve(scores, predicted, {"mail": 2.0}, budgets=2.0 * share)
    one_arm = qini_curve(gain, predicted["mail"])
    assert curve["value"].tolist() == pytest.approx(np.interp(share, one_arm["share"], one_arm["gain"]).tolist())
    assert curve["random"].tolist() == pytest.approx(np.interp(share, one_arm["share"], one_arm["random"]).tolist())
    assert curve["contacted"].tolist() == pytest.approx(share.tolist())
    area, by_cost = (
        qini_score(gain, predicted["mail"]),
        cost_qini_score(scores, predicted, {"mail": 2.0}, n_budgets=500),
    )
    assert by_cost.value == pytest.approx(area.value)
    assert by_cost.standard_error == pytest.approx(area.standard_error, rel=0.03)


def test_enough_money_buys_each_persons_best_action():
    scores, predicted, cost = campaign(np.random.default_rng(1), 200)
    best = np.where(predicted.max(axis=1) > 0, predicted.idxmax(axis=1), "control")
    last = cost_curve(scores, predicted, cost).iloc[-1]
    expected = policy_value(scores, best, ["control"] * 200)
    assert last["value"] == pytest.approx(expected.value)
    assert (last["low"], last["high"]) == pytest.approx((expected.low, expected.high))
    assert last["over_random"] == pytest.approx(0.0, abs=1e-12)
    assert last["contacted"] == (best != "control").mean()


def test_units_weights_and_order_of_rows():
    rng = np.random.default_rng(2)
    scores, predicted, cost = campaign(rng, 60, ties=True)
    first = cost_curve(scores, predicted, cost)
    dear = cost_curve(scores, predicted, 10 * cost)
    rich = cost_curve(10 * scores, 10 * predicted, cost)
    money, value = ["budget", "spend"], ["value", "standard_error", "low", "random", "over_single", "over_random_high"]
    assert np.allclose(dear[money], 10 * first[money])
    assert np.allclose(dear[value], first[value])
    assert np.allclose(rich[value], 10 * first[value])
    order, times = rng.permutation(60), rng.integers(0, 4, 60)
    mixed = cost_curve(scores.iloc[order], predicted.iloc[order], cost.iloc[order])
    assert np.allclose(mixed[money + value], first[money + value])
    rows = np.repeat(np.arange(60), times)
    weighted = cost_curve(scores, predicted, cost, weight=times)
    repeated = cost_curve(scores.iloc[rows], predicted.iloc[rows], cost.iloc[rows])
    same = ["budget", "spend", "contacted", "predicted", "value", "random", "single", "over_random", "over_single"]
    assert np.allclose(weighted[same], repeated[same])
    assert (weighted["standard_error"] > repeated["standard_error"]).all()
    area = cost_qini_score(scores, predicted, cost, weight=times).value
    assert area == pytest.approx(cost_qini_score(scores.iloc[rows], predicted.iloc[rows], cost.iloc[rows]).value)


def drawn(rng, n):
    """People whose true gains are known: predictions are 1.5 times too large and noisy."""
    x = rng.random((n, 3))
    true = np.array([0.6, 0.3, 2.0]) * x * (1 + x[:, ::-1]) - 0.1
    predicted = pd.DataFrame(1.5 * true + 0.2 * (x[:, [1, 2, 0]] - 0.5), columns=ACTIONS)
    means = pd.DataFrame(np.column_stack([np.zeros(n), true]), columns=["control", *ACTIONS])
    return means, predicted, means + 2 * rng.exponential(size=means.shape) - 2


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(3)
    budgets = [0.2, 0.6, 1.5]
    means, predicted, _ = drawn(rng, 300_000)
    truth = cost_curve(means, predicted, COSTS, budgets=budgets)
    true_area = cost_qini_score(means, predicted, COSTS).value
    held = {name: [] for name in ("value", "over_random", "over_single", "area")}
    for _ in range(400):
        _, predicted, scores = drawn(rng, 800)
        curve = cost_curve(scores, predicted, COSTS, budgets=budgets)
        for name, low, high in (
            ("value", "low", "high"),
            ("over_random", "over_random_low", "over_random_high"),
            ("over_single", "over_single_low", "over_single_high"),
        ):
            held[name].append(((curve[low] <= truth[name]) & (truth[name] <= curve[high])).mean())
        area = cost_qini_score(scores, predicted, COSTS, n_budgets=25)
        held["area"].append(area.low <= true_area <= area.high)
    assert {
        name: round(float(np.mean(hits)), 3) for name, hits in held.items() if not 0.925 <= np.mean(hits) <= 0.975
    } == {}


@pytest.mark.parametrize("budget", [0.3, 0.6])
def test_errors_allow_for_who_else_is_in_the_queue(budget):
    rng = np.random.default_rng(6)
    found = []
    for _ in range(400):
        worth, dear = rng.random(400), 0.5 + rng.random(400)
        predicted, cost = pd.DataFrame({"mail": worth, "call": worth * 1.5}), pd.DataFrame({"mail": dear, "call": 4.0})
        scores = pd.DataFrame({"control": 0.0, "mail": 10 * worth, "call": 20 * worth})
        found.append(cost_curve(scores, predicted, cost, budgets=[budget]).iloc[0])
    found = pd.DataFrame(found)
    for name, low, high in (
        ("value", "low", "high"),
        ("over_random", "over_random_low", "over_random_high"),
        ("over_single", "over_single_low", "over_single_high"),
    ):
        error = ((found[high] - found[low]) / (2 * 1.959964)).mean()
        assert error == pytest.approx(found[name].std(), rel=0.12), name


SCORES, PREDICTED, COST = campaign(np.random.default_rng(4), 5)


@pytest.mark.parametrize("measure", [cost_curve, cost_qini_score])
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"scores": SCORES[ACTIONS]}, "expected the columns of scores .* without control, found mail, sms, call"),
        ({"effect_value": PREDICTED[["mail", "sms"]]}, "expected the columns of scores .* found mail, sms"),
        ({"cost": {"mail": 1.0}}, "cost: expected one for each action, found none for call, sms"),
        ({"cost": COST - 5}, "cost: expected 0 or more, found -"),
        ({"cost": COST[:3]}, r"scores, effect_value and cost: expected the same length, found \(5, 5, 3\)"),
        ({"cost": COST * np.nan}, "cost: expected finite numbers, found 15 missing"),
        ({"effect_value": PREDICTED * np.nan}, "effect_value: expected finite numbers, or -inf"),
        ({"effect_value": -PREDICTED.abs()}, "effect_value: expected somebody to whom an action"),
        ({"scores": SCORES * np.inf}, "scores: expected finite numbers"),
        ({"weight": [1.0, 2.0]}, "weight: expected one a person"),
    ],
)
def test_refuses_what_cannot_be_bought(measure, change, sentence):
    with pytest.raises(ValueError, match=sentence):
        measure(**{"scores": SCORES, "effect_value": PREDICTED, "cost": COST, **change})


@pytest.mark.parametrize("budgets", [[-1.0, 2.0], [2.0, 1.0], [1.0, 1.0]])
def test_refuses_budgets_that_do_not_rise(budgets):
    with pytest.raises(ValueError, match="budgets: expected increasing numbers from 0 up"):
        cost_curve(SCORES, PREDICTED, COST, budgets=budgets)
