"""What is known of people over HTTP: recorded, held out, told, forgotten."""

from __future__ import annotations

import http.client
import json
import logging
from datetime import UTC, datetime
from urllib.parse import quote

import pandas as pd
import pytest
from reports import AT, BOTH_DATABASES, decide, events, person, problem, rows, statuses

from propensity.ledger import schema
from propensity.policy.decide import is_held_out

ODD = ["a/b", "/", "Zoë 名前 \U0001f600", "a?b#c&d", "anna@example.org", "two\nlines", "x" * 200, "a//"]


def put(client, *customers: object) -> dict:
    response = client.put("/v1/customers", json=list(customers))
    assert response.status_code == 200, response.text
    return response.json()


def at(customer_id: str) -> str:
    return f"/v1/customers/{quote(customer_id, safe='')}"


def kept(ledger) -> list[dict]:
    return rows(ledger, schema.customers)


# ------------------------------------------------------------------------------------------------------- snapshots


def test_a_snapshot_is_kept_with_what_is_read_and_without_what_is_private(client, ledger):
    told = person("anna", as_of=AT, annual_value=120, exit_answer="too dear, says Wolfe", shoe_size=44)
    receipt = client.put("/v1/customers", json=told).json()
    assert receipt["results"] == [{"customer_id": "anna", "as_of": AT, "status": "accepted"}]
    (row,) = kept(ledger)
    assert (row["customer_id"], row["as_of"]) == ("anna", datetime(2026, 3, 5, 9, tzinfo=UTC))
    assert row["attributes"]["annual_value"] == 120
    assert not {"exit_answer", "shoe_size"} & set(row["attributes"])
    assert "Wolfe" not in str(kept(ledger))


@BOTH_DATABASES
def test_a_repeated_snapshot_is_a_duplicate_with_and_without_its_time(client, ledger):
    told = [person("anna", as_of=AT, annual_value=1), person("bert", annual_value=0.1)]
    assert statuses(put(client, *told)) == ["accepted", "accepted"]
    for _ in range(3):
        assert statuses(put(client, *told)) == ["duplicate", "duplicate"]
    assert len(kept(ledger)) == 2
    # something else is known now; of the same time, what was told first stays
    assert statuses(put(client, person("bert", annual_value=5), person("anna", as_of=AT, annual_value=5))) == [
        "accepted",
        "duplicate",
    ]
    assert sorted(row["attributes"]["annual_value"] for row in kept(ledger)) == [0.1, 1, 5]


def test_one_faulty_customer_never_fails_the_rest(client, ledger):
    sent = [person("a", reason="bored"), "junk", {}, person("x" * 201), person("late", as_of="2999-01-01"), person("b")]
    receipt = put(client, *sent)
    assert statuses(receipt) == ["rejected"] * 5 + ["accepted"]
    told = [result.get("error", "") for result in receipt["results"]]
    assert told[0].startswith("reason: expected one of price")
    assert told[1] == "customer: expected an object"
    assert told[3] == "customer_id: expected at most 200 characters, found more"
    assert told[4].startswith("as_of: expected a time no later")
    assert [row["customer_id"] for row in kept(ledger)] == ["b"]


def test_a_thousand_and_no_more(client, ledger):
    assert put(client, *(person(f"p{i}") for i in range(1_000)))["accepted"] == 1_000
    too_many = client.put("/v1/customers", json=[person(f"p{i}") for i in range(1_001)])
    assert "at most 1,000" in problem(too_many, 422)
    assert put(client) == {"accepted": 0, "duplicate": 0, "rejected": 0, "results": []}


def test_snapshots_of_the_erased_are_accepted_and_not_kept(client, ledger):
    ledger.erase("anna")
    assert statuses(put(client, person("anna"))) == statuses(put(client, person("anna"))) == ["accepted"]
    assert kept(ledger) == []


def test_an_id_too_long_for_a_database_s_index_is_told_to_who_asks_for_decisions(client):
    (found,) = decide(client, "x" * 3_000)
    assert (found["status"], found["error"]) == (
        "rejected",
        "customer_id: expected at most 200 characters, found more",
    )


# -------------------------------------------------------------------------------------------------------- holdouts


def test_holdouts_are_those_of_decisions(client, email_playbook):
    ids = [f"p{i}" for i in range(300)]
    found = [client.get(f"/v1/holdouts/{key}?campaign=spring").json() for key in ids]
    assert all(f["held_out"] == (f["global_holdout"] or f["campaign_holdout"]) for f in found)
    by_draw = is_held_out(pd.Series(ids), "spring", email_playbook.learning)
    assert [f["held_out"] for f in found] == by_draw.tolist()
    assert [f["held_out"] for f in found] == [d["assignment"] == "holdout" for d in decide(client, *ids)]
    other = [client.get(f"/v1/holdouts/{key}?campaign=summer").json() for key in ids]
    assert [f["global_holdout"] for f in other] == [f["global_holdout"] for f in found]
    assert any(f["global_holdout"] for f in found)
    assert any(f["campaign_holdout"] for f in found)
    assert [f["campaign_holdout"] for f in other] != [f["campaign_holdout"] for f in found]


@pytest.mark.parametrize("key", ODD)
def test_any_id_may_be_in_a_path(client, email_playbook, key):
    found = client.get(f"/v1/holdouts/{quote(key, safe='')}", params={"campaign": "spring"}).json()
    assert found["customer_id"] == key
    assert found["held_out"] == bool(is_held_out(pd.Series([key]), "spring", email_playbook.learning)[0])


@pytest.mark.parametrize("key", [*ODD, "a%2Fb", "..", "../../models", "100%"])
def test_a_server_leaves_ids_as_they_are(server, key):
    connection = http.client.HTTPConnection("127.0.0.1", server, timeout=20)
    connection.request("GET", f"/v1/holdouts/{quote(key, safe='')}?campaign=spring")
    assert json.load(connection.getresponse())["customer_id"] == key
    connection.close()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/holdouts/anna", "campaign: is missing (as in ?campaign=spring)"),
        ("/v1/holdouts/anna?campaign=%20", "campaign: expected a text, found a blank"),
        ("/v1/holdouts/?campaign=c", "customer_id: expected a text, found a blank"),
        ("/v1/holdouts/a%00b?campaign=c", "customer_id: holds a NUL character"),
        (f"/v1/holdouts/{'x' * 201}?campaign=c", "customer_id: expected at most 200 characters, found 201"),
    ],
)
def test_a_path_that_names_nobody_is_told(client, path, said):
    assert said in problem(client.get(path), 422)


# ---------------------------------------------------------------------------------------------------------- rights


@BOTH_DATABASES
@pytest.mark.parametrize("key", ["anna", *ODD])
def test_everything_held_on_a_person_is_told_and_forgotten(client, ledger, key):
    (decision,) = decide(client, key)
    put(client, person(key, as_of="2026-03-04T00:00:00Z"))
    told = {"id": "told", "source": "shop", "type": "purchased", "subject": key, "time": AT}
    assert statuses(client.post("/v1/outcomes", json=told).json()) == ["accepted"]
    decide(client, "bert")

    held = client.get(at(key)).json()
    assert held["customer_id"] == key
    assert [d["decision_id"] for d in held["decisions"]] == [decision["decision_id"]]
    assert [(e["event_id"], e["at"]) for e in held["events"]] == [("told", AT)]
    assert {s["as_of"] for s in held["snapshots"]} == {AT, "2026-03-04T00:00:00Z"}

    assert client.delete(at(key)).status_code == 204
    assert problem(client.get(at(key)), 404) == "nothing is held on this customer"
    everything = str([rows(ledger, table) for table in schema.metadata.sorted_tables])
    assert repr(key) not in everything
    assert "purchased" in everything  # what happened still counts
    (after,) = decide(client, key)
    assert after["send"] is False
    assert client.get(at("bert")).status_code == 200


def test_deleting_answers_the_same_whoever_it_is_and_however_often(client, ledger):
    decide(client, "anna")
    answers = [client.delete(at(key)) for key in ("anna", "anna", "stranger")]
    assert [(a.status_code, a.content) for a in answers] == [(204, b"")] * 3
    assert decide(client, "stranger")[0]["send"] is False


def test_nobody_is_found_where_nothing_is_held(client):
    problem(client.get(at("stranger")), 404)
    assert "blank" in problem(client.get("/v1/customers/"), 422)
    assert "NUL" in problem(client.delete("/v1/customers/a%00"), 422)
    for method, path in (("GET", "/v1/customers"), ("PUT", at("anna")), ("POST", "/v1/customers")):
        problem(client.request(method, path), 405)


def test_an_internal_fault_logs_no_id_from_a_path(client, ledger, caplog, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("cannot read anna@example.org")

    for name in ("held_on", "add_outcomes"):
        monkeypatch.setattr(ledger, name, fail)
    with caplog.at_level(logging.DEBUG):
        problem(client.get(at("anna@example.org")), 500)
        problem(client.post("/v1/outcomes", json={"id": "1", "source": "s", "type": "sent", "subject": "anna@x"}), 500)
    told = [r.getMessage() for r in caplog.records if r.name == "propensity.serving"]
    assert len(told) == 2
    assert "anna" not in "".join(told)


# -------------------------------------------------------------------------------------------- what it says of itself


def test_every_answer_has_the_keys_that_openapi_promises(client):
    described = client.get("/openapi.json").json()
    schemas = described["components"]["schemas"]
    answers = {
        "OutcomesReceipt": client.post("/v1/outcomes", json={"id": "1", "source": "s", "type": "x", "subject": "anna"}),
        "SuppressionsReceipt": client.post("/v1/suppressions", json=[{"customer_id": "bert"}, {}]),
        "CustomersReceipt": client.put("/v1/customers", json=[person(), {}]),
        "Holdout": client.get("/v1/holdouts/anna?campaign=c"),
        "Held": client.get(at("anna")),
    }
    for name, response in answers.items():
        promised, found = schemas[name], response.json()
        assert set(promised["required"]) == set(promised["properties"]) == set(found), name
        for result in found.get("results", []):
            assert set(result) <= set(promised["properties"]["results"]["items"]["properties"]), name


def test_every_reference_of_openapi_leads_somewhere_and_every_route_is_described(client, state):
    described = client.get("/openapi.json").json()
    text = client.get("/openapi.json").text
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= set(described["components"]["schemas"])
    routes = {
        (route.path.replace(":customer", ""), method.lower())
        for route in client.app.routes
        if getattr(route, "path", "").startswith("/v1/")
        for method in (route.methods or ()) - {"HEAD"}
    }
    told = {
        (path, method)
        for path, said in described["paths"].items()
        for method in said
        if method in ("get", "put", "post", "delete")
    }
    assert routes == told


def test_events_of_a_person_who_was_erased_do_not_come_back(client, ledger):
    told = {"id": "1", "source": "shop", "type": "purchased", "subject": "anna", "time": AT}
    client.post("/v1/outcomes", json=told)
    client.delete(at("anna"))
    assert statuses(client.post("/v1/outcomes", json=told).json()) == ["accepted"]
    (event,) = events(ledger)
    assert event["customer_id"].startswith("erased-")
