"""What an action is worth, in currency."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from propensity.policy import contact_costs, net_value, offer_costs, profit

ACTIONS = ["control", "circumstances_mail_price_hold", "fit_in_app_onboarding"]


def test_costs_are_those_of_the_playbook(book):
    assert contact_costs(book, ACTIONS).tolist() == [0.0, 1.2, 0.01]
    assert offer_costs(book, ACTIONS).tolist() == pytest.approx([0.0, 0.95 * 1.0, 0.7 * 25.0])


def test_equals_the_formula_by_hand(book):
    revenue, returned, left = np.array([[3.0, 10, 20]]), np.array([[0.1, 0.2, 0.4]]), np.array([[0.0, 0.01, 0.05]])
    by_hand = [0.7 * 3, 0.7 * 10 - 1.2 - 0.95 * 0.2 - 4 * 0.01, 0.7 * 20 - 0.01 - 17.5 * 0.4 - 4 * 0.05]
    assert profit(revenue, returned, left, book, ACTIONS)[0].tolist() == pytest.approx(by_hand)


def test_mean_of_profits_is_the_profit_of_means(book):
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(50, 3)) for _ in range(3)]
    of_means = profit(*[p.mean(axis=0, keepdims=True) for p in parts], book, ACTIONS)
    assert profit(*parts, book, ACTIONS).mean(axis=0) == pytest.approx(of_means[0])
    doubled, zero = profit(*[2 * p for p in parts], book, ACTIONS), profit(*[0 * p for p in parts], book, ACTIONS)
    assert doubled - zero == pytest.approx(2 * (profit(*parts, book, ACTIONS) - zero))


def test_net_value_is_profit_above_no_contact():
    table = net_value(np.array([[1.0, 3.0, -2.0]]), ACTIONS, pd.Index(["x"]))
    pd.testing.assert_frame_equal(table, pd.DataFrame([[2.0, -3.0]], columns=ACTIONS[1:], index=["x"]))


def test_an_action_without_effect_is_worth_minus_its_cost(book):
    same = np.full((1, 3), 0.2)
    values = net_value(profit(5 * same, 0 * same, same, book, ACTIONS), ACTIONS, pd.RangeIndex(1))
    assert values.iloc[0].tolist() == pytest.approx([-1.2, -0.01])
