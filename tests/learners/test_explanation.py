"""Explanations of effects: Shapley values that add up, rank what drives the effect, and are told in few words."""

from __future__ import annotations

from itertools import combinations, product
from math import factorial

import numpy as np
import pandas as pd
import pytest
from learner_cases import draw_experiment
from numpy.testing import assert_allclose, assert_array_equal

from propensity.learners.explanation import MAX_REASONS, MIN_FIDELITY, OVERALL, EffectExplainer
from propensity.learners.sample import FrameEncoder
from propensity.persistence import load_state, save_state

ACTIONS = ["call", "mail"]
SCORE, FLAG, PLAN, NOISE = range(4)


def people(n, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "Score Now": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "flag": rng.integers(0, 2, n).astype(float),
            "plan": pd.Categorical(rng.choice(["Basic Plan", "pro"], n)),
            "noise": rng.normal(size=n),
        }
    )


def true_effect(X):
    """A call works by the score and the flag, mail by the plan."""
    call = 0.02 * np.nan_to_num(X[:, SCORE], nan=-1.0) + 0.05 * X[:, FLAG]
    return np.column_stack([call, 0.1 - 0.04 * X[:, PLAN]])


def restless(X):
    """A call's effect follows no feature that few trees could learn."""
    return np.column_stack([np.sin(1e4 * X[:, NOISE]), true_effect(X)[:, 1]])


@pytest.fixture(scope="module")
def encoder():
    return FrameEncoder.fit(people(4000))


@pytest.fixture(scope="module")
def explainer(encoder):
    return EffectExplainer(7).fit(encoder.transform(people(4000)), true_effect, ACTIONS, encoder)


@pytest.fixture(scope="module")
def asked(encoder):
    """People whom the explainer did not see."""
    return encoder.transform(people(600, seed=1))


def served(asked, seed=0):
    return np.random.default_rng(seed).choice(np.array([*ACTIONS, "control"], dtype=object), len(asked))


# -------------------------------------------------------------------------------------------------- Shapley values


def test_contributions_sum_to_the_distilled_effect_which_is_close_to_the_predicted_one(explainer, asked):
    for a, kept in enumerate(explainer.to_state()["effects"]):
        parts, average = explainer.contributions(asked, kept["action"])
        distilled = kept["mean"] + kept["spread"] * kept["booster"].predict(asked)
        assert_allclose(parts.sum(axis=1) + average, distilled, rtol=1e-9)
        predicted = true_effect(asked)[:, a]
        assert 1 - ((distilled - predicted) ** 2).mean() / predicted.var() == pytest.approx(kept["fidelity"], abs=0.02)
        assert kept["fidelity"] > 0.95


def test_contributions_are_shapley_values_by_enumeration():
    corners = np.array(list(product([0.0, 1.0], repeat=3)))
    X = np.tile(corners, (500, 1))
    encoder = FrameEncoder(("a", "b", "c"), {})

    def effect(X):
        return (2 * X[:, 0] * X[:, 1] + X[:, 2])[:, None]

    parts, average = EffectExplainer().fit(X, effect, ["mail"], encoder).contributions(corners, "mail")
    assert average == pytest.approx(1.0, abs=0.03)

    def worth(corner, known):
        """Mean effect of people who share the known features."""
        alike = (corners[:, known] == corner[known]).all(axis=1)
        return effect(corners[alike]).mean()

    for corner, found in zip(corners, parts, strict=True):
        for feature in range(3):
            others = [f for f in range(3) if f != feature]
            expected = 0.0
            for size in range(3):
                share = factorial(size) * factorial(2 - size) / factorial(3)
                for known in map(list, combinations(others, size)):
                    expected += share * (worth(corner, [*known, feature]) - worth(corner, known))
            assert found[feature] == pytest.approx(expected, abs=0.05)


def test_the_importance_ranks_what_drives_each_action_and_gives_the_rest_nothing(explainer):
    table = explainer.importance()
    by_action = {action: rows.set_index("feature") for action, rows in table.groupby("action", sort=False)}
    assert list(by_action) == [OVERALL, *ACTIONS]
    assert by_action["mail"].index[0] == "plan"
    assert set(by_action["call"].index[:2]) == {"Score Now", "flag"}
    assert by_action["mail"].loc["plan", "share"] > 0.99
    for rows in by_action.values():
        assert rows["share"].sum() == pytest.approx(1)
        assert rows.loc["noise", "share"] < 0.01
        assert rows["mean_absolute"].is_monotonic_decreasing
    # half of the people have each plan: each is 0.02 from the mean
    assert by_action["mail"].loc["plan", "mean_absolute"] == pytest.approx(0.02, rel=0.05)
    halves = (by_action["call"]["mean_absolute"] + by_action["mail"]["mean_absolute"]) / 2
    assert_allclose(by_action[OVERALL]["mean_absolute"], halves[by_action[OVERALL].index])


def test_what_drives_the_outcome_only_is_no_reason_for_the_effect(fitted):
    stack, test = fitted("UpliftStack", False, 3)
    X = stack.encoder_.transform(test.X)
    found = EffectExplainer().fit(X, stack._effect, stack.actions_[1:], stack.encoder_).importance()
    overall = found[found["action"] == OVERALL].set_index("feature")["share"]
    # age moves the outcome as much as the action does, the effect not at all
    assert overall.index[0] == "taste"
    assert overall["taste"] > 0.7
    assert abs(np.corrcoef(test.y, test.X["age"].fillna(0))[0, 1]) > 0.3


def test_the_unit_of_the_outcome_does_not_matter(explainer, encoder, asked):
    tiny = 2.0**-20
    scaled = EffectExplainer(7).fit(encoder.transform(people(4000)), lambda X: true_effect(X) * tiny, ACTIONS, encoder)
    for action in ACTIONS:
        assert_allclose(scaled.contributions(asked, action)[0], explainer.contributions(asked, action)[0] * tiny)
    assert scaled.fidelity_ == pytest.approx(explainer.fidelity_)
    told = scaled.reasons(asked, true_effect(asked) * tiny, served(asked))
    assert told == explainer.reasons(asked, true_effect(asked), served(asked))


def test_only_so_many_people_are_used_and_fidelity_is_measured_on_others(encoder, monkeypatch):
    monkeypatch.setattr("propensity.learners.explanation.MAX_FIT_ROWS", 300)
    monkeypatch.setattr("propensity.learners.explanation.MAX_CHECK_ROWS", 100)
    asked_of = []

    def effect(X):
        asked_of.append(X[:, NOISE])
        return true_effect(X)

    EffectExplainer().fit(encoder.transform(people(4000)), effect, ACTIONS, encoder)
    assert sorted(map(len, asked_of)) == [100, 300]
    assert not set(asked_of[0]) & set(asked_of[1])


def test_what_trees_learn_by_heart_is_no_fidelity(encoder):
    explainer = EffectExplainer().fit(encoder.transform(people(300)), restless, ACTIONS, encoder)
    assert explainer.fidelity_["call"] < 0.2


# --------------------------------------------------------------------------------------------------------- reasons


def test_reasons_say_what_is_high_low_unknown_or_which_category(explainer):
    def told(action, score=0.0, flag=0.0, plan=0.0):
        X = np.array([[score, flag, plan, 0.0]])
        return explainer.reasons(X, true_effect(X), np.array([action]))[0]

    assert told("call", score=2.0, flag=1.0) == ["more_because:score_now_high", "more_because:flag=1"]
    assert told("call", score=-2.0, flag=0.0) == ["less_because:score_now_low", "less_because:flag=0"]
    assert told("call", score=np.nan, flag=0.0) == ["less_because:flag=0", "less_because:score_now_unknown"]
    assert told("mail", plan=0.0) == ["more_because:plan=basic_plan"]
    assert told("mail", plan=1.0) == ["less_because:plan=pro"]
    assert told("control") == []


def test_a_number_at_the_median_is_typical():
    rng = np.random.default_rng(0)
    X = rng.choice([0.0, 1.0, 2.0], size=(3000, 1), p=[0.3, 0.4, 0.3])

    def effect(X):
        return (X[:, :1] == 1.0).astype(float)

    explainer = EffectExplainer().fit(X, effect, ["mail"], FrameEncoder(("visits",), {}))
    people = np.array([[1.0], [0.0], [2.0]])
    told = explainer.reasons(people, effect(people), np.array(["mail"] * 3))
    assert told == [["more_because:visits_typical"], ["less_because:visits_low"], ["less_because:visits_high"]]


def test_every_reason_is_a_strong_contribution_in_the_persons_direction(explainer, asked):
    action = served(asked)
    effect = true_effect(asked)
    names = [c.lower().replace(" ", "_") for c in explainer.encoder_.columns]
    n_told = 0
    for i, codes in enumerate(explainer.reasons(asked, effect, action)):
        if action[i] == "control":
            assert codes == []
            continue
        parts, average = explainer.contributions(asked[[i]], action[i])
        above = effect[i, ACTIONS.index(action[i])] > average
        assert len(codes) <= MAX_REASONS
        pulls = []
        for code in codes:
            word, fact = code.split(":")
            assert word == ("more_because" if above else "less_because")
            part = parts[0, next(j for j, name in enumerate(names) if fact.startswith(name))]
            assert (part > 0) == above
            assert abs(part) >= 0.1 * np.abs(parts).sum()
            pulls.append(abs(part))
        assert pulls == sorted(pulls, reverse=True)
        n_told += bool(codes)
    assert n_told > 0.8 * (action != "control").sum()


def test_a_person_alone_is_a_person_in_a_crowd(explainer, asked):
    action, effect = served(asked), true_effect(asked)
    told = explainer.reasons(asked, effect, action)
    order = np.random.default_rng(2).permutation(len(asked))
    assert explainer.reasons(asked[order], effect[order], action[order]) == [told[i] for i in order]
    assert [explainer.reasons(asked[[i]], effect[[i]], action[[i]])[0] for i in range(30)] == told[:30]
    parts, average = explainer.contributions(asked, "call")
    shuffled, same = explainer.contributions(asked[order], "call")
    assert_array_equal(shuffled, parts[order])
    assert same == average


def test_no_reasons_where_the_prediction_lies_on_the_other_side_of_the_average(explainer, asked):
    averages = np.array([explainer.contributions(asked, a)[1] for a in ACTIONS])
    mirrored = 2 * averages - true_effect(asked)
    action = served(asked)
    told = explainer.reasons(asked, mirrored, action)
    clear = np.abs(mirrored - averages).min(axis=1) > 0.01
    assert clear.sum() > 300
    assert all(told[i] == [] for i in np.flatnonzero(clear))


@pytest.mark.parametrize(("distance", "tells"), [(0.0, False), (0.09, False), (0.11, True)])
def test_no_reasons_where_the_effect_is_about_average(explainer, asked, distance, tells):
    parts, average = explainer.contributions(asked, "mail")
    above = asked[parts.sum(axis=1) > 0]
    effect = np.full((len(above), 2), average + distance * true_effect(asked)[:, 1].std())
    told = explainer.reasons(above, effect, np.full(len(above), "mail"))
    assert [bool(codes) for codes in told] == [tells] * len(above)


def test_no_reasons_by_a_distilled_effect_that_is_far_from_the_predicted_one(encoder, asked):
    explainer = EffectExplainer().fit(encoder.transform(people(2000)), restless, ACTIONS, encoder)
    assert explainer.fidelity_["call"] < MIN_FIDELITY < explainer.fidelity_["mail"]
    action = served(asked)
    told = np.array([len(codes) for codes in explainer.reasons(asked, restless(asked), action)])
    assert told[action == "call"].sum() == 0
    assert (told[action == "mail"] > 0).all()


def test_an_effect_that_is_the_same_for_everybody_has_no_reasons(encoder, asked):
    def effect(X):
        return np.column_stack([np.full(len(X), 0.1), true_effect(X)[:, 1]])

    explainer = EffectExplainer().fit(encoder.transform(people(2000)), effect, ACTIONS, encoder)
    assert explainer.fidelity_["call"] == 0
    parts, average = explainer.contributions(asked, "call")
    assert (parts == 0).all()
    assert average == pytest.approx(0.1)
    assert explainer.reasons(asked, effect(asked), np.full(len(asked), "call")) == [[]] * len(asked)
    rows = explainer.importance().set_index(["action", "feature"])
    assert (rows.loc["call", ["mean_absolute", "share"]] == 0).all().all()


def test_an_action_that_was_not_learnt_is_named(explainer, asked):
    with pytest.raises(ValueError, match="action: expected one of call, mail, found 'sms'"):
        explainer.contributions(asked, "sms")


# --------------------------------------------------------------------------------------------------- saved, loaded


def test_a_loaded_explainer_tells_the_same_to_the_last_bit(explainer, asked, tmp_path):
    save_state(explainer.to_state(), tmp_path / "explainer")
    loaded = EffectExplainer().load_state(load_state(tmp_path / "explainer"))
    for action in ACTIONS:
        for found, expected in zip(
            loaded.contributions(asked, action), explainer.contributions(asked, action), strict=True
        ):
            assert_array_equal(found, expected)
    effect, action = true_effect(asked), served(asked)
    assert loaded.reasons(asked, effect, action) == explainer.reasons(asked, effect, action)
    pd.testing.assert_frame_equal(loaded.importance(), explainer.importance(), check_exact=True)
    assert loaded.fidelity_ == explainer.fidelity_


def test_fitting_twice_is_fitting_once(explainer, encoder, asked):
    again = EffectExplainer(7).fit(encoder.transform(people(4000)), true_effect, ACTIONS, encoder)
    assert_array_equal(again.contributions(asked, "call")[0], explainer.contributions(asked, "call")[0])
    other = EffectExplainer(8).fit(encoder.transform(people(4000)), true_effect, ACTIONS, encoder)
    assert other.fidelity_ != explainer.fidelity_


def test_a_column_that_nobody_has_is_no_reason():
    test = draw_experiment(1000, 2, False)
    X = test.X[["taste"]].assign(empty=np.nan)
    encoder = FrameEncoder.fit(X)
    matrix = encoder.transform(X)
    explainer = EffectExplainer().fit(matrix, lambda X: X[:, :1], ["call"], encoder)
    told = explainer.reasons(matrix, matrix[:, :1], np.full(len(matrix), "call"))
    assert {code for codes in told for code in codes} == {"more_because:taste_high", "less_because:taste_low"}
