"""A wave keeps within its limits, whoever is drawn, and what is logged is what is done."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from propensity.contract import CONTROL
from propensity.playbook import Learning
from propensity.policy import (
    Limit,
    action_probabilities,
    best_under_prices,
    decide,
    holdout_share,
    plan_wave,
    spend,
    wave_limits,
    within_limits,
    within_room,
)
from propensity.policy.wave import BUDGET, explore_weights

ACTIONS = ["call", "letter", "mail"]
COST = {"call": 10.0, "letter": 1.0, "mail": 0.1}
LEARNING = Learning(holdout_share=0.1, campaign_holdout_share=0.1, explore_share=0.1, salt="test")


def wave(n, seed=0):
    """People with values, what they may get, a budget and the calls that can be made."""
    rng = np.random.default_rng(seed)
    values = pd.DataFrame(rng.lognormal(0, 1.5, (n, 3)) - 1, columns=ACTIONS)
    allowed = pd.DataFrame(rng.random((n, 3)) < [0.5, 0.7, 0.9], columns=ACTIONS)
    ids = pd.Series([f"c{i}" for i in range(n)])
    return ids, values, allowed


def limits(n):
    return [
        Limit(BUDGET, 0.8 * n, pd.Series(COST)),
        Limit("call", 0.05 * n, pd.Series({"call": 1.0, "letter": 0.0, "mail": 0.0})),
    ]


def used(action, limit):
    return sum(limit.use[a] for a in action if a != CONTROL)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(20, 400), seed=st.integers(0, 1000), salt=st.text(min_size=1, max_size=5))
def test_no_limit_is_passed_whoever_is_drawn(n, seed, salt):
    ids, values, allowed = wave(n, seed)
    learning = LEARNING.model_copy(update={"salt": salt})
    bounds = limits(n)
    plan = plan_wave(values, allowed, bounds, learning)
    decided = decide(
        ids, values, allowed, learning, campaign="c", best=plan.best, explore_weights=plan.terms.explore_weights
    )
    left_out = within_limits(decided["action"].to_numpy(), values, bounds)
    served = decided["action"].where(~left_out, CONTROL)
    for limit in bounds:
        assert used(served, limit) <= limit.amount + 1e-9
    assert allowed.to_numpy()[np.arange(n), values.columns.get_indexer(served)][served != CONTROL].all()


def test_hardly_anybody_is_left_out_and_the_limits_are_nearly_used():
    n, waves, left_out, share = 4000, 40, 0, []
    ids, values, allowed = wave(n)
    bounds = limits(n)
    plan = plan_wave(values, allowed, bounds, LEARNING)
    for salt in range(waves):
        learning = LEARNING.model_copy(update={"salt": str(salt)})
        decided = decide(
            ids, values, allowed, learning, campaign="c", best=plan.best, explore_weights=plan.terms.explore_weights
        )
        left_out += within_limits(decided["action"].to_numpy(), values, bounds).sum()
        share.append([used(decided["action"], x) / x.amount for x in bounds])
    assert left_out == 0
    assert np.mean(share, axis=0).min() > 0.75


def test_what_is_done_to_one_person_over_many_draws_is_what_is_logged():
    n, draws = 60, 1500
    ids, values, allowed = wave(n, 3)
    plan = plan_wave(values, allowed, limits(n), LEARNING)
    weights = plan.terms.explore_weights
    logged = action_probabilities(plan.best, allowed, LEARNING, weights)
    counts = np.zeros(logged.shape)
    for salt in range(draws):
        learning = LEARNING.model_copy(update={"salt": str(salt)})
        decided = decide(ids, values, allowed, learning, campaign="c", best=plan.best, explore_weights=weights)
        column = logged.columns.get_indexer(pd.Index(decided["action"]))
        counts[np.arange(n), column] += 1
        assert decided["probability"].to_numpy() == pytest.approx(logged.to_numpy()[np.arange(n), column])
    expected = logged.to_numpy()
    z = (counts / draws - expected) / np.sqrt(np.maximum(expected * (1 - expected), 1e-9) / draws)
    assert np.abs(z).max() < 4.5
    assert logged.sum(axis=1).to_numpy() == pytest.approx(np.ones(n))


def test_exploration_keeps_to_its_share_of_each_limit():
    _, _, allowed = wave(5000)
    bounds = limits(5000)
    weights = explore_weights(allowed, bounds, LEARNING)
    assert weights["mail"] == 1.0
    assert 0 < weights["call"] < weights["letter"] <= 1.0
    chances = action_probabilities(np.full(5000, CONTROL, dtype=object), allowed, LEARNING, weights)
    for limit in bounds:
        explored = sum(limit.use[a] * chances[a].sum() for a in ACTIONS)
        assert explored <= LEARNING.explore_limit_share * limit.amount * (1 + 1e-6)
    assert explore_weights(allowed, [], LEARNING) == dict.fromkeys(ACTIONS, 1.0)


def test_exploration_goes_on_where_some_can_only_be_tried_at_a_price_that_it_cannot_pay():
    allowed = pd.DataFrame({"call": [True] * 100, "letter": [False] * 100, "mail": [False] * 50 + [True] * 50})
    budget = Limit(BUDGET, 9.0, pd.Series(COST))
    weights = explore_weights(allowed, [budget], LEARNING)
    # of the 100 people 8.1 are tried: with calls for half of them that costs 40, with mail for the others 0.4
    assert weights["call"] == 0
    assert weights["mail"] == 1


@settings(max_examples=25, deadline=None)
@given(n=st.integers(5, 200), seed=st.integers(0, 1000), calls=st.integers(0, 10), budget=st.floats(0, 100))
def test_a_part_of_a_wave_plans_no_more_than_is_left_and_keeps_who_is_worth_most(n, seed, calls, budget):
    _, values, allowed = wave(n, seed)
    few = [replace(x, amount=a) for x, a in zip(limits(n), (budget, calls), strict=True)]
    free = dict.fromkeys((x.name for x in few), 0.0)
    best = best_under_prices(values, allowed, few, free)
    found = within_room(best, values, allowed, few, free)
    for limit in few:
        assert used(found, limit) <= limit.amount + 1e-6
    sent = found != CONTROL
    assert allowed.to_numpy()[np.arange(n), values.columns.get_indexer(found)][sent].all()
    assert (found[best == CONTROL] == CONTROL).all()
    worth = values.to_numpy()[np.arange(n), values.columns.get_indexer(best)]
    kept, lost = worth[(best == "call") & (found == "call")], worth[(best == "call") & (found != "call")]
    if len(kept) and len(lost):
        assert kept.min() >= lost.max()


def test_prices_of_few_people_pass_no_limit_and_leave_nobody_out():
    n, share = 6000, 0.05
    ids, values, allowed = wave(n)
    bounds = limits(n)
    some = np.arange(0, n, round(1 / share))
    plan = plan_wave(values.iloc[some], allowed.iloc[some], bounds, LEARNING, share=share)
    left = [replace(x, amount=plan.room[x.name]) for x in bounds]
    best = within_room(
        best_under_prices(values, allowed, left, plan.terms.prices), values, allowed, left, plan.terms.prices
    )
    n_left_out = 0
    for salt in range(30):
        learning = LEARNING.model_copy(update={"salt": str(salt)})
        drawn = decide(
            ids, values, allowed, learning, campaign="c", best=best, explore_weights=plan.terms.explore_weights
        )
        n_left_out += within_limits(drawn["action"].to_numpy(), values, bounds).sum()
    assert n_left_out == 0
    # prices of 300 people are too high or too low by chance
    assert used(drawn["action"], bounds[0]) > 0.65 * bounds[0].amount


def test_of_actions_worth_the_same_single_decisions_take_what_uses_less():
    values = pd.DataFrame({"call": [2.0] * 50, "letter": [2.0] * 50, "mail": [1.0] * 50})
    allowed = pd.DataFrame(True, index=values.index, columns=ACTIONS)
    budget = Limit(BUDGET, 200.0, pd.Series(COST))
    plan = plan_wave(values, allowed, [budget], LEARNING)
    assert plan.terms.prices[BUDGET] < 1e-5
    assert (best_under_prices(values, allowed, [budget], plan.terms.prices) == "letter").all()


def test_without_limits_the_plan_is_each_persons_best():
    _, values, allowed = wave(200)
    plan = plan_wave(values, allowed, [], LEARNING)
    masked = values.where(allowed, -np.inf)
    best = masked.idxmax(axis=1).where(masked.max(axis=1) > 0, CONTROL)
    assert plan.best.tolist() == best.tolist()
    assert plan.terms.prices == {}


def test_a_single_decision_at_the_waves_prices_is_the_waves():
    _, values, allowed = wave(3000)
    bounds = limits(3000)
    plan = plan_wave(values, allowed, bounds, LEARNING)
    alone = best_under_prices(values, allowed, bounds, plan.terms.prices)
    assert (alone != plan.best).sum() <= 5


def test_those_worth_least_are_left_out_first():
    values = pd.DataFrame({"call": [3.0, 1.0, 2.0]})
    limit = Limit("call", 2, pd.Series({"call": 1.0}))
    left_out = within_limits(np.array(["call"] * 3, dtype=object), values, [limit])
    assert left_out.tolist() == [False, True, False]


def test_limits_come_from_the_playbook(book):
    actions = book.labels
    back = pd.DataFrame(0.1, index=range(4), columns=actions)
    spent = spend(back, book, actions)
    assert spent.loc[0, "better_outreach_conversation"] == pytest.approx(18 + 0.1 * 0.9 * 12)
    assert [x.name for x in wave_limits(book, spent, weeks=2)] == ["direct_mail", "direct_outreach"]
    with_budget = wave_limits(book, spent, weeks=2.6, budget=500)
    assert [(x.name, x.amount) for x in with_budget] == [
        ("budget", 500),
        ("direct_mail", 5200),
        ("direct_outreach", 260),
    ]
    on_call = with_budget[2].use
    assert set(on_call[on_call == 1].index) == {a for a in actions if book.actions[a].channel == "direct_outreach"}
    assert holdout_share(book.learning) > 0
