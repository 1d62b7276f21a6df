"""Chances of later decisions, given the earlier ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from propensity.contract import CONTROL
from propensity.playbook import Learning
from propensity.policy import action_probabilities, decide
from propensity.repeated_decisions import given_earlier

LEARNING = Learning(holdout_share=0.2, campaign_holdout_share=0.1, explore_share=0.3, salt="s")
ACTIONS = [CONTROL, "a", "b"]
DAY = pd.Timestamp("2026-01-01T00:00Z")


def two_waves(n: int, campaigns: tuple[str, str]) -> tuple[pd.DataFrame, np.ndarray]:
    people = pd.Series([f"c{i}" for i in range(n)])
    value = pd.DataFrame({"a": np.ones(n), "b": np.zeros(n)})
    allowed = pd.DataFrame(True, index=range(n), columns=["a", "b"])
    best = np.full(n, "a", dtype=object)
    rows, chances = [], []
    for number, campaign in enumerate(campaigns):
        drawn = decide(people, value, allowed, LEARNING, campaign=campaign, window=number)
        rows.append(
            drawn[["action", "assignment"]].assign(
                customer_id=people, campaign=campaign, decided_at=DAY + number * pd.Timedelta(days=90), own=1.0
            )
        )
        chances.append(action_probabilities(best, allowed, LEARNING)[ACTIONS].to_numpy())
    return pd.concat(rows, ignore_index=True), np.concatenate(chances)


@pytest.mark.parametrize("campaigns", [("one", "two"), ("one", "one")])
def test_given_chances_are_those_with_which_later_actions_were_served(campaigns):
    n = 40_000
    decisions, chances = two_waves(n, campaigns)
    given, teaches = given_earlier(decisions, chances, ACTIONS, dict.fromkeys(campaigns, LEARNING))
    np.testing.assert_array_equal(given[:n], chances[:n])
    assert teaches[:n].all()
    later = np.arange(n, 2 * n)[teaches[n:]]
    held_first = (decisions["assignment"][:n] == "holdout").to_numpy()
    np.testing.assert_array_equal(teaches[n:], ~held_first)
    served = decisions["action"].to_numpy()[later]
    for k, action in enumerate(ACTIONS):
        expected = given[later, k].mean()
        assert abs((served == action).mean() - expected) < 4.5 * np.sqrt(expected * (1 - expected) / len(later)) + 1e-12
        if action == CONTROL:
            # what was logged is far from what happened
            assert abs((served == action).mean() - chances[later, k].mean()) > 0.1
    np.testing.assert_allclose(given[later].sum(axis=1), 1.0)


def test_imported_contacts_and_other_salts_tell_nothing():
    decisions, chances = two_waves(500, ("one", "two"))
    imported = decisions.assign(own=np.where(decisions["campaign"] == "one", 0.0, 1.0))
    given, teaches = given_earlier(imported, chances, ACTIONS, dict.fromkeys(("one", "two"), LEARNING))
    np.testing.assert_array_equal(given, chances)
    assert teaches.all()
    salted = {"one": LEARNING, "two": LEARNING.model_copy(update={"salt": "other"})}
    given, teaches = given_earlier(decisions, chances, ACTIONS, salted)
    np.testing.assert_array_equal(given, chances)
    assert teaches.all()
