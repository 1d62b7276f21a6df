"""The decision model: from a training frame to decisions, saved and loaded, held back and honest."""

from __future__ import annotations

import json
import pickle
import pickletools
import shutil

import numpy as np
import pandas as pd
import pytest
from simulated_waves import simulated_wave

from propensity.assessment import assess
from propensity.contract import CONTROL
from propensity.decision import DECISION_COLUMNS
from propensity.errors import InputError
from propensity.model import MODES, DecisionModel
from propensity.policy import decision_keys, eligibility, is_held_out, profit, rule_action, window_number

AT = pd.Timestamp("2026-03-20T08:00Z")
PART_COLUMNS = ["archetype", "channel", "offer"]


@pytest.fixture(scope="module")
def customers(wave):
    return wave.program.customers.iloc[:1500].set_index(np.arange(1500) * 2 + 1)


@pytest.fixture(scope="module")
def decisions(wave_model, customers):
    return wave_model.decide(customers, at=AT, campaign="spring")


@pytest.fixture
def copy(wave_model_saved):
    """A model that a test may change."""
    return DecisionModel.load(wave_model_saved)


def true_value(program, model, customers, chosen):
    """True profit a person above no contact, in currency."""
    truth = program.truth
    parts = [
        table.loc[customers["customer_id"], model.actions].to_numpy()
        for table in (truth.expected_revenue, truth.reactivation_probability, truth.unsubscribe_probability)
    ]
    profits = profit(*parts, model.playbook, model.actions)
    column = pd.Index(model.actions).get_indexer(pd.Index(chosen))
    return (profits[np.arange(len(chosen)), column] - profits[:, 0]).mean()


# ------------------------------------------------------------------------------------------------------- learning


def test_an_action_that_stopped_working_is_not_what_everybody_gets(wave, small_playbook):
    """One action brought twelve in a hundred back until four months ago, the other does since."""
    rng = np.random.default_rng(0)
    n, (first, since) = 9_000, list(small_playbook.actions)[:2]
    before = rng.random(n) < 0.6
    later = pd.to_timedelta(np.where(before, rng.integers(0, 270, n), rng.integers(270, 400, n)), unit="D")
    frame = wave.train.iloc[:n].drop(columns=[c for c in wave.train if c.startswith("probability")])
    served = rng.integers(0, 3, n)
    works = ((served == 1) & before) | ((served == 2) & ~before)
    frame = frame.assign(
        action=np.array([CONTROL, first, since], dtype=object)[served],
        probability=1 / 3,
        reactivated=(rng.random(n) < 0.03 + 0.12 * works).astype(float),
        unsubscribed=0.0,
        **{f"probability_{action}": 1 / 3 for action in (CONTROL, first, since)},
        **{name: frame[name] + later for name in ("decided_at", "as_of", "churned_at") if name in frame},
    )
    frame["revenue"] = frame["reactivated"] * 100.0
    model = DecisionModel(small_playbook).fit(frame)
    assert model.recency.half_life_days is not None
    assert model.evidence_.best_action == since
    averages = dict(zip(model.actions[1:], model.reactivation.averages_.shrunk, strict=True))
    assert averages[since] > averages[first] + 0.05
    found = model.evidence_.average_outcomes["reactivated"]
    assert found[since] - found[first] == pytest.approx(averages[since] - averages[first], abs=0.01)


# ------------------------------------------------------------------------------------------------------ decisions


def test_decisions_have_the_published_columns_and_the_order_of_the_customers(decisions, customers):
    assert tuple(decisions.columns) == DECISION_COLUMNS
    assert decisions.index.equals(customers.index)
    assert (decisions["customer_id"].to_numpy() == customers["customer_id"].to_numpy()).all()
    assert decisions["decision_id"].tolist() == decision_keys(customers["customer_id"], "spring", window_number(AT, 30))


def test_who_gets_nothing_costs_nothing(decisions):
    silent = decisions[decisions["action"] == CONTROL]
    assert len(silent) > 100
    assert not silent["send"].any()
    assert (silent["cost"] == 0).all()
    assert silent[[*PART_COLUMNS, "brief"]].isna().all().all()


def test_who_gets_something_is_told_what_and_at_what_cost(decisions, small_playbook):
    sent = decisions[decisions["send"]]
    assert set(sent["assignment"]) == {"policy", "explore"}
    for row in sent.itertuples():
        action = small_playbook.actions[row.action]
        assert (row.archetype, row.channel, row.offer) == (action.archetype, action.channel, action.offer)
        assert row.cost == small_playbook.channels[action.channel].cost_currency


def test_held_out_people_get_nothing_whatever_they_are_worth(decisions, customers, small_playbook):
    held = is_held_out(customers["customer_id"], "spring", small_playbook.learning)
    assert held.sum() > 50
    assert not decisions.loc[held, "send"].any()
    reached = held & (decisions["assignment"] == "holdout")
    assert (decisions.loc[reached, "net_value"] > 0).any()
    assert all(codes[0] == "held_out_to_measure" for codes in decisions.loc[reached, "reason_codes"])


def test_nobody_gets_what_the_rules_forbid(decisions, customers, small_playbook):
    found = eligibility(customers, small_playbook, AT)
    sent = decisions[decisions["send"]]
    assert all(found.allowed.loc[i, action] for i, action in sent["action"].items())
    stopped = found.stopped_by.notna()
    assert set(decisions.loc[stopped, "assignment"]) == {"suppressed"}
    assert (decisions.loc[stopped, "probability"] == 1).all()
    rules = decisions.loc[stopped, "reason_codes"].str[0]
    assert (rules == found.stopped_by[stopped]).all()


def test_suppressed_people_get_nothing(wave_model, customers, decisions):
    ids = decisions.loc[decisions["send"], "customer_id"].tolist()[:50]
    again = wave_model.decide(customers, at=AT, campaign="spring", suppressed=ids)
    assert (again.loc[again["customer_id"].isin(ids), "assignment"] == "suppressed").all()
    others = ~again["customer_id"].isin(ids)
    pd.testing.assert_frame_equal(again[others], decisions[others])


def test_by_policy_people_get_what_is_worth_most_of_what_they_may_get(wave_model, customers, decisions):
    assert wave_model.mode == "per_person"
    values = wave_model.predict(customers, AT).net_value
    best = values.where(wave_model.eligible(customers, AT).allowed, -np.inf)
    by_policy = decisions[(decisions["assignment"] == "policy") & decisions["send"]]
    assert (best.loc[by_policy.index].idxmax(axis=1) == by_policy["action"]).all()
    assert (by_policy["net_value"] > 0).all()
    assert by_policy["net_value"].to_numpy() == pytest.approx(best.loc[by_policy.index].max(axis=1).to_numpy())
    assert by_policy["action"].nunique() > 1


def test_intervals_hold_the_uplift_and_chances_are_chances(decisions):
    assert (decisions["uplift_low"] <= decisions["uplift"]).all()
    assert (decisions["uplift"] <= decisions["uplift_high"]).all()
    assert decisions["reactivation_propensity"].between(0, 1).all()
    assert decisions["probability"].between(0, 1, inclusive="right").all()
    assert (decisions["expires_at"] > AT).all()
    assert (decisions["expires_at"] <= AT + pd.Timedelta(days=30)).all()


def test_deciding_twice_is_deciding_once_and_a_person_alone_is_a_person_in_a_wave(wave_model, customers, decisions):
    few = customers.iloc[[700, 3, 1499]]
    pd.testing.assert_frame_equal(
        wave_model.decide(few, at=AT, campaign="spring"), decisions.loc[few.index], check_dtype=False
    )
    later = wave_model.decide(few, at=AT + pd.Timedelta(hours=1), campaign="spring")
    assert (later["decision_id"] == decisions.loc[few.index, "decision_id"]).all()
    assert (later["action"] == decisions.loc[few.index, "action"]).all()


def test_a_dry_run_decides_the_same_and_cannot_be_recorded(wave_model, customers, decisions):
    dry = wave_model.decide(customers, at=AT, campaign="spring", dry_run=True)
    assert dry["decision_id"].isna().all()
    pd.testing.assert_frame_equal(dry.drop(columns="decision_id"), decisions.drop(columns="decision_id"))


def test_customers_may_lack_what_may_be_missing(wave_model, customers):
    bare = customers[["customer_id", "as_of", "churned_at", "consent_email"]].iloc[:50]
    decided = wave_model.decide(bare, at=AT)
    assert len(decided) == 50
    assert set(decided["channel"].dropna()) <= {"email"}
    assert np.isfinite(decided["uplift"]).all()


# ---------------------------------------------------------------------------------------------------------- modes


def test_restrict_never_widens(copy):
    copy.restrict("nobody")
    copy.restrict("per_person")
    copy.restrict("one_action")
    assert copy.mode == "one_action"
    for supported, asked in [("one_action", "per_person"), ("nobody", "one_action"), ("nobody", "per_person")]:
        object.__setattr__(copy.evidence_, "supported_mode", supported)
        copy.mode = supported
        with pytest.raises(ValueError, match=f"mode: expected at most '{supported}', found '{asked}'"):
            copy.restrict(asked)
        assert copy.mode == supported
    assert MODES == ("nobody", "one_action", "per_person")


def test_mode_nobody_contacts_nobody_but_to_learn(copy, customers):
    copy.restrict("nobody")
    decided = copy.decide(customers, at=AT, campaign="spring")
    assert set(decided.loc[decided["send"], "assignment"]) == {"explore"}
    assert 0 < decided["send"].mean() < 2 * copy.playbook.learning.explore_share
    by_policy = decided[decided["assignment"] == "policy"]
    assert all(codes == ["no_effect_found"] for codes in by_policy["reason_codes"])
    assert (copy.choose(customers, AT) == CONTROL).all()


def test_mode_one_action_sends_everybody_the_best_on_average_that_they_may_get(copy, customers):
    copy.restrict("one_action")
    ranked = pd.Series(copy.evidence_.shrunk_net_value).sort_values(ascending=False)
    assert ranked.index[0] == copy.evidence_.best_action
    pays = list(ranked.index[ranked > 0])
    allowed = copy.eligible(customers, AT).allowed
    expected = [next((a for a in pays if allowed.loc[i, a]), CONTROL) for i in customers.index]
    assert copy.choose(customers, AT).tolist() == expected
    decided = copy.decide(customers, at=AT)
    by_policy = decided["assignment"] == "policy"
    assert (decided.loc[by_policy, "action"] == np.array(expected)[by_policy]).all()


def test_without_any_effect_nobody_is_contacted(small_playbook):
    nothing = simulated_wave(6000, small_playbook, seed=1, effect_scale=0.0)
    model = DecisionModel(small_playbook).fit(nothing.train)
    gate = assess(model, nothing.test).gate
    assert gate.granted == "nobody"
    assert model.evidence_.supported_mode == "nobody"
    assert gate.why == "Training found no effect of contact that covers its cost, so nobody is contacted."


@pytest.mark.slow
def test_with_strong_effects_the_model_is_truly_worth_more_than_the_rule_playbook(wave, wave_model, wave_assessment):
    customers, at = wave.unseen_customers, wave.test["decided_at"].iloc[0]
    granted = wave_model.choose(customers, at, wave_assessment.gate.granted)
    rules = rule_action(customers, wave_model.playbook, wave_model.eligible(customers, at).allowed)
    model_value, rule_value = (true_value(wave.program, wave_model, customers, c) for c in (granted, rules))
    assert wave_assessment.gate.granted != "nobody"
    assert model_value > 1.1 * rule_value
    one_action = wave_model.choose(customers, at, "one_action")
    assert model_value > true_value(wave.program, wave_model, customers, one_action)
    measured = wave_assessment.policy("model").net_value
    assert abs(measured.value / 1000 - model_value) < 3 * measured.standard_error / 1000


def test_effects_are_close_to_the_truth_on_average(wave, wave_model):
    truth = wave.program.truth.reactivation_probability.loc[wave.train["customer_id"]]
    averages = wave_model.reactivation.averages_
    for a, label in enumerate(wave_model.actions[1:]):
        could = (wave.train[f"probability_{label}"] > 0).to_numpy()
        true = (truth[label] - truth[CONTROL])[could].mean()
        assert abs(averages.measured[a] - true) < 3.5 * averages.standard_error[a]


def test_chances_of_coming_back_rank_people_as_the_truth_does(wave, wave_model):
    customers, at = wave.unseen_customers, wave.test["decided_at"].iloc[0]
    predicted = wave_model.predict(customers, at).reactivated[CONTROL]
    truth = wave.program.truth.reactivation_probability.loc[customers["customer_id"], CONTROL]
    assert pd.Series(predicted.to_numpy()).corr(pd.Series(truth.to_numpy()), method="spearman") > 0.2


# --------------------------------------------------------------------------------------------------- saved, loaded


def test_a_loaded_model_decides_the_same(copy, decisions, customers, wave_model):
    pd.testing.assert_frame_equal(copy.decide(customers, at=AT, campaign="spring"), decisions, check_exact=True)
    assert copy.evidence_ == wave_model.evidence_
    assert copy.playbook == wave_model.playbook


def test_saving_again_changes_nothing(copy, wave_model_saved, tmp_path):
    copy.save(tmp_path / "again")
    files = {p.relative_to(wave_model_saved): p.read_bytes() for p in wave_model_saved.rglob("*") if p.is_file()}
    again = {p.relative_to(tmp_path / "again"): p.read_bytes() for p in (tmp_path / "again").rglob("*") if p.is_file()}
    assert files == again


def test_what_is_saved_is_text_and_never_a_pickle(wave_model_saved, monkeypatch):
    files = [p for p in wave_model_saved.rglob("*") if p.is_file()]
    assert {p.suffix for p in files} == {".json", ".txt"}
    for file in files:
        file.read_text(encoding="utf-8")
        with pytest.raises((ValueError, IndexError, UnicodeDecodeError)):
            list(pickletools.genops(file.read_bytes()))

    def refuse(*_args, **_kwargs):
        raise AssertionError("unpickled something")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    DecisionModel.load(wave_model_saved)


@pytest.mark.parametrize("name", ["model.json", "boosters/000.txt"])
def test_a_file_that_was_changed_is_refused(wave_model_saved, tmp_path, name):
    directory = tmp_path / "tampered"
    shutil.copytree(wave_model_saved, directory)
    file = directory / name
    file.write_text(file.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=f"{name} is not the file that was saved; train again"):
        DecisionModel.load(directory)


@pytest.mark.parametrize("name", ["manifest.json", "model.json", "boosters/000.txt"])
def test_a_file_that_is_missing_is_named(wave_model_saved, tmp_path, name):
    directory = tmp_path / "incomplete"
    shutil.copytree(wave_model_saved, directory)
    (directory / name).unlink()
    with pytest.raises(InputError, match=f"{name} cannot be read"):
        DecisionModel.load(directory)


def test_the_manifest_names_every_other_file(wave_model_saved):
    named = set(json.loads((wave_model_saved / "manifest.json").read_text(encoding="utf-8")))
    there = {str(p.relative_to(wave_model_saved)) for p in wave_model_saved.rglob("*") if p.is_file()}
    assert named == there - {"manifest.json"}


# ------------------------------------------------------------------------------------------------------- revenue


@pytest.fixture(scope="module")
def direct(wave, small_playbook):
    """A model that learns revenue itself, on few people and two actions."""
    keep = ["fit_in_app_downgrade", "miss_you_push_points"]
    book = small_playbook.model_copy(
        update={
            "actions": {k: small_playbook.actions[k] for k in keep},
            "value": small_playbook.value.model_copy(update={"revenue_effect": "direct"}),
        }
    )
    wave = simulated_wave(3000, book, seed=2, effect_scale=1.0)
    return wave, DecisionModel(book).fit(wave.train)


def test_revenue_may_be_learnt_directly(direct, tmp_path):
    wave, model = direct
    model.save(tmp_path / "direct")
    loaded = DecisionModel.load(tmp_path / "direct")
    customers = wave.unseen_customers
    first, second = model.predict(customers, AT), loaded.predict(customers, AT)
    pd.testing.assert_frame_equal(first.net_value, second.net_value, check_exact=True)
    revenue = model.revenue.effect(model.effect_features(customers, AT))
    for action in model.actions[1:]:
        gained = first.revenue[action] - first.revenue[CONTROL]
        assert gained.to_numpy() == pytest.approx(revenue[action].to_numpy())
    assert assess(model, wave.test).policy("nobody").net_value.value == 0


def test_an_action_that_training_never_saw_is_never_sent(direct):
    wave, model = direct
    few = DecisionModel(model.playbook)
    few.__dict__.update(model.__dict__)
    few.playbook = simulated_playbook_with_more(model.playbook)
    decided = few.decide(wave.unseen_customers, at=AT)
    assert set(decided["action"]) <= set(model.actions)
    keys = [p.key for p in assess(few, wave.test).policies]
    assert keys == ["model", "per_person", "one_action", "likeliest", "rules", "random", "nobody"]


def simulated_playbook_with_more(book):
    new = book.actions["miss_you_push_points"].model_copy(update={"channel": "email"})
    return book.model_copy(update={"actions": {"a_new_action": new, **book.actions}})


def test_a_saved_model_keeps_its_playbook_and_the_order_of_its_actions(wave_model, copy, tmp_path):
    book = wave_model.playbook
    mixed = book.model_copy(update={"actions": dict(reversed(book.actions.items()))})
    copy.playbook = mixed
    copy.save(tmp_path / "mixed")
    loaded = DecisionModel.load(tmp_path / "mixed").playbook
    assert list(loaded.actions) == list(mixed.actions)
    assert loaded.version == mixed.version != book.version
