"""Holdouts, exploration and policy: what is done is what is logged."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from propensity.contract import CONTROL
from propensity.playbook import Learning
from propensity.policy import action_probabilities, best_action, decide, holdout_share, is_held_out

ACTIONS = ["ad", "call", "mail", "push", "sms"]
LEARNING = Learning(holdout_share=0.1, campaign_holdout_share=0.15, explore_share=0.3, salt="test")
MAX_Z = 4.5
# name: allowed actions and value of each
PEOPLE = {
    "all, one pays": (ACTIONS, [1, 2, 9, 3, 4]),
    "all, none pays": (ACTIONS, [-1, -2, 0, -3, -4]),
    "two, best allowed": (["call", "push"], [1, 2, 3, 4, 5]),
    "two, only others pay": (["call", "push"], [9, -1, 9, -2, 9]),
    "one, pays": (["sms"], [0, 0, 0, 0, 1]),
    "one, does not pay": (["ad"], [-1, 5, 5, 5, 5]),
    "none": ([], [5, 5, 5, 5, 5]),
}


def person(name, n, start=0):
    """The same person's case for n customers."""
    allowed, values = PEOPLE[name]
    ids = pd.Series([f"c{i}" for i in range(start, start + n)])
    can = pd.DataFrame([[a in allowed for a in ACTIONS]] * n, columns=ACTIONS)
    return ids, pd.DataFrame([values] * n, columns=ACTIONS, dtype=float), can


def everybody(n_each=200):
    cases = [person(name, n_each, start=i * n_each) for i, name in enumerate(PEOPLE)]
    ids, values, can = (pd.concat(part, ignore_index=True) for part in zip(*cases, strict=True))
    return ids, values, can


def expected(name):
    allowed, values = PEOPLE[name]
    h, x = holdout_share(LEARNING), LEARNING.explore_share
    best = max(allowed, key=lambda a: values[ACTIONS.index(a)], default=CONTROL)
    if not allowed or values[ACTIONS.index(best)] <= 0:
        best = CONTROL
    chances = dict.fromkeys([CONTROL, *ACTIONS], 0.0)
    if not allowed:
        return {**chances, CONTROL: 1.0}
    chances[CONTROL] = h
    for action in allowed:
        chances[action] += (1 - h) * x / len(allowed)
    chances[best] += (1 - h) * (1 - x)
    return chances


@pytest.mark.parametrize("name", PEOPLE)
def test_logged_probabilities_equal_the_rule_by_hand(name):
    _, values, can = person(name, 3)
    table = action_probabilities(best_action(values, can), can, LEARNING)
    assert list(table.columns) == [CONTROL, *ACTIONS]
    assert table.iloc[0].to_dict() == pytest.approx(expected(name))


@pytest.mark.parametrize("name", PEOPLE)
def test_what_is_done_over_many_people_is_what_is_logged(name):
    n = 6000
    ids, values, can = person(name, n)
    decided = decide(ids, values, can, LEARNING, campaign="spring")
    counts = decided["action"].value_counts().reindex([CONTROL, *ACTIONS], fill_value=0)
    for action, chance in expected(name).items():
        assert abs(counts[action] - n * chance) <= MAX_Z * np.sqrt(n * chance * (1 - chance)) + 1e-9, action
    logged = decided["action"].map(expected(name))
    assert decided["probability"].to_numpy() == pytest.approx(logged.to_numpy())


def test_what_is_done_to_one_person_over_many_salts_is_what_is_logged():
    ids, values, can = (pd.concat(p, ignore_index=True) for p in zip(*(person(n, 1) for n in PEOPLE), strict=True))
    n = 1200
    served = [
        decide(ids, values, can, LEARNING.model_copy(update={"salt": f"salt {i}"}), campaign="spring")["action"]
        for i in range(n)
    ]
    for row, name in enumerate(PEOPLE):
        counts = pd.Series([actions[row] for actions in served]).value_counts()
        for action, chance in expected(name).items():
            off = abs(counts.get(action, 0) - n * chance)
            assert off <= MAX_Z * np.sqrt(n * chance * (1 - chance)) + 1e-9, (name, action)


@pytest.mark.parametrize("explore", [0.0, 0.1, 0.3, 0.7])
@pytest.mark.parametrize("held_out", [0.0, 0.05, 0.3])
def test_rows_sum_to_1_and_nothing_is_below_0(explore, held_out):
    learning = Learning(holdout_share=held_out, campaign_holdout_share=held_out, explore_share=explore, salt="s")
    ids, values, can = everybody(2)
    table = action_probabilities(best_action(values, can), can, learning).to_numpy()
    assert table.min() >= 0.0
    assert np.abs(table.sum(axis=1) - 1).max() < 1e-12
    assert (decide(ids, values, can, learning, campaign="c")["probability"] > 0).all()


@pytest.mark.parametrize("explore", [0.1, 0.3])
def test_control_is_never_a_hair_below_0_where_nobody_is_held_out(explore):
    learning = Learning(holdout_share=0.0, campaign_holdout_share=0.0, explore_share=explore, salt="s")
    for k in range(1, 13):
        allowed = pd.DataFrame([[True] * k], columns=[f"a{i}" for i in range(k)])
        table = action_probabilities(np.array(["a0"], dtype=object), allowed, learning)
        assert table.loc[0, CONTROL] == 0.0, k


def test_logged_probability_is_that_of_the_served_action_in_mixed_batches():
    ids, values, can = everybody()
    decided = decide(ids, values, can, LEARNING, campaign="spring", window=4)
    table = action_probabilities(best_action(values, can), can, LEARNING)
    by_hand = [table.loc[i, action] for i, action in decided["action"].items()]
    assert decided["probability"].tolist() == by_hand


def test_decisions_do_not_depend_on_the_batch():
    ids, values, can = everybody()
    decided = decide(ids, values, can, LEARNING, campaign="spring", window=4)
    order = np.random.default_rng(0).permutation(len(ids))[:300]
    some = decide(ids.iloc[order], values.iloc[order], can.iloc[order], LEARNING, campaign="spring", window=4)
    pd.testing.assert_frame_equal(some, decided.iloc[order])
    columns = ["sms", "ad", "push", "mail", "call"]
    pd.testing.assert_series_equal(
        decide(ids, values, can[columns], LEARNING, campaign="spring", window=4)["action"], decided["action"]
    )


def test_holdouts_never_change_between_windows_and_exploration_does():
    ids, values, can = everybody()
    waves = [decide(ids, values, can, LEARNING, campaign="spring", window=w) for w in range(4)]
    held = [wave["assignment"] == "holdout" for wave in waves]
    explored = [wave["assignment"] == "explore" for wave in waves]
    assert held[0].any()
    assert all((held[0] == other).all() for other in held[1:])
    assert all((explored[0] != other).any() for other in explored[1:])


def test_the_global_holdout_is_the_same_in_every_campaign_and_the_campaigns_own_is_not():
    ids, *_ = everybody()
    everywhere = LEARNING.model_copy(update={"campaign_holdout_share": 0.0})
    own = LEARNING.model_copy(update={"holdout_share": 0.0})
    global_ = is_held_out(ids, "spring", everywhere)
    spring, summer = is_held_out(ids, "spring", own), is_held_out(ids, "summer", own)
    assert (global_ == is_held_out(ids, "summer", everywhere)).all()
    assert (is_held_out(ids, "spring", LEARNING) == (global_ | spring)).all()
    assert (spring != summer).any()
    n = len(ids)
    for mask, share in [(global_, 0.1), (spring, 0.15), (global_ | spring, holdout_share(LEARNING))]:
        assert abs(mask.sum() - n * share) < MAX_Z * np.sqrt(n * share * (1 - share))
    both = (global_ & spring).mean()
    assert abs(both - 0.015) < MAX_Z * np.sqrt(0.015 / n)


def test_growing_a_holdout_keeps_who_was_in_it():
    ids, *_ = everybody()
    small = is_held_out(ids, "spring", LEARNING)
    large = is_held_out(ids, "spring", LEARNING.model_copy(update={"holdout_share": 0.2}))
    assert (large | ~small).all()
    assert large.sum() > small.sum()


def test_nobody_who_is_held_out_gets_anything_and_nobody_gets_what_they_may_not():
    ids, values, can = everybody()
    held = is_held_out(ids, "spring", LEARNING)
    for window in range(5):
        decided = decide(ids, values, can, LEARNING, campaign="spring", window=window)
        assert (decided.loc[held, "action"] == CONTROL).all()
        sent = decided[decided["action"] != CONTROL]
        assert all(can.loc[i, action] for i, action in sent["action"].items())
        nothing = ~can.any(axis=1)
        assert (decided.loc[nothing, "action"] == CONTROL).all()
        assert (decided.loc[nothing, "probability"] == 1).all()
        assert set(decided.loc[nothing, "assignment"]) == {"suppressed"}


def test_assignments_say_why():
    ids, values, can = everybody()
    decided = decide(ids, values, can, LEARNING, campaign="spring")
    by_policy = decided[decided["assignment"] == "policy"]
    assert (by_policy["action"] == by_policy["would_have_sent"]).all()
    assert (decided.loc[decided["assignment"] == "explore", "action"] != CONTROL).all()
    assert set(decided["assignment"]) == {"policy", "explore", "holdout", "suppressed"}


def test_best_action_is_the_most_valuable_allowed_one_or_nothing():
    values = pd.DataFrame([[1.0, 2.0], [1.0, 2.0], [-1.0, 0.0], [3.0, 9.0]], columns=["a", "b"])
    allowed = pd.DataFrame([[True, True], [True, False], [True, True], [False, False]], columns=["a", "b"])
    assert best_action(values, allowed).tolist() == ["b", "a", CONTROL, CONTROL]
    assert best_action(values, allowed[["b", "a"]]).tolist() == ["b", "a", CONTROL, CONTROL]
    assert best_action(values * -np.inf, allowed).tolist()[0] == CONTROL
