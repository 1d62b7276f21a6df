"""Allocation under limits: against every assignment, against a linear program, and what must hold of any."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from propensity.contract import CONTROL
from propensity.errors import InputError
from propensity.policy import Allocation, Limit, allocate, best_action, best_under_prices
from propensity.policy.indifference import undecided
from propensity.policy.knapsack import Knapsack, optimal_prices


def table(values, prefix="a"):
    values = np.asarray(values)
    return pd.DataFrame(values, columns=[f"{prefix}{k:02d}" for k in range(values.shape[1])])


def campaign(seed, n, n_actions, *, looseness=(0.02, 0.8), per_person=False, round_to=None):
    """Heavy-tailed values with a common part, a budget and three capacities of a share of what all would take."""
    rng = np.random.default_rng(seed)
    mix = rng.random()
    drawn = np.sqrt(mix) * rng.normal(size=(n, 1)) + np.sqrt(1 - mix) * rng.normal(size=(n, n_actions))
    values = np.exp(1.3 * drawn) - rng.random()
    if round_to is not None:
        values = np.round(values / round_to) * round_to
    value, allowed = table(values), table(rng.random((n, n_actions)) < 0.7)
    channel = np.arange(n_actions) % 4
    cost = np.array([0.05, 0.5, 1.2, 5.0])[channel] + rng.choice([0.0, 1.0], n_actions)
    uses = [cost * rng.lognormal(0, 0.4, (n, 1)) if per_person else cost, *(1.0 * (channel == c) for c in (1, 2, 3))]
    chosen = value.columns.get_indexer(best_action(value, allowed))
    served = np.flatnonzero(chosen >= 0)
    shares = np.exp(rng.uniform(*np.log(looseness), 4))
    limits = []
    for name, use, share in zip(["budget", "ads", "letters", "calls"], uses, shares, strict=True):
        amount = share * np.broadcast_to(use, value.shape)[served, chosen[served]].sum()
        limits.append(Limit(name, amount if name == "budget" else np.ceil(amount), use))
    return value, allowed, limits


def with_amount(limits, name, amount):
    return [Limit(limit.name, amount if limit.name == name else limit.amount, limit.use) for limit in limits]


def linear_program(value, allowed, limits):
    """The value of splitting people at will, and the limits' dual prices."""
    values = value.to_numpy()
    person, action = np.nonzero(allowed.to_numpy() & (values > 0))
    if not len(person):
        return 0.0, np.zeros(len(limits))
    one_each = sp.csr_array((np.ones(len(person)), (person, np.arange(len(person)))), shape=(len(values), len(person)))
    use = np.array([np.broadcast_to(limit.use, values.shape)[person, action] for limit in limits])
    found = linprog(
        -values[person, action],
        A_ub=sp.vstack([one_each, sp.csr_array(use.reshape(len(limits), len(person)))], format="csr"),
        b_ub=np.r_[np.ones(len(values)), [limit.amount for limit in limits]],
    )
    assert found.success
    return -found.fun, -found.ineqlin.marginals[len(values) :]


def worth_and_use(value, limits, action):
    """Each person's value, and what all take of each limit."""
    column = value.columns.get_indexer(action)
    served = np.flatnonzero(column >= 0)
    worth = np.zeros(len(value))
    worth[served] = value.to_numpy()[served, column[served]]
    return worth, [float(np.broadcast_to(lim.use, value.shape)[served, column[served]].sum()) for lim in limits]


def check(value, allowed, limits, plan):
    """What must hold of every allocation."""
    assert isinstance(plan, Allocation)
    assert plan.action.shape == (len(value),)
    column = value.columns.get_indexer(plan.action)
    assert ((column >= 0) == (plan.action != CONTROL)).all()
    served = np.flatnonzero(column >= 0)
    assert allowed[value.columns].to_numpy()[served, column[served]].all()
    worth, used = worth_and_use(value, limits, plan.action)
    assert (worth[served] > 0).all()
    assert plan.value == pytest.approx(worth.sum())
    assert plan.value <= plan.upper_bound
    assert list(plan.prices) == list(plan.used) == list(plan.limits) == [limit.name for limit in limits]
    for limit, units in zip(limits, used, strict=True):
        assert plan.used[limit.name] == pytest.approx(units)
        assert plan.used[limit.name] <= limit.amount
        assert plan.prices[limit.name] >= 0


@st.composite
def small_campaigns(draw):
    n, n_actions, n_limits = draw(st.integers(1, 5)), draw(st.integers(1, 3)), draw(st.integers(1, 3))

    def numbers(kind, *shape):
        size = int(np.prod(shape))
        return np.array(draw(st.lists(kind, min_size=size, max_size=size)), dtype=float).reshape(shape)

    value = table(numbers(st.integers(-2, 9) | st.sampled_from([0.1, 0.3, 2.5, 40.0]), n, n_actions))
    allowed = table(numbers(st.booleans(), n, n_actions).astype(bool))
    limits = []
    for r in range(n_limits):
        use = numbers(st.integers(0, 4) | st.sampled_from([0.1, 0.7]), *draw(st.sampled_from([(1,), (n,)])), n_actions)
        amount = draw(st.integers(0, 12) | st.sampled_from([0.2, 0.3, 0.5, 2.1, np.inf]))
        limits.append(Limit(f"limit {r}", amount, use[0] if len(use) == 1 else use))
    return value, allowed, limits


def best_of_all(value, allowed, limits):
    """The greatest value of any assignment that keeps the limits."""
    worth = np.column_stack([np.where(allowed, value, -np.inf), np.zeros(len(value))])
    everybody, best = np.arange(len(value)), 0.0
    uses = [np.pad(np.broadcast_to(limit.use, value.shape), ((0, 0), (0, 1))) for limit in limits]
    for choice in product(range(worth.shape[1]), repeat=len(value)):
        if all(use[everybody, choice].sum() <= limit.amount for use, limit in zip(uses, limits, strict=True)):
            best = max(best, worth[everybody, choice].sum())
    return best


@settings(max_examples=150, deadline=None, derandomize=True)
@given(small_campaigns())
def test_no_assignment_is_worth_more_than_the_bound_and_whole_people_cost_little(case):
    value, allowed, limits = case
    plan = allocate(value, allowed, limits)
    check(value, allowed, limits, plan)
    best, (split, _) = best_of_all(*case), linear_program(value, allowed, [x for x in limits if np.isfinite(x.amount)])
    assert plan.value <= best + 1e-9
    assert best <= plan.upper_bound + 1e-9
    assert plan.upper_bound == pytest.approx(split, rel=1e-6, abs=1e-9)
    largest = max(0.0, np.where(allowed, value, 0).max())
    assert plan.value >= split - len(limits) * largest - 1e-6


@settings(max_examples=60, deadline=None, derandomize=True)
@given(small_campaigns())
def test_nothing_better_fits_into_what_is_left(case):
    value, allowed, limits = case
    plan = allocate(value, allowed, limits)
    column = value.columns.get_indexer(plan.action)
    for i, a in zip(*np.nonzero(allowed.to_numpy()), strict=True):
        now = value.iat[i, column[i]] if column[i] >= 0 else 0.0
        if value.iat[i, a] > now:
            trial = plan.action.copy()
            trial[i] = value.columns[a]
            # what fits but for rounding may be left
            _, used = worth_and_use(value, limits, trial)
            assert any(units > limit.amount - 1e-9 for units, limit in zip(used, limits, strict=True))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", ["continuous", "ties", "per person"])
def test_close_to_the_linear_program_and_the_bound_equals_it(seed, kind):
    case = campaign(seed, 600, 8, per_person=kind == "per person", round_to=1.0 if kind == "ties" else None)
    plan = allocate(*case)
    check(*case, plan)
    split, _ = linear_program(*case)
    assert plan.upper_bound == pytest.approx(split, rel=1e-7)
    # the budget of some of these is 20 contacts, of which one is a large share
    n_limits, largest = len(case[2]), np.where(case[1], case[0], 0).max()
    assert plan.value >= max(0.98 * split, split - n_limits * largest)


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


@pytest.mark.parametrize("seed", range(3))
def test_far_prices_of_scarce_capacity_and_heavy_tails_are_found(seed):
    value = np.random.default_rng(seed).lognormal(0, 2.5, (1, 100_000))
    program = Knapsack(value, (np.ones((1, 1)),), np.array([5.0]))
    prices, dual = optimal_prices(program)
    best = np.sort(value[0])[::-1]
    assert dual == pytest.approx(best[:5].sum(), rel=1e-6)
    assert best[5] * 0.99 <= prices[0] <= best[4] * 1.01


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


@pytest.mark.parametrize("seed", range(6))
def test_prices_are_the_linear_programs(seed):
    case = campaign(seed, 1_500, 6)
    plan = allocate(*case)
    _, duals = linear_program(*case)
    assert list(plan.prices.values()) == pytest.approx(duals.tolist(), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["budget", "ads", "letters", "calls"])
def test_a_price_is_what_one_more_unit_brings(seed, name):
    value, allowed, limits = campaign(seed, 1_500, 6)
    amount = next(limit.amount for limit in limits if limit.name == name)
    more = with_amount(limits, name, amount + 1)
    gain = linear_program(value, allowed, more)[0] - linear_program(value, allowed, limits)[0]
    # value is concave in the amount: the unit brings no more than its price before, no less than after
    before, after = allocate(value, allowed, limits).prices[name], allocate(value, allowed, more).prices[name]
    assert after - 1e-5 <= gain <= before + 1e-5


@pytest.mark.parametrize("round_to", [None, 0.5])
def test_more_of_a_limit_is_never_worth_less(round_to):
    value, allowed, limits = campaign(3, 2_000, 6, round_to=round_to)
    plans = [
        allocate(value, allowed, [Limit(x.name, factor * x.amount, x.use) for x in limits])
        for factor in (0, 0.1, 0.3, 0.7, 1, 1.5, 3, np.inf)
    ]
    values, bounds = [p.value for p in plans], [p.upper_bound for p in plans]
    assert (np.diff(bounds) >= -1e-7 * bounds[-1]).all()
    assert (np.diff(values) >= 0).all()
    assert values[-1] == bounds[-1] == allocate(value, allowed).value


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_people_does_not_matter(seed):
    value, allowed, limits = campaign(seed, 1_500, 8)
    order = np.random.default_rng(seed).permutation(len(value))
    plan, other = allocate(value, allowed, limits), allocate(value.iloc[order], allowed.iloc[order], limits)
    assert other.value == pytest.approx(plan.value, rel=1e-9)
    assert (other.action == plan.action[order]).mean() > 0.999


def test_scaling_values_scales_prices_and_scaling_units_does_the_opposite():
    value, allowed, limits = campaign(5, 1_500, 8)
    plan = allocate(value, allowed, limits)
    dear = allocate(1e4 * value, allowed, limits)
    assert dear.value == pytest.approx(1e4 * plan.value)
    assert list(dear.prices.values()) == pytest.approx([1e4 * p for p in plan.prices.values()])
    cents = allocate(value, allowed, [Limit(x.name, 100 * x.amount, 100 * x.use) for x in limits])
    assert cents.value == pytest.approx(plan.value)
    assert list(cents.prices.values()) == pytest.approx([p / 100 for p in plan.prices.values()])


@pytest.mark.parametrize("per_person", [False, True])
def test_many_people_are_priced_from_a_sample_first(per_person):
    case = campaign(7, 50_000, 6, per_person=per_person)
    plan = allocate(*case)
    check(*case, plan)
    assert plan.gap_share < 1e-4


@pytest.mark.parametrize("kind", ["continuous", "per person"])
@pytest.mark.parametrize("seed", range(4))
def test_prices_alone_give_the_same_choice_but_for_the_few_on_the_edge(seed, kind):
    value, allowed, limits = campaign(seed, 3_000, 8, per_person=kind == "per person")
    plan = allocate(value, allowed, limits)
    alone = best_under_prices(value, allowed, limits, plan.prices)
    assert (alone != plan.action).mean() <= 0.01
    price, amounts = np.array(list(plan.prices.values())), np.array(list(plan.limits.values()))
    (worth, used), (alone_worth, alone_used) = (worth_and_use(value, limits, a) for a in (plan.action, alone))
    # no choice has more value net of prices, and the bound lies above the plan by what net value and limits are unused
    lost = (alone_worth.sum() - price @ alone_used) - (worth.sum() - price @ used)
    assert lost >= -1e-7
    assert plan.upper_bound - plan.value == pytest.approx(lost + price @ (amounts - used), rel=1e-5, abs=1e-6)


def test_one_person_alone_is_decided_as_in_the_wave():
    value, allowed, limits = campaign(1, 2_000, 8)
    plan = allocate(value, allowed, limits)
    together = best_under_prices(value, allowed, limits, plan.prices)
    alone = [best_under_prices(value.iloc[[i]], allowed.iloc[[i]], limits, plan.prices)[0] for i in range(50)]
    assert alone == together[:50].tolist()


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
