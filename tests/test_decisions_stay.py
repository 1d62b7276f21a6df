"""A decision does not depend on who is decided on beside a person, nor on how the table of people was made."""

from __future__ import annotations

import copy
import json

import numpy as np
import pandas as pd
import pytest

from propensity.contract import CONTROL
from propensity.deciding import Wave
from propensity.decision import DECISION_COLUMNS
from propensity.ledger import decision_answers
from propensity.model import DecisionModel
from propensity.playbook import Playbook
from propensity_serving.requests import check_customers

N_TOGETHER = 3_000
N_ALONE = 60
ZONES = ("Europe/Berlin", "Asia/Tokyo", None, "Australia/Lord_Howe")


def demanding(book: Playbook) -> Playbook:
    """A playbook with every kind of rule in use."""
    content = book.model_dump(mode="json")
    content["name"] = "demanding"
    content["tiers"]["mass"]["only_channels"] = ["email", "in_app", "push"]
    content["changes"] = [
        {"on": "2026-01-15", "what": "release", "closes": ["product_gap", "service_problem"]},
        {"on": "2025-11-15", "what": "price", "where": {"account_access": ["true"], "relationship": ["amicable"]}},
    ]
    content["sequence"] = [{"channels": ["email"]}, {"channels": ["in_app", "push"], "after_days": 7}]
    content["archetypes"]["we_got_better"]["needs_change"] = True
    content["archetype_rules"] = [
        {"archetype": "we_got_better", "reasons": ["price"], "competitor": True, "changed": True},
        {"archetype": "circumstances_changed", "relationships": ["amicable"]},
    ]
    content["actions"]["fit_in_app_downgrade"]["only"] = {"value_tier": ["segment", "individual"]}
    content["actions"]["miss_you_push_points"]["only"] = {"engagement": ["low", "unknown"], "consent_email": ["true"]}
    return Playbook.model_validate(content)


@pytest.fixture(scope="module")
def customers(wave):
    """With zones and answers, and things missing in columns that may lack them."""
    rng = np.random.default_rng(1)
    people = wave.program.customers.head(N_TOGETHER)
    people = people.assign(time_zone=[ZONES[i % len(ZONES)] for i in range(len(people))])
    people["exit_answer"] = [(None, "too expensive", "???")[i % 3] for i in range(len(people))]
    for name in ("annual_value", "region", "relationship", "competitor", "consent_email", "account_access"):
        people[name] = people[name].mask(rng.random(len(people)) < 0.1)
    return people


@pytest.fixture(scope="module", params=["default", "demanding"])
def decider(request, wave_model):
    """Decides for each person by what is predicted of them, under either playbook."""
    model = copy.copy(wave_model)
    model.mode = "per_person"
    return model if request.param == "default" else model.under(demanding(model.playbook))


@pytest.fixture(params=["fresh", "after contacts"])
def known(request, wave):
    """When it is decided, and what is known besides the customers' rows."""
    program = wave.program
    at = program.contacts["decided_at"].max()
    if request.param == "fresh":
        return at, {}
    suppressed = set(program.customers["customer_id"].iloc[::97])
    later = at + pd.Timedelta(days=24, hours=13)
    return later, {"contacts": program.contacts, "outcomes": program.outcomes, "suppressed": suppressed}


def assert_same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    # many people are scored by other sums than few; what follows from the scores is the same
    one, other = (table.astype(object).where(table.notna(), None) for table in (one, other))
    pd.testing.assert_frame_equal(one, other, rtol=1e-9, atol=1e-12)


def test_one_at_a_time_is_as_in_a_batch(decider, customers, known):
    at, facts = known
    together, chances = Wave(decider, customers, at, "spring", **facts).decide()
    assert len(set(together["assignment"])) >= 4 or not facts
    assert together["send"].any()
    assert together["next_action"].notna().any() == (decider.playbook.name == "demanding")
    picked = np.random.default_rng(2).choice(len(customers), N_ALONE, replace=False)
    alone = [Wave(decider, customers.iloc[[i]], at, "spring", **facts).decide() for i in picked]
    assert_same(pd.concat([d for d, _ in alone]), together.iloc[picked])
    assert_same(pd.concat([p for _, p in alone]), chances.iloc[picked])


def test_one_at_a_time_is_as_in_a_batch_on_a_waves_terms(decider, customers, known):
    at, facts = known
    whole = Wave(decider, customers, at, "spring", **facts)
    terms = whole.plan(whole.limits(1.0, 300.0)).terms
    assert any(terms.prices.values())
    together, chances = whole.decide((), terms)
    picked = np.random.default_rng(3).choice(len(customers), N_ALONE, replace=False)
    alone = [Wave(decider, customers.iloc[[i]], at, "spring", **facts).decide((), terms) for i in picked]
    assert_same(pd.concat([d for d, _ in alone]), together.iloc[picked])
    assert_same(pd.concat([p for _, p in alone]), chances.iloc[picked])


def test_neither_order_nor_index_matters(decider, customers, known):
    at, facts = known
    usual = Wave(decider, customers, at, "spring", **facts).decide()[0]
    mixed = customers.sample(frac=1, random_state=5)
    assert_same(Wave(decider, mixed, at, "spring", **facts).decide()[0].loc[usual.index], usual)


def test_a_request_decides_as_the_table_does(decider, customers):
    some = customers.head(300)
    at = some["as_of"].max() + pd.Timedelta(hours=2)
    rows = json.loads(some.to_json(orient="records", date_format="iso", date_unit="us"))
    checked = check_customers(rows, decider.playbook, at)
    assert not checked.faults
    of_table, of_rows = (Wave(decider, people, at, "spring").decide()[0] for people in (some, checked.people))
    assert_same(of_rows, of_table.reset_index(drop=True))


def test_answers_of_columns_are_those_of_the_table(decider, customers, known):
    at, facts = known
    decided = Wave(decider, customers.head(200), at, "spring", **facts).decisions()
    answers = decision_answers(decided.columns)
    assert answers == decision_answers(decided.table)
    assert all(list(answer) == list(DECISION_COLUMNS) for answer in answers)
    assert json.loads(json.dumps(answers, allow_nan=False)) == answers
    assert {type(a["send"]) for a in answers} == {bool}
    assert all(
        a["not_before"].endswith("Z") and (a["next_action"] is None) == (a["next_not_before"] is None) for a in answers
    )


def test_chances_sum_to_one_and_are_what_is_told(decider, customers, known):
    at, facts = known
    decisions, chances = Wave(decider, customers, at, "spring", **facts).decide()
    assert list(chances) == [CONTROL, *decider.actions[1:]]
    np.testing.assert_allclose(chances.sum(axis=1), 1.0)
    own = chances.to_numpy()[np.arange(len(chances)), chances.columns.get_indexer(pd.Index(decisions["action"]))]
    np.testing.assert_array_equal(own, decisions["probability"])


def test_a_prepared_model_scores_few_as_it_scores_many(wave_model_saved, customers, known):
    at, facts = known
    some = customers.head(200)
    usual, prepared = (DecisionModel.load(wave_model_saved) for _ in range(2))
    prepared.prepare()
    pd.testing.assert_frame_equal(
        Wave(usual, some, at, "spring", **facts).decide()[0],
        Wave(DecisionModel.load(wave_model_saved), some, at, "spring", **facts).decide()[0],
        check_exact=True,
    )
    assert_same(*(Wave(model, some, at, "spring", **facts).decide()[0] for model in (usual, prepared)))
