"""Whoever must not be contacted any more is not, from the next call on."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest
from reports import AT, decide, events, person, problem, statuses

from propensity import contract
from propensity.frame import training_frame
from propensity.playbook import Playbook
from propensity.triggers import due


def suppress(client, body: object) -> dict:
    response = client.post("/v1/suppressions", json=body)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("reason", [None, "unsubscribed", "requested", "complained", "excluded"])
def test_it_holds_from_the_next_call_on_and_against_decisions_that_stand(client, reason):
    assert [d["send"] for d in decide(client, "anna", "bert")] == [True, True]
    receipt = suppress(client, {"customer_id": "anna", "reason": reason})
    assert receipt["results"] == [{"customer_id": "anna", "status": "accepted"}]
    assert [d["send"] for d in decide(client, "anna", "bert")] == [False, True]


def test_people_nobody_has_heard_of_are_suppressed_too(client):
    suppress(client, [{"customer_id": "anna"}, {"customer_id": 42, "channel": "email"}])
    found = decide(client, "anna", "42", "bert")
    assert [d["assignment"] for d in found[:2]] == ["suppressed", "suppressed"]
    assert found[2]["send"] is True


def test_told_again_it_changes_nothing(client, ledger):
    first = {"customer_id": "anna", "reason": "unsubscribed", "at": AT}
    assert statuses(suppress(client, [first, {"customer_id": "anna", "reason": "requested"}])) == [
        "accepted",
        "duplicate",
    ]
    assert statuses(suppress(client, {"customer_id": "anna"})) == ["duplicate"]
    (event,) = events(ledger)
    assert (event["type"], event["at"]) == ("unsubscribed", datetime(2026, 3, 5, 9, tzinfo=UTC))
    assert statuses(suppress(client, {"customer_id": "anna", "reason": "complained"})) == ["accepted"]


def test_one_faulty_item_never_fails_the_rest(client, ledger):
    receipt = suppress(client, [{"customer_id": " "}, {"customer_id": "anna"}, "bert", {"customer_id": "c", "at": 1}])
    assert statuses(receipt) == ["rejected", "accepted", "rejected", "rejected"]
    assert [e["customer_id"] for e in events(ledger)] == ["anna"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "customer_id: is missing"),
        ({"customer_id": "anna", "reason": "spam"}, "reason: expected one of unsubscribed, requested, complained"),
        ({"customer_id": "anna", "until": AT}, "until: is not a key of a suppression; the keys are customer_id"),
        ({"customer_id": "anna", "at": "2999-01-01T00:00:00Z"}, "at: is more than a day in the future"),
        ({"customer_id": "anna", "channel": ["email"]}, "channel: expected a text"),
        ([{"customer_id": None}, 5], "of all items; the first: customer_id: is missing"),
        ("anna", "expected a suppression (an object) or a list of them"),
        ([{"customer_id": "anna"}] * 1_001, "expected at most 1,000"),
    ],
)
def test_where_nobody_is_suppressed_it_does_not_go_unnoticed(client, ledger, body, said):
    assert said in problem(client.post("/v1/suppressions", json=body), 422)
    assert events(ledger) == []


def test_the_erased_are_suppressed_already_and_nothing_is_kept(client, ledger):
    ledger.erase("anna")
    assert statuses(suppress(client, {"customer_id": "anna"})) == ["accepted"]
    assert events(ledger) == []


@pytest.mark.parametrize(
    ("reason", "harms"), [("unsubscribed", 1.0), ("requested", 1.0), ("complained", 0.0), ("excluded", 0.0)]
)
def test_only_what_people_asked_for_themselves_counts_as_unsubscribing(client, ledger, reason, harms):
    suppress(client, {"customer_id": "anna", "reason": reason, "at": "2026-03-06T09:00:00Z"})
    contact = {"decision_id": "d", "customer_id": "anna", "decided_at": AT, "campaign": "spring"}
    contacts = pd.DataFrame([{**contact, "action": "email", "probability": 0.5, "cost": 0.0}])
    customers = pd.DataFrame([person("anna", as_of=AT)])
    table = ledger.history(["anna"])[1]
    checked = [contract.check(n, t).good for n, t in (("customers", customers), ("contacts", contacts))]
    frame = training_frame(*checked, contract.check("outcomes", table).good, window_days=30)
    assert frame["unsubscribed"].tolist() == [harms]


def test_whom_the_company_excluded_is_due_for_nothing(default_playbook):
    at = pd.Timestamp("2026-03-05T00:00:00Z")
    customers = contract.check("customers", pd.DataFrame([person(k, as_of=AT) for k in ("anna", "bert")])).good
    row = {"event_id": "1", "source": "s", "customer_id": "anna", "at": AT, "type": "excluded"}
    told = contract.check("outcomes", pd.DataFrame([row])).good
    found = due(customers, told, default_playbook, pd.Timestamp("2025-12-01T00:00:00Z"), at + pd.Timedelta(days=9))
    assert set(found["customer_id"]) == {"bert"}


@pytest.fixture
def default_playbook() -> Playbook:
    from propensity import playbook

    return playbook.load("default")
