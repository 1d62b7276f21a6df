"""What a model is worth on people whom training never saw, and the gate."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from propensity.assessment import PEOPLE, Assessment, assess, assess_people, slope_estimate
from propensity.contract import CONTROL
from propensity.evaluation import dr_scores, policy_value
from propensity.frame import logged_propensity
from propensity.granting import Fit, grant
from propensity.held_out import Scored, _best_gains, _known_actions, held_out_people
from propensity.learners.recency import Recency
from propensity.model import DecisionModel
from propensity.policy import net_value, rule_action

KEYS = ["model", "per_person", "one_action", "likeliest", "rules", "random", "nobody"]
MEASURES = ("reactivations", "revenue", "net_value", "expected_value")


def scored(currency, scores, allowed):
    """People of equal weight, of whose scores no variance is expected."""
    return Scored(
        scores, allowed, {currency: scores}, pd.Series(dtype=float), {currency: scores * 0}, np.ones(len(scores))
    )


def test_json_round_trip(wave_assessment):
    text = json.dumps(wave_assessment.to_json(), allow_nan=False)
    assert Assessment.from_json(json.loads(text)) == wave_assessment


def test_assessing_twice_gives_the_same_and_leaves_the_model_alone(wave, wave_model, wave_assessment):
    mode = wave_model.mode
    assert assess(wave_model, wave.test) == wave_assessment
    assert wave_model.mode == mode


def test_the_order_of_people_does_not_matter(wave, wave_model, wave_assessment):
    shuffled = wave.test.sample(frac=1, random_state=0)
    other = assess(wave_model, shuffled)
    assert other.gate == wave_assessment.gate
    for key in KEYS:
        assert other.policy(key).net_value == pytest.approx(wave_assessment.policy(key).net_value)
    assert other.autoc == pytest.approx(wave_assessment.autoc)


def test_policies_are_the_published_ones(wave_assessment):
    assert [p.key for p in wave_assessment.policies] == KEYS
    assert wave_assessment.policy("unheard of") is None


def test_the_model_is_worth_exactly_nothing_more_than_itself(wave_assessment):
    for name, estimate in wave_assessment.policy("model").model_minus_this.items():
        assert (estimate.value, estimate.standard_error, estimate.low, estimate.high) == (0, 0, 0, 0), name


def test_contacting_nobody_brings_exactly_nothing(wave_assessment):
    nobody = wave_assessment.policy("nobody")
    assert (nobody.contacted_share, nobody.cost) == (0, 0)
    for name in MEASURES:
        assert getattr(nobody, name)[:4] == (0, 0, 0, 0)
        assert nobody.model_minus_this[name] == getattr(wave_assessment.policy("model"), name)


def test_paired_differences_are_the_differences(wave_assessment):
    model = wave_assessment.policy("model")
    for policy in wave_assessment.policies:
        for name in MEASURES:
            gap = getattr(model, name).value - getattr(policy, name).value
            assert policy.model_minus_this[name].value == pytest.approx(gap, abs=1e-9)


@pytest.mark.parametrize("key", ["rules", "likeliest", "random"])
def test_reactivations_and_revenue_are_the_doubly_robust_value_by_hand(wave, wave_model, wave_assessment, key):
    predictions = wave_model.predict(wave.test, wave.test["decided_at"])
    propensity = logged_propensity(wave.test, wave_model.actions)
    allowed = wave_model.eligible(wave.test, wave.test["decided_at"]).allowed
    nobody = np.full(len(wave.test), CONTROL)
    if key == "rules":
        policy = rule_action(wave.test, wave_model.playbook, allowed)
    elif key == "likeliest":
        chance = predictions.reactivated[CONTROL]
        one_action = wave_model.choose(wave.test, wave.test["decided_at"], "one_action")
        policy = np.where(chance >= chance.median(), one_action, CONTROL)
    else:
        policy = allowed.div(allowed.sum(axis=1), axis=0).fillna(0.0)
        policy.insert(0, CONTROL, (~allowed.any(axis=1)).astype(float))
    for name, column, model in [
        ("reactivations", "reactivated", predictions.reactivated),
        ("revenue", "revenue", predictions.revenue),
    ]:
        scores = dr_scores(wave.test[column], wave.test["action"], propensity, model)
        by_hand = policy_value(scores, policy, nobody).times(PEOPLE)
        found = getattr(wave_assessment.policy(key), name)
        assert found.value == pytest.approx(by_hand.value)
        # drawn by chance: returns vary much as the model expects, and revenue as luck has it
        most = 1.15 if name == "reactivations" else 1.5
        assert by_hand.standard_error * (1 - 1e-9) <= found.standard_error < most * by_hand.standard_error


def test_people_count_as_their_decisions_do_in_training(wave, wave_model, wave_assessment):
    """Where a decision counts half after sixty days, those of sixty days ago count half."""
    model = copy.copy(wave_model)
    model.recency = Recency(60.0, None)
    older = np.arange(len(wave.test)) % 2 == 0
    later = wave.test["decided_at"] + pd.to_timedelta(np.where(older, 0, 60), unit="D")
    frame = wave.test.assign(decided_at=later)
    people, alike = held_out_people(model, frame), held_out_people(wave_model, frame)
    assert people.weight == pytest.approx(np.where(older, 0.5, 1.0))
    assert (alike.weight == 1).all()
    found = assess_people(model, people).policy("one_action")
    policy = model.choose(frame, frame["decided_at"], "one_action")
    by_hand = policy_value(people.scores["reactivations"], policy, np.full(len(frame), CONTROL), weight=people.weight)
    assert found.reactivations.value == pytest.approx(by_hand.value * PEOPLE)
    assert found.reactivations.value != pytest.approx(
        assess_people(wave_model, alike).policy("one_action").reactivations.value
    )


def test_costs_and_shares_are_those_of_who_is_contacted(wave, wave_model, wave_assessment):
    allowed = wave_model.eligible(wave.test, wave.test["decided_at"]).allowed
    chosen = pd.Series(rule_action(wave.test, wave_model.playbook, allowed))
    rules = wave_assessment.policy("rules")
    assert rules.contacted_share == pytest.approx((chosen != CONTROL).mean())
    actions = wave_model.playbook.actions
    cost = chosen.map(lambda a: 0.0 if a == CONTROL else wave_model.playbook.channels[actions[a].channel].cost_currency)
    assert rules.cost == pytest.approx(cost.mean() * PEOPLE)
    assert sum(wave_assessment.actions.values()) == wave_assessment.n_people == len(wave.test)
    contacted = 1 - wave_assessment.actions.get(CONTROL, 0) / len(wave.test)
    assert wave_assessment.policy("model").contacted_share == pytest.approx(contacted)


def test_random_and_likeliest_contact_whom_they_say(wave, wave_model, wave_assessment):
    may = wave_model.eligible(wave.test, wave.test["decided_at"]).allowed.any(axis=1)
    assert wave_assessment.policy("random").contacted_share == pytest.approx(may.mean())
    half = wave_assessment.policy("likeliest").contacted_share
    assert half == pytest.approx(wave_assessment.policy("one_action").contacted_share / 2, rel=0.1)


def test_values_of_all_policies_agree_with_the_truth_within_their_error(wave, wave_model, wave_assessment):
    truth = wave.program.truth.reactivation_probability.loc[wave.test["customer_id"], wave_model.actions]
    truth = truth.reset_index(drop=True)
    allowed = wave_model.eligible(wave.test, wave.test["decided_at"]).allowed
    policies = {
        "per_person": wave_model.choose(wave.test, wave.test["decided_at"], "per_person"),
        "one_action": wave_model.choose(wave.test, wave.test["decided_at"], "one_action"),
        "rules": rule_action(wave.test, wave_model.playbook, allowed),
    }
    for key, chosen in policies.items():
        true = policy_value(truth, chosen, np.full(len(chosen), CONTROL)).value * PEOPLE
        measured = wave_assessment.policy(key).reactivations
        assert abs(measured.value - true) < 3 * measured.standard_error, key


# ------------------------------------------------------------------------------------- judged only where it can be


def test_gains_are_judged_only_on_actions_that_had_a_chance():
    labels = ["a", "b"]
    effect = pd.DataFrame([[0.1, 0.9], [0.2, 0.1], [0.5, 0.4]], columns=labels)
    allowed = pd.DataFrame([[True, False], [True, True], [False, False]], columns=labels)
    scores = pd.DataFrame([[1.0, 4.0, 100.0], [0.5, 3.0, 100.0], [0.0, 100.0, 100.0]], columns=[CONTROL, *labels])
    held_out = scored("reactivations", scores, allowed)
    predicted, observed = _best_gains(effect, held_out)
    assert predicted.tolist() == [0.1, 0.2]
    assert observed.tolist() == [3.0, 2.5]


def test_no_policy_is_judged_on_what_was_never_served(wave, wave_model, wave_assessment):
    """People may get the best action, but the rule that served them never gave it to those in the north."""
    best = wave_model.evidence_.best_action
    chances = [f"probability_{a}" for a in wave_model.actions]
    without = (wave.test["region"] == "north").to_numpy()
    frame = wave.test.copy()
    frame.loc[without, f"probability_{best}"] = 0.0
    frame.loc[without, chances] = frame.loc[without, chances].div(frame.loc[without, chances].sum(axis=1), axis=0)
    frame = frame[~(without & (frame["action"] == best))]
    found = assess(wave_model, frame)
    only_north = assess(wave_model, frame[frame["region"] == "north"])
    assert wave_assessment.actions[best] > found.actions[best] > 0
    assert best not in only_north.actions


def test_only_people_who_could_get_something_are_judged(wave, wave_model, wave_assessment):
    allowed = wave_model.eligible(wave.test, wave.test["decided_at"]).allowed
    chances = wave.test[[f"probability_{a}" for a in allowed]].to_numpy()
    reachable = int((allowed.to_numpy() & (chances > 0)).any(axis=1).sum())
    assert wave_assessment.autoc.n == wave_assessment.qini.n == reachable
    assert sum(row["n"] for row in wave_assessment.effect_calibration) == reachable


def test_people_served_an_action_that_the_model_does_not_know_are_set_aside():
    frame = pd.DataFrame(
        {
            "action": ["control", "a", "new", "a"],
            "probability_control": 0.2,
            "probability_a": 0.3,
            "probability_new": 0.5,
        }
    )
    known, propensity = _known_actions(frame, ["control", "a"])
    assert known["action"].tolist() == ["control", "a", "a"]
    # given that it was one of the two
    assert propensity.to_numpy() == pytest.approx(np.tile([0.4, 0.6], (3, 1)))
    _, untouched = _known_actions(frame.drop(index=2).drop(columns="probability_new"), ["control", "a"])
    assert untouched["control"].tolist() == [0.2, 0.2, 0.2]


def test_an_older_model_without_the_newest_action_is_assessed_without_bias(wave, wave_model):
    dropped = wave_model.actions[-1]
    frame, propensity = _known_actions(wave.test, wave_model.actions[:-1])
    assert dropped not in set(frame["action"])
    assert propensity.sum(axis=1).to_numpy() == pytest.approx(1.0)
    # inverse weights of each action count everybody who remains once
    for action in propensity:
        could = propensity[action] > 0
        weight = ((frame["action"] == action) / propensity[action].where(could))[could]
        assert abs(weight.mean() - 1) < 4 * weight.std() / np.sqrt(len(weight))


# ------------------------------------------------------------------------------------------------------------- gate

N = 400
NOTHING_TOLD = Fit(False, 0.0, 0.0)


def gate(proposed, per_person, one_action, fit=NOTHING_TOLD, standing="nobody"):
    """The gate on people whose policies are worth this on average, with noise of standard error 0.05 each."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2, N))
    noise = (noise - noise.mean(axis=1, keepdims=True)) / noise.std(axis=1, keepdims=True)
    scores = pd.DataFrame({CONTROL: np.zeros(N), "a": one_action + noise[0], "b": per_person + noise[1]})
    chosen = {
        m: np.full(N, a, dtype=object) for m, a in [("nobody", CONTROL), ("one_action", "a"), ("per_person", "b")]
    }
    held_out = scored("expected_value", scores, scores)
    return grant(proposed, held_out, chosen, fit, standing)


@pytest.mark.parametrize(
    ("proposed", "per_person", "one_action", "granted", "why"),
    [
        ("nobody", 9.0, 9.0, "nobody", "Training found no effect"),
        ("one_action", 0.0, 0.5, "one_action", "Training found one action that pays"),
        ("one_action", 9.0, 0.05, "nobody", "cannot be told from nothing"),
        ("one_action", 9.0, -0.5, "nobody", "contact costs more than it brings"),
        ("per_person", 1.0, 0.5, "per_person", "did better on the held-out people"),
        ("per_person", 0.53, 0.5, "per_person", "as well as the same action for everybody, within chance"),
        ("per_person", 0.4, 0.5, "one_action", "did not do better"),
        ("per_person", 0.5, 0.5, "one_action", "did not do better"),
        ("per_person", 0.05, 0.02, "nobody", "cannot be told from nothing"),
        ("per_person", -1.0, 0.05, "nobody", "cannot be told from nothing"),
        ("per_person", 0.08, 0.12, "one_action", "did not do better"),
    ],
)
def test_gate(proposed, per_person, one_action, granted, why):
    found = gate(proposed, per_person, one_action)
    assert (found.proposed, found.granted) == (proposed, granted)
    assert why in found.why


def test_effects_that_come_closer_grant_a_choice_that_is_not_shown_to_be_worth_less():
    fit = Fit(True, 0.0, 0.0)
    closer = gate("per_person", 0.5, 0.5, fit)
    assert closer.granted == "per_person"
    assert "came closer to what happened" in closer.why
    assert gate("per_person", 0.3, 0.6, fit).granted == "one_action"
    assert gate("per_person", 0.02, 0.02, fit).granted == "nobody"


def test_a_choice_that_few_got_is_granted_where_it_pays_with_the_least_that_contact_was_shown_to_do():
    shown = Fit(True, 0.4, 0.01)
    found = gate("per_person", 0.05, 0.02, shown)
    assert found.granted == "per_person"
    assert "All kinds of contact together did at least 40% of what is expected of them" in found.why
    for fit in (Fit(True, 0.4, -0.01), Fit(True, -0.1, 0.01)):
        assert gate("per_person", 0.05, 0.02, fit).granted == "nobody"
    # nor where it lost as measured, or for an action that was the best of many
    assert gate("per_person", -0.01, -0.02, shown).granted == "nobody"
    assert gate("one_action", 0.05, 0.02, shown).granted == "nobody"


def test_where_choosing_per_person_is_not_shown_to_pay_the_same_action_for_everybody_is_asked():
    closer = Fit(True, 0.0, 0.0)
    found = gate("per_person", 0.06, 0.12, closer)
    assert found.granted == "one_action"
    assert "the same action for everybody is what remains" in found.why
    assert gate("per_person", 0.06, 0.08, closer).granted == "nobody"


@pytest.mark.parametrize(
    ("standing", "proposed", "per_person", "one_action", "granted"),
    [
        ("per_person", "per_person", 0.05, 0.02, "per_person"),
        ("per_person", "per_person", 0.02, 0.05, "per_person"),
        ("per_person", "per_person", -0.02, 0.12, "one_action"),
        ("per_person", "per_person", -0.15, -0.05, "one_action"),
        ("per_person", "per_person", -0.15, -0.15, "nobody"),
        ("per_person", "one_action", 9.0, 0.05, "one_action"),
        ("per_person", "nobody", 9.0, 9.0, "nobody"),
        ("one_action", "per_person", 0.05, 0.02, "one_action"),
        ("one_action", "per_person", 0.05, -0.15, "nobody"),
        ("one_action", "one_action", 9.0, 0.05, "one_action"),
        ("one_action", "one_action", 9.0, -0.15, "nobody"),
    ],
)
def test_what_was_granted_before_stands_unless_these_people_refute_it(
    standing, proposed, per_person, one_action, granted
):
    found = gate(proposed, per_person, one_action, standing=standing)
    assert found.granted == granted
    assert gate(proposed, per_person, one_action).granted == ("one_action" if one_action == 0.12 else "nobody")
    assert ("do not refute it" in found.why) is (granted != "nobody" and one_action != 0.12)


def test_where_nobody_would_get_another_action_the_gate_says_so():
    scores = pd.DataFrame({CONTROL: np.zeros(N), "a": np.linspace(0.4, 0.6, N)})
    all_a, nobody = np.full(N, "a", dtype=object), np.full(N, CONTROL, dtype=object)
    chosen = {"nobody": nobody, "one_action": all_a, "per_person": all_a}
    held_out = scored("expected_value", scores, scores)
    found = grant("per_person", held_out, chosen, NOTHING_TOLD)
    assert found.granted == "one_action"
    assert "another action than the rest" in found.why


def test_the_gate_grants_no_more_than_training_supports(wave, wave_model):
    modest = DecisionModel(wave_model.playbook)
    modest.__dict__.update(wave_model.__dict__)
    for mode in ("nobody", "one_action"):
        modest.evidence_ = SimpleNamespace(**{**wave_model.evidence_.__dict__, "supported_mode": mode})
        modest.mode = mode
        assert assess(modest, wave.test).gate.granted == mode


def test_net_values_in_the_model_and_in_the_assessment_follow_the_same_rule(wave, wave_model):
    predictions = wave_model.predict(wave.test, wave.test["decided_at"])
    by_rule = net_value(predictions.profit.to_numpy(), wave_model.actions, wave.test.index)
    pd.testing.assert_frame_equal(by_rule, predictions.net_value)


# --------------------------------------------------------------------------------------------- a mode that was asked


def test_the_policy_of_a_mode_is_assessed_whatever_these_people_grant(wave, wave_model, wave_assessment):
    for mode in ("per_person", "one_action", "nobody"):
        found = assess(wave_model, wave.test, mode=mode)
        assert found.gate == wave_assessment.gate
        assert found.policy("model").net_value == wave_assessment.policy(mode).net_value
        assert found.policy(mode).model_minus_this["net_value"].value == 0


# ------------------------------------------------------------------------------------------------------------ slopes


def test_slopes_come_with_the_slopes_of_the_tables(wave_assessment):
    for name, slope in (("propensity", wave_assessment.propensity_slope), ("effect", wave_assessment.effect_slope)):
        assert wave_assessment.slopes[name].value == pytest.approx(slope, rel=1e-9)


def test_an_assessment_of_an_older_version_has_no_slopes_and_can_be_read(wave_assessment):
    content = wave_assessment.to_json()
    del content["slopes"]
    assert Assessment.from_json(content).slopes == {}


# ------------------------------------------------------------------------------------------------------------ curves


def test_the_qini_curve_ends_at_contacting_all_whom_anything_may_reach(wave_assessment):
    curve, tenths = wave_assessment.curves.qini, wave_assessment.effect_calibration
    assert len(curve) <= 51
    assert curve[0]["gain"] == curve[0]["low"] == curve[0]["high"] == 0
    everybody = np.average([row["observed"] for row in tenths], weights=[row["n"] for row in tenths])
    assert curve[-1]["share"] == 1
    assert curve[-1]["gain"] == pytest.approx(1000 * everybody)
    assert curve[-1]["random"] == pytest.approx(curve[-1]["gain"])
    area = np.trapezoid([row["over_random"] for row in curve], [row["share"] for row in curve])
    assert area == pytest.approx(1000 * wave_assessment.qini.value, rel=0.02)
    assert all(row["low"] < row["gain"] < row["high"] for row in curve[1:])


def test_where_the_model_stops_spending_the_cost_curve_is_its_policy(wave_assessment):
    curves, policy = wave_assessment.curves, wave_assessment.policy("per_person")
    assert len(curves.budgets) <= 50
    (there,) = [row for row in curves.budgets if row["budget"] == curves.best_budget]
    assert there["spend"] == pytest.approx(policy.cost)
    assert there["contacted"] == pytest.approx(policy.contacted_share)
    for currency in ("reactivations", "net_value", "expected_value"):
        assert there[currency]["value"] == pytest.approx(getattr(policy, currency).value, rel=1e-6), currency
        assert there[currency]["low"] < there[currency]["value"] < there[currency]["high"]
    spends = [row["spend"] for row in curves.budgets]
    assert spends == sorted(spends)
    assert curves.budgets[0]["net_value"]["value"] == pytest.approx(0, abs=1e-9)


def test_an_assessment_of_an_older_version_has_no_curves_and_can_be_read(wave_assessment):
    content = wave_assessment.to_json()
    del content["curves"]
    assert Assessment.from_json(content).curves is None


def test_without_an_order_of_people_or_anything_to_buy_there_are_no_curves_and_why(wave, wave_model):
    people = held_out_people(wave_model, wave.test)
    nothing = replace(
        people,
        predicted_gain=np.zeros_like(people.predicted_gain),
        predictions=replace(people.predictions, net_value=people.predictions.net_value * 0 - 1e6),
    )
    curves = assess_people(wave_model, nothing).curves
    assert curves.qini == curves.budgets == []
    assert "same effect for everybody" in curves.no_qini
    assert "no action is predicted to bring anybody anything" in curves.no_budgets
    assert curves.best_budget is None


def test_the_slopes_error_is_that_of_robust_regression():
    import statsmodels.api as sm

    rng = np.random.default_rng(0)
    predicted = rng.gamma(2.0, 1.0, 500)
    observed = 0.5 + 0.8 * predicted + rng.normal(0, predicted)
    found = slope_estimate(predicted, observed)
    robust = sm.OLS(observed, sm.add_constant(predicted)).fit(cov_type="HC3")
    assert (found.value, found.standard_error) == pytest.approx((robust.params[1], robust.bse[1]))
    assert (found.low, found.high) == pytest.approx(tuple(robust.conf_int()[1]))
    assert slope_estimate(np.full(9, 0.1), np.arange(9.0)) is None
