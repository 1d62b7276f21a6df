"""Allocation under limits: against every assignment, against a linear program, and what must hold of any."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from allocation_cases import campaign, check, linear_program, table, with_amount, worth_and_use
from hypothesis import given, settings
from hypothesis import strategies as st

from propensity.policy import Limit, allocate, best_under_prices
from propensity.policy.knapsack import Knapsack, optimal_prices


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


@pytest.mark.parametrize("seed", range(3))
def test_far_prices_of_scarce_capacity_and_heavy_tails_are_found(seed):
    value = np.random.default_rng(seed).lognormal(0, 2.5, (1, 100_000))
    program = Knapsack(value, (np.ones((1, 1)),), np.array([5.0]))
    prices, dual = optimal_prices(program)
    best = np.sort(value[0])[::-1]
    assert dual == pytest.approx(best[:5].sum(), rel=1e-6)
    assert best[5] * 0.99 <= prices[0] <= best[4] * 1.01


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
