"""Where people tie the limits are filled all the same, by priority or position, and few people are lost."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from allocation_cases import campaign, check, table

from propensity.contract import CONTROL
from propensity.policy import Limit, allocate, best_under_prices
from propensity.policy.indifference import undecided
from propensity.policy.knapsack import Knapsack


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["ties", "same for all"])
def test_thousands_of_ties_cost_no_more_than_a_few_people(seed, kind):
    value, allowed, limits = campaign(seed, 20_000, 12, round_to=1.0)
    if kind == "same for all":
        value[:] = np.round(np.random.default_rng(seed).exponential(2.0, 12), 1)
    plan = allocate(value, allowed, limits)
    check(value, allowed, limits, plan)
    assert plan.upper_bound - plan.value <= len(limits) * np.where(allowed, value, 0).max()
    if kind == "same for all":
        assert plan.gap_share < 1e-3


def test_a_crowd_that_ties_does_not_hide_the_few_who_are_near_to_another_change():
    value = np.full((2, 5_000), 1.0)
    value[1, :10] = 3 + 1e-3 * np.arange(1, 11)
    value[1, 10:] = -np.inf
    program = Knapsack(value, (np.array([[1.0], [0.0]]), np.array([[0.0], [1.0]])), np.array([2_000.0, 4.0]))
    prices = np.array([1.0, 3.0])
    _, _, choice = program.choose(prices)
    people, distance = undecided(program, prices, choice, 100)
    # all 4,990 who tie between the first option and nobody, and the nearest of those who have the second one
    assert people[:4].tolist() == [0, 1, 2, 3]
    assert people[-4_990:].tolist() == list(range(10, 5_000))
    assert (distance[1, :4] == 0).all()
    assert (distance[2, :4] > 0).all()
    assert np.isfinite(distance[:, :4]).all()
    assert np.isinf(distance[1, -4_990:]).all()


@pytest.mark.parametrize("n", [40, 30_000])
def test_where_all_are_worth_the_same_the_limit_is_filled_by_position(n):
    value = table(np.full((n, 3), 0.3))
    limits = [Limit("all", n // 3, np.ones(3))]
    plan = allocate(value, value > 0, limits)
    check(value, value > 0, limits, plan)
    assert plan.used["all"] == n // 3
    assert (plan.action[: n // 3] == "a00").all()
    assert plan.prices["all"] == pytest.approx(0.3)
    assert plan.gap_share == pytest.approx(0, abs=1e-9)
    # prices cannot say who of them it is, and must not promise all of them what only a third can get
    assert (best_under_prices(value, value > 0, limits, plan.prices) == CONTROL).all()


@pytest.mark.parametrize("n", [40, 30_000])
def test_among_people_who_tie_priority_decides(n):
    rng = np.random.default_rng(0)
    value, allowed = table(np.full((n, 3), 2.0)), table(rng.random((n, 3)) < 0.8)
    priority = table(rng.normal(size=(n, 3)))
    limits = [Limit("a", n // 10, np.array([1.0, 0, 0])), Limit("b and c", n // 10, np.array([0, 1.0, 1.0]))]
    plan = allocate(value, allowed, limits, priority=priority)
    check(value, allowed, limits, plan)
    assert plan.used == {"a": n // 10, "b and c": n // 10}
    # nobody without contact comes before anybody who has the action, nor would two like to exchange
    order, options = priority.where(allowed, -np.inf), ["a00", "a01", "a02"]
    order["nobody"] = 0.0
    for option in options:
        waiting = order.loc[(plan.action == CONTROL) & allowed[option], option]
        assert waiting.max() <= order.loc[plan.action == option, option].min()
    b_or_c = np.isin(plan.action, ["a01", "a02"])
    assert (plan.action[b_or_c] == order.loc[b_or_c, ["a01", "a02"]].idxmax(axis=1)).all()
    for one, other in [("a00", "a01"), ("a00", "a02")]:
        edge = (order[one] - order[other])[allowed[one] & allowed[other]]
        has_one, has_other = (edge[plan.action[edge.index] == x] for x in (one, other))
        assert has_one.min() >= has_other.max()


def test_priority_decides_among_people_who_tie_and_use_the_same():
    rng = np.random.default_rng(0)
    spend, priority = rng.integers(1, 4, (300, 1)), table(rng.normal(size=(300, 1)))
    value = table(2.0 * spend)
    plan = allocate(value, value > 0, [Limit("budget", 200, spend)], priority=priority)
    assert plan.used["budget"] == 200
    for units in (1, 2, 3):
        own, served = priority["a00"][spend[:, 0] == units], (plan.action != CONTROL)[spend[:, 0] == units]
        assert own[served].min() >= own[~served].max() or served.all() or not served.any()
    assert 0 < (plan.action != CONTROL).mean() < 1


def test_two_actions_that_are_the_same_to_everybody():
    spend = np.random.default_rng(0).lognormal(size=(200, 1))
    value = pd.DataFrame({"mail": spend[:, 0] ** 0.5, "letter": spend[:, 0] ** 0.5})
    both = allocate(value, value > 0, [Limit("budget", spend.sum() / 3, np.tile(spend, 2))])
    one = allocate(value[["mail"]], value[["mail"]] > 0, [Limit("budget", spend.sum() / 3, spend)])
    assert both.value == pytest.approx(one.value)
    assert both.upper_bound == pytest.approx(one.upper_bound)


def test_priority_of_people_who_do_not_tie_changes_nothing():
    value, allowed, limits = campaign(4, 1_000, 6)
    priority = table(np.random.default_rng(0).normal(size=value.shape))
    assert (allocate(value, allowed, limits, priority=priority).action == allocate(value, allowed, limits).action).all()
