"""What the ledger says of a time, in both databases."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from propensity.contract import PROBABILITY_PREFIX

WEEK = pd.Timedelta(days=7)


@pytest.fixture(scope="module")
def people(small_dataset):
    return small_dataset.customers.drop_duplicates("customer_id").head(60).reset_index(drop=True)


@pytest.fixture
def at(people):
    return people["as_of"].max() + pd.Timedelta(days=60)


@pytest.fixture
def filled(ledger, small_model, people, at):
    """Forty people in the first week, the last forty of sixty in the next campaign's, a week later."""
    for who, when, campaign in ((people.head(40), at, "one"), (people.tail(40), at + WEEK, "two")):
        who = who.reset_index(drop=True)
        decisions, probabilities = small_model.decide_with_probabilities(who, at=when, campaign=campaign)
        ledger.add_decisions(decisions, when, probabilities, customers=who)
    event = {"event_id": "e", "source": "till", "customer_id": people["customer_id"].iloc[30], "type": "reactivated"}
    times = [at - WEEK, at + WEEK, at + 2 * WEEK]
    ledger.add_outcomes(pd.DataFrame([{**event, "event_id": f"e{k}", "at": t} for k, t in enumerate(times)]))
    return ledger


def test_decisions_of_a_time_with_their_chances_and_versions(filled, small_model, people, at):
    found = filled.taken(at, at + WEEK)
    assert set(found["customer_id"]) == set(people["customer_id"].head(40))
    assert set(found["playbook_version"]) == {small_model.playbook.version}
    assert set(found["model_version"]) == {small_model.version}
    np.testing.assert_allclose(found[[PROBABILITY_PREFIX + a for a in small_model.actions]].sum(axis=1), 1)
    standing = filled.standing(found["decision_id"].tolist())
    assert [json.loads(told) for told in found["reason_codes"]] == [
        standing[key]["reason_codes"] for key in found["decision_id"]
    ]
    sent = found["action"] != "control"
    assert sent.any()
    assert (found.loc[sent, "not_before"] >= at).all()
    assert filled.taken(at, at + WEEK, "two").empty


def test_who_was_decided_on_before_in_any_campaign_is_known(filled, people, at):
    found = filled.taken(at + WEEK, at + 2 * WEEK, "two")
    again = found["customer_id"].isin(people["customer_id"].head(40))
    assert again.sum() == 20
    assert (found.loc[again, "first_decided_at"] == at).all()
    assert (found.loc[~again, "first_decided_at"] == at + WEEK).all()


def test_people_and_events_of_a_time(filled, people, at):
    assert set(filled.people_of(at + WEEK, at + 2 * WEEK)["customer_id"]) == set(people["customer_id"].tail(40))
    assert filled.events_of(at, at + 2 * WEEK)["event_id"].tolist() == ["e1"]


def test_of_the_erased_no_snapshot_is_left(filled, people, at):
    gone = people["customer_id"].iloc[0]
    filled.erase(gone)
    assert len(filled.people_of(at, at + WEEK)) == 39
    found = filled.taken(at, at + WEEK)
    assert len(found) == 40
    assert found["model_version"].isna().sum() == 1


def test_a_time_without_decisions(filled, at):
    assert filled.taken(at - 2 * WEEK, at - WEEK).empty
    assert filled.people_of(at - 2 * WEEK, at - WEEK).empty
    assert filled.events_of(at - 2 * WEEK, at - WEEK).empty
