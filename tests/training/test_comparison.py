"""Two models are compared in scores that favour neither, on what each would really do."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from propensity.assessment import assess
from propensity.errors import InputError
from propensity.frame import logged_propensity
from propensity.learners.recency import Recency
from propensity_training.comparison import compare, require_fit, require_known


def with_mode(model, mode):
    other = copy.copy(model)
    other.mode = mode
    return other


@pytest.fixture(scope="module")
def people(trained):
    return trained.split.held_out


@pytest.fixture(scope="module")
def book(trained):
    return trained.model.playbook


def test_a_model_against_itself_is_worth_exactly_nothing_more(trained, people, book):
    found = compare(trained.model, trained.model, people, book)
    assert (found.n_different, found.n_decisions) == (0, len(people))
    for estimate in found.difference.values():
        assert (estimate.value, estimate.low, estimate.high) == (0, 0, 0)
    assert found.challenger == found.champion


def test_against_contacting_nobody_it_is_worth_what_the_assessment_says(trained, people, book):
    found = compare(trained.model, with_mode(trained.model, "nobody"), people, book)
    assert found.n_different > 100
    policy = assess(trained.model, people, mode=trained.model.mode).policy("model")
    for currency in ("reactivations", "revenue", "net_value", "expected_value"):
        assert found.difference[currency] == pytest.approx(getattr(policy, currency))


def test_decisions_count_as_they_did_when_the_challenger_learnt_effects(wave, wave_model, small_playbook):
    older = np.arange(len(wave.test)) % 2 == 0
    later = wave.test["decided_at"] + pd.to_timedelta(np.where(older, 0, 600), unit="D")
    frame = wave.test.assign(decided_at=later, churned_at=later - (wave.test["decided_at"] - wave.test["churned_at"]))
    adapted, champion = with_mode(wave_model, "per_person"), with_mode(wave_model, "one_action")
    adapted.recency = Recency(60.0, None)
    found = compare(adapted, champion, frame, small_playbook)
    # ten half-lives ago a decision counts a thousandth: as if there were the newer ones alone
    alone = compare(adapted, champion, frame[~older].reset_index(drop=True), small_playbook)
    for currency in ("reactivations", "expected_value"):
        assert found.difference[currency].value == pytest.approx(alone.difference[currency].value, rel=0.02)
    assert found.difference["reactivations"].standard_error == pytest.approx(
        alone.difference["reactivations"].standard_error, rel=0.02
    )
    everybody = compare(champion, adapted, frame, small_playbook)
    assert -everybody.difference["reactivations"].value != pytest.approx(
        found.difference["reactivations"].value, rel=0.02
    )


def test_opt_outs_are_counted_by_contact(trained, people, book):
    """Reaching half of the people with the same action makes fewer opt out, and no fewer by contact."""
    half = copy.copy(trained.model)
    half.eligible = lambda customers, at: _half(trained.model.eligible(customers, at))
    found = compare(trained.model, half, people, book)
    assert found.n_different > 300
    chosen = np.where(_half(trained.model.eligible(people, people["decided_at"])).allowed.any(axis=1), 1, 0)
    assert 0.3 < chosen.mean() < 0.6
    by_contact = found.unsubscribed_by_contact
    expected = found.challenger["unsubscribed"].value / share(trained.model, people)
    expected -= found.champion["unsubscribed"].value / share(half, people)
    assert by_contact.value == pytest.approx(expected)
    # opt-outs are rare: the error is at least what follows from their chances, with each contact's own weight
    model = trained.model
    predicted = model.predict(people, people["decided_at"]).unsubscribed.clip(0, 1)
    chances = logged_propensity(people, model.actions)
    varies = (predicted * (1 - predicted) / chances).where(chances > 0, 0.0).to_numpy()
    policies = [each.choose(people, people["decided_at"]) for each in (model, half)]
    served = [(p[:, None] == np.array(model.actions, dtype=object)).astype(float) for p in policies]
    none = (np.array(model.actions) == "control").astype(float)
    counted = [(each - none) / share(m, people) for each, m in zip(served, (model, half), strict=True)]
    least = np.sqrt(((counted[0] - counted[1]) ** 2 * varies).sum()) / len(people) * 1000
    assert by_contact.standard_error >= least * (1 - 1e-9)
    nobody_left = compare(model, half, people.assign(unsubscribed=0.0), book).unsubscribed_by_contact
    assert nobody_left.standard_error == pytest.approx(least)
    assert compare(trained.model, with_mode(trained.model, "nobody"), people, book).unsubscribed_by_contact is None


def _half(eligibility):
    return replace(eligibility, allowed=eligibility.allowed & (np.arange(len(eligibility.allowed)) % 2 == 0)[:, None])


def share(model, people):
    return (model.choose(people, people["decided_at"]) != "control").mean()


def test_the_other_way_round_every_sign_turns(wave, wave_model, small_playbook):
    one, other = with_mode(wave_model, "per_person"), with_mode(wave_model, "one_action")
    found = compare(one, other, wave.test, small_playbook).difference
    turned = compare(other, one, wave.test, small_playbook).difference
    for currency, estimate in found.items():
        assert estimate.standard_error > 0
        assert (turned[currency].value, turned[currency].low) == pytest.approx((-estimate.value, -estimate.high))


def test_the_order_of_people_does_not_matter(wave, wave_model, small_playbook):
    models = with_mode(wave_model, "per_person"), with_mode(wave_model, "one_action")
    shuffled = wave.test.sample(frac=1, random_state=0).reset_index(drop=True)
    found, again = (compare(*models, frame, small_playbook).difference for frame in (wave.test, shuffled))
    for currency in found:
        assert found[currency] == pytest.approx(again[currency])


def test_the_interval_holds_the_truth(wave, wave_model, small_playbook):
    """What the two policies really bring, by the simulation's own chances of coming back."""
    one, other = with_mode(wave_model, "per_person"), with_mode(wave_model, "nobody")
    found = compare(one, other, wave.test, small_playbook).difference["reactivations"]
    chance = wave.program.truth.reactivation_probability.loc[wave.test["customer_id"]]
    chosen = one.choose(wave.test, wave.test["decided_at"])
    rows = np.arange(len(chosen))
    truth = (chance.to_numpy()[rows, chance.columns.get_indexer(chosen)] - chance["control"].to_numpy()).mean() * 1_000
    assert abs(found.value - truth) < 3 * found.standard_error
    assert truth > 3 * found.standard_error


def test_an_action_that_only_one_knows_is_judged_by_the_one(wave, wave_model, small_playbook):
    """A champion that never learnt an action is as one that never chooses it."""
    unknown = wave_model.actions[1]
    ignorant = copy.deepcopy(wave_model)
    columns = [a for a in wave_model.actions if a != unknown]
    full = wave_model.predict

    def predict(customers, at):
        found = full(customers, at)
        for name in ("reactivated", "revenue", "unsubscribed", "profit"):
            object.__setattr__(found, name, getattr(found, name)[columns])
        for name in ("effect", "net_value"):
            object.__setattr__(found, name, getattr(found, name)[columns[1:]])
        return found

    ignorant.actions, ignorant.mode, ignorant.predict = columns, "per_person", predict
    ignorant.amount.factors_ = ignorant.amount.factors_[[a != unknown for a in wave_model.actions]]
    found = compare(with_mode(wave_model, "per_person"), ignorant, wave.test, small_playbook)
    reach = (wave_model.choose(wave.test, wave.test["decided_at"], "per_person") == unknown).sum()
    assert found.n_different == reach > 0
    with pytest.raises(InputError, match=f"contacts.action: {unknown} was never learnt by either model"):
        compare(ignorant, ignorant, wave.test, small_playbook)


def test_an_unknown_action_is_named_with_the_known_ones():
    require_known({"control", "a"}, {"control", "a", "b"}, "x/1")
    with pytest.raises(InputError, match=r"c, d was never learnt by x/1 \(known: a, b\)"):
        require_known({"d", "c", "a"}, {"control", "a", "b"}, "x/1")


def test_data_of_another_playbook_or_without_its_columns_are_refused(trained, people, book):
    require_fit(trained.model, "x/1", book, people)
    with pytest.raises(InputError, match=r"^playbook big: x/1 was made for playbook small; name a model of big"):
        require_fit(trained.model, "x/1", book.model_copy(update={"name": "big"}), people)
    with pytest.raises(InputError, match=r"customers: lack plan_tier, which x/1 learnt from"):
        require_fit(trained.model, "x/1", book, people.drop(columns="plan_tier"))
