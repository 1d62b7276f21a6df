"""What a decision model says of its effects: which features drive them, and why for one person."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from simulated_waves import simulated_wave

from propensity.contract import CONTROL
from propensity.learners.explanation import IMPORTANCE_COLUMNS, MAX_REASONS, MIN_FIDELITY, OVERALL
from propensity.model import NOTHING_TO_EXPLAIN, DecisionModel

AT = pd.Timestamp("2026-03-20T08:00Z")


@pytest.fixture(scope="module")
def decisions(wave_model, wave):
    return wave_model.decide(wave.unseen_customers, at=AT, campaign="spring")


@pytest.fixture
def copy(wave_model_saved):
    return DecisionModel.load(wave_model_saved)


def because(codes):
    return [code for code in codes if "_because:" in code]


def by_policy(decisions):
    return decisions[(decisions["assignment"] == "policy") & decisions["send"]]


def test_whom_the_policy_contacts_is_told_that_it_pays_and_then_why(wave_model, wave, decisions):
    sent = by_policy(decisions)
    assert len(sent) > 1000
    told = wave_model.reasons(wave.unseen_customers.loc[sent.index], AT, sent["action"].to_numpy())
    assert sent["reason_codes"].tolist() == [["worth_more_than_it_costs", *why] for why in told]
    assert max(map(len, told)) == MAX_REASONS
    assert np.mean([bool(why) for why in told]) > 0.8


def test_decisions_that_do_not_follow_from_the_person_have_no_such_reasons(decisions):
    others = decisions.drop(by_policy(decisions).index)
    assert {"explore", "holdout", "suppressed"} <= set(others["assignment"])
    assert not any(because(codes) for codes in others["reason_codes"])


def test_the_direction_is_that_of_the_uplift_against_the_average(wave_model, wave, decisions):
    sent = by_policy(decisions)
    X = wave_model._encode(wave.unseen_customers.iloc[:1], AT)
    average = {a: wave_model.explainer.contributions(X, a)[1] for a in wave_model.actions[1:]}
    words = set()
    for row in sent.itertuples():
        expected = "more_because" if row.uplift > average[row.action] else "less_because"
        words |= (found := {code.split(":")[0] for code in because(row.reason_codes)})
        assert found <= {expected}
    assert words == {"more_because", "less_because"}
    predicted = wave_model.predict(wave.unseen_customers, AT).effect.mean()
    for action, mean in average.items():
        assert mean == pytest.approx(predicted[action], abs=0.01)


def test_the_true_effect_is_greater_where_more_is_claimed(wave_model, wave):
    customers = wave.unseen_customers.iloc[:3000]
    truth = wave.program.truth.reactivation_probability.loc[customers["customer_id"]]
    for action in wave_model.actions[1:]:
        told = pd.Series(wave_model.reasons(customers, AT, np.full(len(customers), action))).str[0].fillna("")
        gain = (truth[action] - truth[CONTROL]).to_numpy()
        more, less = (gain[told.str.startswith(word).to_numpy()] for word in ("more_because", "less_because"))
        assert more.mean() > less.mean() + 3 * np.sqrt(more.var() / len(more) + less.var() / len(less))


def test_importance_is_in_points_and_states_its_fidelity(wave_model):
    table = wave_model.importance()
    assert tuple(table.columns) == IMPORTANCE_COLUMNS
    assert list(table["action"].unique()) == [OVERALL, *wave_model.actions[1:]]
    assert (table["fidelity"] > MIN_FIDELITY).all()
    assert table.groupby("action")["share"].sum().to_numpy() == pytest.approx(1)
    assert table["mean_absolute"].to_numpy() == pytest.approx(
        100 * wave_model.explainer.importance()["mean_absolute"].to_numpy()
    )
    assert set(table["feature"]) == set(wave_model.reactivation.encoder_.columns)


def test_a_policy_for_everybody_gives_no_personal_reasons(copy, wave):
    copy.restrict("one_action")
    decided = copy.decide(wave.unseen_customers.iloc[:300], at=AT)
    assert {"best_action_for_all"} <= {codes[0] for codes in decided["reason_codes"]}
    assert not any(because(codes) for codes in decided["reason_codes"])


def test_a_loaded_model_explains_the_same(copy, wave_model, wave):
    pd.testing.assert_frame_equal(copy.importance(), wave_model.importance(), check_exact=True)
    customers = wave.unseen_customers.iloc[:300]
    actions = np.resize(np.array(wave_model.actions, dtype=object), len(customers))
    told = wave_model.reasons(customers, AT, actions)
    assert copy.reasons(customers, AT, actions) == told
    assert all(told[i] == [] for i in np.flatnonzero(actions == CONTROL))
    assert any(told)


def test_without_differences_between_people_there_is_nothing_to_explain(email_playbook, tmp_path):
    nothing = simulated_wave(2000, email_playbook, seed=1, effect_scale=0.0)
    fitted = DecisionModel(email_playbook).fit(nothing.train)
    assert not fitted.reactivation.heterogeneity_.supported
    fitted.save(tmp_path / "nothing")
    for model in (fitted, DecisionModel.load(tmp_path / "nothing")):
        table = model.importance()
        assert table.empty
        assert tuple(table.columns) == IMPORTANCE_COLUMNS
        assert table.attrs["note"] == NOTHING_TO_EXPLAIN
        few = nothing.unseen_customers.iloc[:5]
        assert model.reasons(few, AT, np.full(5, model.actions[1])) == [[]] * 5
