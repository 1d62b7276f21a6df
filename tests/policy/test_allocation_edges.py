"""Limits that are closed, too small or do not bind, input that cannot be meant, and what is told of a plan."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from allocation_cases import campaign, check, table, with_amount

from propensity.contract import CONTROL
from propensity.errors import InputError
from propensity.policy import Limit, allocate, best_action, best_under_prices


def test_without_limits_everybody_gets_what_is_best():
    value, allowed, _ = campaign(2, 500, 5)
    plan = allocate(value, allowed)
    assert plan.action.tolist() == best_action(value, allowed).tolist()
    assert plan.value == plan.upper_bound
    assert plan.prices == {}
    assert plan.gap_share == 0
    infinite = allocate(value, allowed, [Limit("budget", np.inf, np.ones(5))])
    assert infinite.action.tolist() == plan.action.tolist()
    assert infinite.prices == {"budget": 0.0}
    assert infinite.used["budget"] == (plan.action != CONTROL).sum()


def test_a_limit_that_does_not_bind_has_no_price():
    value, allowed, limits = campaign(2, 500, 5)
    plan = allocate(value, allowed, with_amount(limits, "budget", 1e6))
    assert plan.prices["budget"] == 0
    assert plan.used["budget"] < 1e6


def test_of_a_closed_channel_nobody_gets_anything_and_its_price_is_the_first_units_worth():
    value = pd.DataFrame({"call": [9.0, 20.0, 5.0], "mail": [2.0, 18.5, 1.0]})
    limits = [Limit("calls", 0, np.array([2.0, 0.0]))]
    plan = allocate(value, value > 0, limits)
    assert plan.action.tolist() == ["mail"] * 3
    assert plan.used == {"calls": 0.0}
    # two units instead of nothing bring 9 - 2, or 3.5 a unit
    assert plan.prices == {"calls": pytest.approx(3.5)}
    assert plan.upper_bound == plan.value == 21.5
    stranger = pd.DataFrame({"call": [1e6], "mail": [1.0]})
    assert best_under_prices(stranger, stranger > 0, limits, plan.prices).tolist() == ["mail"]


def test_two_closed_limits_on_one_action():
    value = pd.DataFrame({"call": [9.0, 4.0]})
    limits = [Limit("calls", 0, np.ones(1)), Limit("staff", 0, np.ones(1))]
    plan = allocate(value, value > 0, limits)
    assert plan.action.tolist() == [CONTROL] * 2
    assert plan.value == plan.upper_bound == 0
    # one call more is worth nothing as long as there is no staff; both together bring 9
    assert plan.prices == {"calls": 0, "staff": 9}


def test_a_limit_too_small_for_one_contact():
    value = pd.DataFrame({"call": [9.0, 8.0], "mail": [2.0, 1.0]})
    plan = allocate(value, value > 0, [Limit("calls", 0.5, np.array([1.0, 0.0]))])
    assert plan.action.tolist() == ["mail", "mail"]
    assert plan.value == 3
    assert plan.upper_bound == pytest.approx(3 + 0.5 * 7)


def test_nothing_to_do():
    value, limits = pd.DataFrame({"call": [-1.0, -2.0, 0.0]}), [Limit("budget", 1, np.ones(1))]
    for values, allowed in ((value, value <= 0), (value + 9, value > 0), (value.iloc[:0], value.iloc[:0] > 0)):
        plan = allocate(values, allowed, limits)
        assert plan.action.tolist() == [CONTROL] * len(values)
        assert plan.value == plan.upper_bound == plan.gap_share == 0
        assert plan.prices == plan.used == {"budget": 0.0}


def test_equal_value_per_cost_with_costs_of_ones_own_fills_the_budget():
    rng = np.random.default_rng(0)
    cost = rng.lognormal(size=(15_000, 1))
    value, priority = pd.DataFrame(3 * cost, columns=["mail"]), pd.DataFrame(rng.random(cost.shape), columns=["mail"])
    limits = [Limit("budget", cost.sum() / 4, cost)]
    plan = allocate(value, value > 0, limits, priority=priority)
    check(value, value > 0, limits, plan)
    assert plan.prices["budget"] == pytest.approx(3)
    assert plan.gap_share < 1e-5
    # nobody else uses the same, so that priority can only decide who comes first
    assert ((priority["mail"] > 0.75) == (plan.action != CONTROL)).mean() > 0.95


def test_a_budget_of_decimal_costs_is_never_overspent():
    value = table(np.ones((50, 1)))
    for n_cents in range(1, 60):
        limits = [Limit("budget", n_cents / 100, np.array([0.01]))]
        plan = allocate(value, value > 0, limits)
        check(value, value > 0, limits, plan)
        assert abs((plan.action != CONTROL).sum() - min(50, n_cents)) <= (1 if n_cents < 50 else 0)


def test_use_by_label_by_position_and_by_person_say_the_same():
    value, allowed, limits = campaign(6, 400, 5)
    plan = allocate(value, allowed, limits)
    by_label = [Limit(x.name, x.amount, pd.Series(x.use, value.columns)[::-1]) for x in limits]
    by_person = [Limit(x.name, x.amount, np.tile(x.use, (400, 1))) for x in limits]
    frames = [Limit(x.name, x.amount, table(x.use)[value.columns[::-1]]) for x in by_person]
    assert (allocate(value, allowed[value.columns[::-1]], by_label).action == plan.action).all()
    for same in (by_person, frames):
        assert allocate(value, allowed, same).value == pytest.approx(plan.value)


def test_summary_says_what_people_want_to_know():
    value = pd.DataFrame({"call": [9.0, 8.0, 1.0], "mail": [2.0, 5.0, 1.0]})
    plan = allocate(value, value > 0, [Limit("calls", 1, pd.Series({"mail": 0, "call": 1}))])
    expected = {"limit": ["calls"], "amount": [1.0], "used": [1.0], "value_of_one_more": [plan.prices["calls"]]}
    pd.testing.assert_frame_equal(plan.summary(), pd.DataFrame(expected))
    assert 3 - 1e-9 <= plan.prices["calls"] <= 7 + 1e-9


VALUE = pd.DataFrame({"call": [1.0, 2.0], "mail": [3.0, 4.0]})
LIMIT = Limit("budget", 1, np.ones(2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"net_value": VALUE.replace(4.0, np.nan)}, "net_value: .* found 1 missing, the first for mail in row 2"),
        ({"net_value": VALUE.replace(4.0, np.inf)}, "net_value: .* found inf for mail in row 2"),
        ({"net_value": VALUE.astype(str)}, "net_value: expected numbers"),
        ({"net_value": VALUE.rename(columns={"mail": CONTROL})}, "net_value: .* none for control"),
        ({"net_value": VALUE[[]]}, "found no column"),
        ({"allowed": (VALUE > 0)[["call"]]}, "allowed: .* none for mail"),
        ({"allowed": VALUE}, "allowed: expected true or false, found float64"),
        ({"allowed": (VALUE > 0).iloc[:1]}, "allowed: expected the 2 rows .* found 1 rows"),
        ({"allowed": (VALUE > 0).iloc[::-1]}, "allowed: .* another index"),
        ({"limits": [LIMIT, LIMIT]}, "limits: expected each name once, found budget"),
        ({"limits": [Limit("budget", -1, np.ones(2))]}, "limit budget: expected an amount of 0 or more, found -1"),
        ({"limits": [Limit("budget", np.nan, np.ones(2))]}, "limit budget: .* found nan"),
        (
            {"limits": [Limit("budget", 1, np.array([1, -0.5]))]},
            "limit budget: expected a use of 0 or more, found -0.5",
        ),
        ({"limits": [Limit("budget", 1, np.array([1, np.nan]))]}, "limit budget: .* found nan"),
        ({"limits": [Limit("budget", 1, np.ones(3))]}, r"limit budget: .* found shape \(3,\)"),
        ({"limits": [Limit("budget", 1, pd.Series({"call": 1}))]}, "limit budget: .* none for mail"),
        ({"limits": [Limit("budget", 1, VALUE.iloc[::-1])]}, "limit budget: .* another index"),
        ({"priority": VALUE[["call"]]}, "priority: .* none for mail"),
        ({"priority": VALUE.replace(4.0, np.nan)}, "priority: .* 1 missing"),
    ],
)
def test_input_that_cannot_be_meant_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        allocate(**{"net_value": VALUE, "allowed": VALUE > 0, "limits": [LIMIT], **change})


def test_every_limit_needs_its_price():
    with pytest.raises(InputError, match=r"prices: .* none for budget"):
        best_under_prices(VALUE, VALUE > 0, [LIMIT], {"calls": 1.0})


def test_what_is_not_allowed_may_be_worth_anything():
    value = VALUE.replace(4.0, -np.inf)
    plan = allocate(value, value > 0, [LIMIT])
    assert plan.action.tolist() == ["mail", CONTROL]
