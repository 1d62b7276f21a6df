"""The client against the real application, with keys."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from propensity.client import Client, Decision, Outcome, ServiceError
from propensity.contract import OUTCOME_TYPES
from propensity.decision import DECISION_COLUMNS, DECISION_TIMES
from propensity.errors import InputError
from propensity.ledger import schema

AT = datetime(2026, 3, 5, 9, tzinfo=UTC)
SPRING = {"campaign": "spring", "at": AT}


def person(customer_id: object = "anna", **values: object) -> dict[str, object]:
    return {"customer_id": customer_id, "churned_at": "2025-12-15", "consent_email": True, **values}


def people(n: int) -> list[dict[str, object]]:
    return [person(f"p{i}") for i in range(n)]


def opened(event_id: str = "1", **values: object) -> Outcome:
    return Outcome(**{"type": "opened", "customer_id": "anna", "id": event_id, "source": "esp", "at": AT, **values})


def rows(ledger, table: sa.Table) -> list[dict]:
    with ledger.engine.connect() as connection:
        return [dict(row) for row in connection.execute(sa.select(table)).mappings()]


# ------------------------------------------------------------------------------------------------------- decisions


def test_a_decision_has_every_key_of_the_answer_and_its_times_are_times(client, ledger, email_playbook):
    decision = client.decide(person(), **SPRING, explain=True)
    assert {f.name for f in fields(Decision)} == {*DECISION_COLUMNS, "status", "error", "explanation"}
    assert (decision.status, decision.customer_id, decision.campaign) == ("decided", "anna", "spring")
    assert decision.send is True
    assert decision.action in email_playbook.labels
    assert decision.explanation.endswith(".")
    assert decision.error is None
    assert isinstance(decision.reason_codes, tuple)
    (kept,) = rows(ledger, schema.decisions)
    for name in DECISION_COLUMNS:
        told = getattr(decision, name)
        if name in DECISION_TIMES and kept["answer"][name] is not None:
            assert told.tzinfo is not None, name
            assert told == datetime.fromisoformat(kept["answer"][name]), name
        else:
            assert told == (tuple(kept["answer"][name]) if name == "reason_codes" else kept["answer"][name]), name


def test_a_decision_can_be_neither_changed_nor_taken_for_yes(client):
    decision = client.decide(person(), **SPRING)
    with pytest.raises(FrozenInstanceError):
        decision.send = True
    with pytest.raises(TypeError, match=r"ask for its \.send"):
        bool(decision)


def test_a_repeat_and_a_decision_by_snapshot_are_the_decision_that_stands(client, ledger):
    first = client.decide(person(), **SPRING)
    client.put_customers(person(as_of=AT))
    assert client.decide([person()], **SPRING) == [first]
    assert client.decision("anna", **SPRING) == first
    assert len(rows(ledger, schema.decisions)) == 1


def test_a_dry_run_records_nothing_in_either_form(client, ledger):
    client.put_customers(person(as_of=AT))
    asked, stored = client.decide(person(), **SPRING, dry_run=True), client.decision("anna", **SPRING, dry_run=True)
    assert (asked.status, asked.decision_id, stored.decision_id) == ("decided", None, None)
    assert asked.action == stored.action
    assert rows(ledger, schema.decisions) == []


def test_more_than_a_thousand_are_asked_about_in_parts_and_answered_in_order(client_of, monkeypatch):
    client = client_of()
    sizes: list[int] = []
    ask = client._caller.ask

    def counted(*arguments, **values):
        sizes.append(values["n_items"])
        return ask(*arguments, **values)

    monkeypatch.setattr(client._caller, "ask", counted)
    found = client.decide((row for row in people(2_001)), **SPRING, dry_run=True)
    assert [d.customer_id for d in found] == [f"p{i}" for i in range(2_001)]
    assert sizes == [1_000, 1_000, 1]
    assert {d.assignment for d in found} >= {"policy", "holdout"}
    assert client.decide([], **SPRING) == []
    assert sizes == [1_000, 1_000, 1]


def test_among_many_a_faulty_row_sends_nothing_and_alone_it_is_an_error(client):
    bad = {"customer_id": "bert", "consent_email": True}
    anna, bert = client.decide([person(), bad], **SPRING)
    assert (anna.status, bert.status, bert.customer_id) == ("decided", "rejected", "bert")
    assert (bert.send, bert.action, bert.decision_id) == (False, "control", None)
    assert bert.error.startswith("churned_at: ")
    with pytest.raises(ServiceError, match="churned_at: ") as caught:
        client.decide(bad, **SPRING)
    assert caught.value.status == 422
    with pytest.raises(ServiceError, match="churned_at: "):
        client.decide(bad, **SPRING, or_nothing=True)


def test_values_as_programs_have_them_are_read(client, ledger):
    row = {
        "customer_id": np.int64(7),
        "churned_at": pd.Timestamp("2025-12-15", tz="UTC"),
        "consent_email": np.bool_(True),
        "annual_value": np.float64("nan"),
        "owner": None,
        "account_access": pd.NA,
        "as_of": pd.NaT,
    }
    assert client.decide(row, **SPRING).customer_id == "7"
    assert client.decide(person("day", churned_at=date(2025, 12, 15)), **SPRING).status == "decided"
    frame = pd.DataFrame([person("a", annual_value=1.5), person("b")])
    assert [d.status for d in client.decide(frame.to_dict("records"), **SPRING)] == ["decided", "decided"]


def test_times_in_any_zone_are_the_same_time(client):
    here = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    first = client.decide(person(), campaign="spring", at=here, dry_run=True)
    assert first == client.decide(person(), **SPRING, dry_run=True)
    client.put_customers(person(as_of=AT))
    assert client.decision("anna", campaign="spring", at=here).status == "decided"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda c: c.decide(person(), campaign="spring", at=datetime(2026, 3, 5)),
            "at: expected a time with a time zone",
        ),
        (lambda c: c.report([opened(at=datetime(2026, 3, 5))]), "at: expected a time with a time zone"),
        (lambda c: c.decide(["anna"], campaign="spring"), "customers: expected a mapping for each"),
        (lambda c: c.decide("anna", campaign="spring"), "customers: expected a mapping for each"),
        (lambda c: c.decide(person(annual_value=float("inf")), campaign="spring"), "cannot be JSON"),
        (lambda c: c.decide(person(owner={1, 2}), campaign="spring"), "cannot be JSON"),
        (lambda c: c.decide(person(owner="\ud800"), campaign="spring"), "cannot be JSON"),
        (lambda c: c.decision(" ", campaign="spring"), "customer_id: expected a text, found a blank"),
        (lambda c: c.erase(""), "customer_id: expected a text, found a blank"),
        (lambda c: c.erase("anna\ud800"), "customer_id: expected a text, found one with half a character"),
        (lambda c: c.holdout("anna", campaign="\ud800"), "campaign: expected texts, found one with half a character"),
    ],
)
def test_what_cannot_be_sent_is_told_before_anything_is(client, ledger, call, said):
    with pytest.raises(InputError, match=said):
        call(client)
    assert rows(ledger, schema.decisions) == rows(ledger, schema.events) == []


# --------------------------------------------------------------------------------------------------------- reports


def test_outcomes_are_reported_once_however_often_they_are_sent(client, ledger):
    decision = client.decide(person(), **SPRING)
    outcomes = [
        opened(decision_id=decision.decision_id),
        opened("2", type="purchased", amount=19.5, at=AT + timedelta(hours=1)),
    ]
    receipt = client.report(outcomes)
    assert (receipt.accepted, receipt.duplicate, receipt.rejected) == (2, 0, 0)
    assert [(item.source, item.id, item.status) for item in receipt.results] == [
        ("esp", "1", "accepted"),
        ("esp", "2", "accepted"),
    ]
    assert client.report(outcomes).duplicate == 2
    first, second = rows(ledger, schema.events)
    assert (first["type"], first["decision_id"], first["at"]) == ("opened", decision.decision_id, AT)
    assert (second["type"], second["amount"], second["customer_id"]) == ("purchased", 19.5, "anna")


@pytest.mark.parametrize("outcome", OUTCOME_TYPES)
def test_every_type_of_the_contract_can_be_reported(client, ledger, outcome):
    assert client.report([opened(type=outcome, at=None)]).accepted == 1
    assert rows(ledger, schema.events)[0]["type"] == outcome


def test_a_faulty_outcome_is_told_in_the_receipt_and_the_others_are_kept(client, ledger):
    receipt = client.report([opened(), opened("2", type="shouted"), opened("3", currency="XAU", amount=1.0)])
    assert [item.status for item in receipt.results] == ["accepted", "rejected", "rejected"]
    assert receipt.results[1].error.startswith("type: ")
    assert len(rows(ledger, schema.events)) == 1


def test_many_outcomes_go_in_parts_under_one_receipt(client, ledger):
    receipt = client.report(opened(str(i), customer_id=f"p{i % 300}") for i in range(1_500))
    assert (receipt.accepted, len(receipt.results)) == (1_500, 1_500)
    assert [item.id for item in receipt.results] == [str(i) for i in range(1_500)]
    assert len(rows(ledger, schema.events)) == 1_500


def test_the_suppressed_get_nothing_from_the_next_decision_on(client):
    assert [d.send for d in client.decide([person("anna"), person("bert")], **SPRING)] == [True, True]
    assert client.suppress("anna").accepted == 1
    assert client.suppress(["anna"], reason="unsubscribed", at=AT).duplicate == 1
    anna, bert = client.decide([person("anna"), person("bert")], **SPRING)
    assert (anna.send, anna.assignment, bert.send) == (False, "suppressed", True)


def test_who_could_not_be_suppressed_is_an_error_after_all_others_were(client, ledger):
    ids = [*["x" * 300] * 1_000, "anna", "", "bert"]
    with pytest.raises(ServiceError, match=r"1,001 of 1,003 people were not suppressed; the first: .*customer_id: "):
        client.suppress(ids)
    assert {row["customer_id"] for row in rows(ledger, schema.events)} == {"anna", "bert"}


def test_what_is_held_on_a_person_is_told_and_then_forgotten(client):
    client.put_customers([person(as_of=AT)])
    client.decide(person(), **SPRING)
    client.report([opened()])
    held = client.customer("anna")
    assert held.customer_id == "anna"
    assert [len(part) for part in (held.snapshots, held.decisions, held.events)] == [1, 1, 1]
    assert client.erase("anna") is None
    client.erase("anna")
    with pytest.raises(ServiceError) as caught:
        client.customer("anna")
    assert caught.value.status == 404
    assert client.decide(person(), **SPRING).assignment == "suppressed"


def test_snapshots_have_receipts(client):
    receipt = client.put_customers([person(as_of=AT), {"customer_id": "bert"}])
    assert [item.status for item in receipt.results] == ["accepted", "rejected"]
    assert (receipt.results[0].customer_id, receipt.results[0].as_of) == ("anna", AT)
    assert receipt.results[1].error.startswith("churned_at: ")
    assert client.put_customers(iter([person(as_of=AT)])).duplicate == 1


@pytest.mark.parametrize("key", ["a/b", "a b?#&x=1", "Zoë", "..", ".", "a\nb", "x@example.org"])
def test_ids_of_any_kind_arrive_whole_in_paths(client, key):
    assert client.put_customers(person(key, as_of=AT)).accepted == 1
    assert client.decision(key, **SPRING).customer_id == key
    assert client.holdout(key, campaign="spring").customer_id == key
    assert client.customer(key).customer_id == key
    client.erase(key)
    assert client.decide(person(key), **SPRING).assignment == "suppressed"


def test_the_held_out_are_those_whom_decisions_hold_out(client):
    decided = client.decide(people(100), **SPRING, dry_run=True)
    for decision in decided:
        holdout = client.holdout(decision.customer_id, campaign="spring")
        assert holdout.held_out == (decision.assignment == "holdout")
        assert holdout.held_out == (holdout.global_holdout or holdout.campaign_holdout)


def test_what_serves_is_told(client, small_model):
    serving = client.models()
    assert (serving.model_version, serving.playbook) == (small_model.version, small_model.playbook.name)
    assert datetime.now(UTC) - serving.serving_since < timedelta(hours=1)


# ---------------------------------------------------------------------------------------------------- keys, errors


def test_each_scope_is_enough_for_its_calls_and_no_more(client_of, transport):
    decide, report, read = client_of("decide"), client_of("report"), client_of("read")
    assert decide.decide(person(), **SPRING).send
    assert decide.holdout("anna", campaign="spring").campaign == "spring"
    report.report([opened()])
    report.suppress("bert")
    report.put_customers(person())
    read.models()
    for call in (
        lambda: report.decide(person(), **SPRING),
        lambda: decide.report([opened()]),
        lambda: report.customer("anna"),
        lambda: report.erase("anna"),
        lambda: decide.models(),
    ):
        with pytest.raises(ServiceError, match="this needs a key with the scope") as caught:
            call()
        assert (caught.value.status, caught.value.title) == (403, "Forbidden")


def test_a_wrong_key_is_an_error_even_where_silence_would_be_nothing(transport, keys):
    wrong = Client("http://service.test", key=keys["decide"][:-3] + "xyz", transport=transport)
    for asked in (Client("http://service.test", transport=transport), wrong):
        with pytest.raises(ServiceError, match="send an API key that works") as caught:
            asked.decide(person(), **SPRING, or_nothing=True)
        assert caught.value.status == 401
        assert re.fullmatch("[0-9a-f]{32}", caught.value.request_id)


def test_the_key_comes_from_the_environment_unless_it_is_given(transport, keys, monkeypatch):
    monkeypatch.setenv("PROPENSITY_API_KEY", keys["read"] + "\n")
    Client("http://service.test", transport=transport).models()
    with pytest.raises(ServiceError, match="scope read"):
        Client("http://service.test", key=keys["decide"], transport=transport).models()


def test_an_error_has_the_service_s_words(client):
    with pytest.raises(ServiceError) as caught:
        client.decide(person(), campaign=" ", at=AT)
    error = caught.value
    assert (error.status, error.title) == (422, "Request not understood")
    assert error.detail == "campaign: expected a name, found a blank"
    assert str(error) == "Request not understood (422): campaign: expected a name, found a blank"
    with pytest.raises(ServiceError, match="there is no snapshot of this customer") as caught:
        client.decision("nobody", campaign="spring")
    assert caught.value.status == 404


def test_importing_the_client_imports_nothing_heavy():
    heavy = [
        "pandas",
        "numpy",
        "pyarrow",
        "sklearn",
        "lightgbm",
        "mlflow",
        "bentoml",
        "sqlalchemy",
        "pydantic",
        "scipy",
    ]
    program = f"import sys, propensity.client; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
