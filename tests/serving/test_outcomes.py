"""What campaign tools report, in every form in which they may."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reports import AT, BOTH_DATABASES, decide, events, problem, statuses
from starlette.testclient import TestClient

from propensity.contract import OUTCOME_TYPES
from propensity.ledger import Ledger
from propensity_serving.app import build_app
from propensity_serving.events import BATCH, STRUCTURED
from propensity_serving.state import ServingState

MANY = [
    {"specversion": "1.0", "id": f"e{i}", "source": "esp", "type": "clicked", "subject": f"p{i % 300}", "time": AT}
    for i in range(1_000)
]


def event(event_id: object = "1", **values) -> dict:
    made = {"specversion": "1.0", "id": event_id, "source": "esp", "type": "purchased", "subject": "anna", "time": AT}
    return {name: value for name, value in {**made, **values}.items() if value is not ...}


def report(client, *reported: object, content_type: str = "application/json", one: bool = False) -> dict:
    body = json.dumps(reported[0] if one else reported)
    response = client.post("/v1/outcomes", content=body, headers={"content-type": content_type})
    assert response.status_code == 202, response.text
    return response.json()


def kept(ledger: Ledger) -> dict:
    (row,) = events(ledger)
    return row


# --------------------------------------------------------------------------------------------------- content modes


FULL = event(data={"decision_id": "d1", "amount": 19.5, "currency": "USD"})
IN_LEDGER = {
    "event_id": "1",
    "source": "esp",
    "customer_id": "anna",
    "decision_id": "d1",
    "type": "purchased",
    "amount": 19.5,
    "at": datetime(2026, 3, 5, 9, tzinfo=UTC),
}


@pytest.mark.parametrize(
    ("content_type", "one"),
    [
        (STRUCTURED, True),
        (f"{STRUCTURED}; charset=UTF-8", True),
        (BATCH, False),
        ("application/json", True),
        ("application/json", False),
        ("application/x-www-form-urlencoded", True),  # what curl -d says of any body
    ],
)
def test_an_event_is_kept_whole_in_every_mode(client, ledger, email_playbook, content_type, one):
    found = event(data={**FULL["data"], "currency": email_playbook.currency})
    receipt = report(client, found, content_type=content_type, one=one)
    assert receipt == {
        "accepted": 1,
        "duplicate": 0,
        "rejected": 0,
        "results": [{"source": "esp", "id": "1", "status": "accepted"}],
    }
    assert kept(ledger) == IN_LEDGER


def binary(client, body: bytes = b"", **attributes: str):
    values = {"specversion": "1.0", "id": "1", "source": "esp", "type": "purchased", "subject": "anna", "time": AT}
    headers = {f"ce-{name}": value for name, value in {**values, **attributes}.items() if value}
    return client.post("/v1/outcomes", content=body, headers={"content-type": "application/json", **headers})


def test_in_binary_mode_headers_are_the_attributes_and_the_body_the_data(client, ledger):
    response = binary(client, b'{"decision_id": "d1", "amount": 19.5}')
    assert (response.status_code, statuses(response.json())) == (202, ["accepted"])
    assert kept(ledger) == IN_LEDGER


def test_in_binary_mode_an_event_needs_no_data_and_headers_are_percent_encoded(client, ledger):
    response = binary(client, type="propensity.outcome.opened", subject="Zo%C3%AB%20%2F%20%25", source='"a \\"b\\""')
    assert statuses(response.json()) == ["accepted"]
    assert (kept(ledger)["customer_id"], kept(ledger)["source"]) == ("Zoë / %", 'a "b"')


def test_in_binary_mode_a_missing_attribute_or_a_nul_is_told(client, ledger):
    assert "id: is missing" in binary(client, id="").json()["results"][0]["error"]
    assert "specversion: expected" in binary(client, specversion="").json()["results"][0]["error"]
    assert "subject: holds a NUL" in binary(client, subject="a%00b").json()["results"][0]["error"]
    assert "not valid JSON" in problem(binary(client, b"a=1"), 400)
    assert events(ledger) == []


def test_declared_cloudevents_name_their_version_and_plain_json_need_not(client):
    plain, declared = event(specversion=...), event("2", specversion=...)
    assert statuses(report(client, plain)) == ["accepted"]
    (result,) = report(client, declared, content_type=BATCH)["results"]
    assert result["error"] == 'specversion: expected "1.0", found nothing'


@pytest.mark.parametrize(
    ("body", "content_type", "status", "said"),
    [
        ("{", "application/json", 400, "not valid JSON"),
        ("", "application/json", 400, "the body is empty; send JSON"),
        (" \n", "application/json", 400, "the body is empty; send JSON"),
        ('[{"amount": NaN}]', "application/json", 400, "the body holds NaN, which JSON does not know"),
        ("[-Infinity]", "application/json", 400, "the body holds -Infinity, which JSON does not know"),
        (b'{"id": "M\xfcller"}', "application/json", 400, "the body is not UTF-8 text (byte 10 cannot be read)"),
        ('{"id": "anna",\n "x" 1}', "application/json", 400, "not valid JSON (it breaks at line 2, column 6)"),
        ('["\\ud800"]', "application/json", 400, "the body holds half a character"),
        ("[" * 100_000, "application/json", 400, "the body is nested too deeply"),
        ("9" * 10_000, "application/json", 400, "the body holds a number of too many digits"),
        ('{"id": "\\u0000"}', "application/json", 400, "NUL"),
        ("<e/>", "application/cloudevents+xml", 415, "expected application/cloudevents+json, application/cloudevents"),
        ("<e/>", "text/xml", 415, "content-type: expected application/json, found 'text/xml'"),
        ("[]", "application/x-protobuf", 415, "found 'application/x-protobuf'"),
        ("[]", "multipart/form-data; boundary=x", 415, "found 'multipart/form-data'"),
        ('"purchased"', "application/json", 422, "expected an event (an object) or a list of them"),
        (json.dumps([event()] * 1_001), BATCH, 422, "expected at most 1,000 in a request, found 1,001"),
        (" " * (8 * 1024 * 1024 + 1), BATCH, 413, "send fewer"),
    ],
)
def test_a_body_that_holds_no_events_is_a_problem(client, ledger, body, content_type, status, said):
    response = client.post("/v1/outcomes", content=body, headers={"content-type": content_type})
    told = problem(response, status)
    assert said in told
    assert "anna" not in told
    assert events(ledger) == []


def test_no_events_at_all_are_fine(client):
    assert report(client) == {"accepted": 0, "duplicate": 0, "rejected": 0, "results": []}


# ------------------------------------------------------------------------------------------------------ each event


@pytest.mark.parametrize("outcome", OUTCOME_TYPES)
@pytest.mark.parametrize("prefix", ["", "propensity.outcome.", "org.example-shop.propensity.outcome."])
def test_every_type_of_the_contract_is_understood_with_and_without_its_prefix(client, ledger, prefix, outcome):
    assert statuses(report(client, event(type=prefix + outcome))) == ["accepted"]
    assert kept(ledger)["type"] == outcome


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"id": ...}, "id: is missing"),
        ({"id": ""}, "id: expected a text, found a blank"),
        ({"id": ["1"]}, "id: expected a text, found a list"),
        ({"id": "x" * 201}, "id: expected at most 200 characters, found 201"),
        ({"source": True}, "source: expected a text, found true"),
        ({"source": ...}, "source: is missing"),
        ({"type": ...}, "type: is missing"),
        ({"type": "com.shop.cart.opened"}, "type: expected one of sent, delivered"),
        ({"type": "Purchased"}, "type: expected one of sent, delivered"),
        ({"type": ["purchased"]}, "type: expected one of sent"),
        ({"subject": ...}, "subject: is missing, and so is data.customer_id"),
        ({"subject": " "}, "subject: expected a text, found a blank"),
        ({"data": {"customer_id": {}}}, "data.customer_id: expected a text, found an object"),
        ({"data": {"customer_id": "x" * 300}}, "data.customer_id: expected at most 200"),
        ({"data": {"decision_id": 1.5e400}}, "data.decision_id: expected a text"),
        ({"data": "amount=3"}, "data: expected an object, found 'amount=3'"),
        ({"data_base64": "e30="}, "data_base64: send the data as an object"),
        ({"specversion": "0.3"}, 'specversion: expected "1.0"'),
        ({"time": "yesterday"}, "time: expected a time with a time zone, such as"),
        ({"time": "2026-03-05T09:00:00"}, "time: expected a time with a time zone"),
        ({"time": 1772701200}, "time: expected a time with a time zone"),
        ({"time": "1969-12-31T23:59:59Z"}, "time: expected a time from 1970 on"),
        ({"time": "0001-01-01T00:00:00+14:00"}, "time: expected a time"),
        ({"time": "2999-01-01T00:00:00Z"}, "time: is more than a day in the future"),
        ({"data": {"amount": "lots"}}, "data.amount: expected a finite number, found 'lots'"),
        ({"data": {"amount": 1.5e400}}, "data.amount: expected a finite number"),
        ({"data": {"amount": 10**400}}, "data.amount: expected a finite number"),
        ({"data": {"amount": True}}, "data.amount: expected a finite number, found true"),
        ({"data": {"amount": 5, "currency": "XAU"}}, "data.currency: expected"),
        ({"data": {"amount": 5, "currency": ["USD"]}}, "data.currency: expected"),
    ],
)
def test_a_faulty_event_is_told_why_and_the_others_are_kept(client, ledger, values, said):
    bad = event(**{"event_id" if name == "id" else name: value for name, value in values.items()})
    body = json.dumps([bad, event("good")]).replace("Infinity", "1.5e400")
    response = client.post("/v1/outcomes", content=body)
    assert response.status_code == 202
    assert statuses(response.json()) == ["rejected", "accepted"]
    assert response.json()["results"][0]["error"].startswith(said)
    assert kept(ledger)["event_id"] == "good"


def test_all_bad_is_202_too_for_the_same_again_would_help_nobody(client, ledger):
    receipt = report(client, event(type="nonsense"), "junk", None, 5, [], {})
    assert statuses(receipt) == ["rejected"] * 6
    assert [r["id"] for r in receipt["results"]] == ["1", None, None, None, None, None]
    assert receipt["results"][1]["error"] == "event: expected an object, found 'junk'"
    assert events(ledger) == []


def test_numbers_are_ids_as_in_every_table_and_the_data_s_customer_counts_more(client, ledger):
    assert statuses(report(client, event(7, data={"customer_id": 42.0, "amount": "-3.5"}))) == ["accepted"]
    assert (kept(ledger)["event_id"], kept(ledger)["customer_id"], kept(ledger)["amount"]) == ("7", "42", -3.5)


def test_without_a_time_it_happened_now_also_when_it_is_told_again(client, ledger):
    before = datetime.now(UTC)
    assert statuses(report(client, event(time=...))) == ["accepted"]
    at = kept(ledger)["at"]
    assert before <= at <= datetime.now(UTC)
    assert statuses(report(client, event(time=None))) == ["duplicate"]
    assert kept(ledger)["at"] == at


def test_a_clock_a_little_ahead_and_events_that_come_late_are_fine(client, ledger):
    soon = (datetime.now(UTC) + timedelta(hours=14)).isoformat()
    assert statuses(report(client, event("new", time=soon), event("old", time="1999-01-01T00:00:00+01:00"))) == [
        "accepted",
        "accepted",
    ]
    assert min(e["at"] for e in events(ledger)) == datetime(1998, 12, 31, 23, tzinfo=UTC)


# ----------------------------------------------------------------------------------------------------- whose it is


def test_an_event_may_come_before_its_customer_and_its_decision(client, ledger):
    assert statuses(report(client, event(subject="stranger", data={"decision_id": "never-heard-of"}))) == ["accepted"]
    assert kept(ledger)["decision_id"] == "never-heard-of"


def test_a_decision_about_somebody_else_is_refused_and_one_s_own_is_not(client, ledger):
    anna, bert = decide(client, "anna", "bert")
    mine = event("1", data={"decision_id": anna["decision_id"]})
    others = event("2", data={"decision_id": bert["decision_id"]})
    receipt = report(client, mine, others)
    assert statuses(receipt) == ["accepted", "rejected"]
    assert receipt["results"][1]["error"] == "data.decision_id: is a decision about another customer"
    assert kept(ledger)["event_id"] == "1"


def test_events_of_the_erased_are_accepted_and_not_kept(client, ledger):
    ledger.erase("anna")
    for _ in range(2):
        assert statuses(report(client, event(), event("2", subject="bert")))[0] == "accepted"
    assert kept(ledger)["customer_id"] == "bert"


@pytest.mark.parametrize("outcome", ["unsubscribed", "complained", "excluded"])
def test_an_opt_out_counts_from_the_next_decision_on(client, outcome):
    assert [d["send"] for d in decide(client, "anna", "bert")] == [True, True]
    report(client, event(type=outcome))
    assert [d["send"] for d in decide(client, "anna", "bert")] == [False, True]
    (anew,) = decide(client, "anna", at="2026-08-05T09:00:00Z")
    assert anew["assignment"] == "suppressed"


def test_a_sent_event_makes_a_decision_a_contact(client, ledger):
    (decision,) = decide(client, "anna")
    assert ledger.contacts("spring").empty
    report(client, event(type="sent", data={"decision_id": decision["decision_id"]}))
    assert ledger.contacts("spring")["decision_id"].tolist() == [decision["decision_id"]]


# ------------------------------------------------------------------------------------------------------ duplicates


def test_the_same_event_twice_is_a_duplicate_within_a_request_and_after_it(client, ledger):
    first = event(data={"amount": 5})
    assert statuses(report(client, first, event(data={"amount": 6}), event(source="shop"))) == [
        "accepted",
        "duplicate",
        "accepted",
    ]
    assert statuses(report(client, first)) == ["duplicate"]
    assert sorted(e["amount"] or 0 for e in events(ledger)) == [0, 5]


def test_an_event_mended_after_it_was_rejected_is_accepted(client):
    assert statuses(report(client, event(data={"amount": "x"}), event(data={"amount": 5}))) == ["rejected", "accepted"]


@BOTH_DATABASES
def test_a_thousand_events_told_seventeen_times_in_any_order_are_there_once(client, ledger):
    rng = random.Random(0)
    accepted = 0
    for _ in range(17):
        told = rng.sample(MANY, len(MANY))
        cuts = sorted(rng.sample(range(1, 1_000), 3))
        for start, end in zip([0, *cuts], [*cuts, 1_000], strict=True):
            found = report(client, *told[start:end], content_type=BATCH)
            assert [r["id"] for r in found["results"]] == [e["id"] for e in told[start:end]]
            accepted += found["accepted"]
    assert accepted == 1_000
    assert sorted(e["event_id"] for e in events(ledger)) == sorted(e["id"] for e in MANY)


@BOTH_DATABASES
def test_eight_who_report_the_same_at_once_report_it_once(client, ledger):
    def tell(seed: int) -> list[dict]:
        told = random.Random(seed).sample(MANY, 400)
        return report(client, *told, content_type=BATCH)["results"]

    with ThreadPoolExecutor(8) as pool:
        results = [result for found in pool.map(tell, range(8)) for result in found]
    accepted = [r["id"] for r in results if r["status"] == "accepted"]
    assert {r["status"] for r in results} == {"accepted", "duplicate"}
    assert sorted(accepted) == sorted(e["event_id"] for e in events(ledger))
    assert len(set(accepted)) == len(accepted) == len({r["id"] for r in results})


@BOTH_DATABASES
def test_the_longest_ids_fit_into_the_database(client, ledger):
    wide = "".join(chr(0x1F300 + i) for i in range(200))
    assert statuses(report(client, event(wide, source=wide[::-1], subject=wide))) == ["accepted"]
    assert kept(ledger)["customer_id"] == wide


def test_what_is_accepted_is_there_for_whoever_opens_the_ledger_next(client, database):
    report(client, event())
    reopened = Ledger(database).open()
    assert pd.DataFrame(events(reopened))["event_id"].tolist() == ["1"]
    reopened.close()


# ------------------------------------------------------------------------------------------------------- any bodies


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
KEYS = ("id", "source", "type", "subject", "time", "data", "specversion", "customer_id", "reason", "at", "churned_at")
SOMETHING = JSON | st.sampled_from(["1.0", "purchased", AT, "anna", {"amount": 3}, {"customer_id": 1}])
BODIES = st.one_of(
    JSON,
    st.dictionaries(st.sampled_from(KEYS), SOMETHING),
    st.lists(st.dictionaries(st.sampled_from(KEYS), SOMETHING), max_size=5),
)


@pytest.fixture(scope="module")
def any_client(small_model, tmp_path_factory):
    """One ledger for all examples: what earlier ones left there must hurt no later one."""
    ledger = Ledger(f"sqlite:///{tmp_path_factory.mktemp('any') / 'ledger.db'}").create()
    with TestClient(build_app(ServingState(model=small_model, ledger=ledger))) as client:
        yield client
    ledger.close()


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(body=BODIES, content_type=st.sampled_from(["application/json", STRUCTURED, BATCH]))
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/outcomes"), ("POST", "/v1/suppressions"), ("PUT", "/v1/customers")]
)
def test_no_json_is_an_internal_fault(any_client, method, path, body, content_type):
    sent = json.dumps(body).encode()
    response = any_client.request(method, path, content=sent, headers={"content-type": content_type})
    assert response.status_code in (200, 202, 400, 422), response.text
    if response.status_code < 300:
        statuses(response.json())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(key=st.text(st.characters(codec="utf-8"), max_size=30), campaign=st.text(st.characters(codec="utf-8")))
def test_no_path_is_an_internal_fault(any_client, key, campaign):
    path = quote(key, safe="")
    assert any_client.get(f"/v1/holdouts/{path}", params={"campaign": campaign}).status_code in (200, 422)
    assert any_client.get(f"/v1/customers/{path}").status_code in (200, 404, 422)


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json; charset=utf-8",
        "text/json",
        "application/ld+json",
        "text/plain",
        "application/octet-stream",
    ],
)
def test_json_is_read_whatever_a_tool_that_does_not_look_calls_it(client, content_type):
    headers = {"content-type": content_type} if content_type else {}
    assert client.post("/v1/outcomes", content=json.dumps(event()), headers=headers).json()["accepted"] == 1


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/decisions"), ("POST", "/v1/suppressions"), ("PUT", "/v1/customers")]
)
def test_what_is_plainly_not_json_is_refused_on_every_route(client, method, path):
    response = client.request(method, path, content="<x/>", headers={"content-type": "application/xml"})
    assert "found 'application/xml'" in problem(response, 415)


def test_an_empty_list_is_answered_in_full(client):
    for method, path, status in (
        ("POST", "/v1/outcomes", 202),
        ("POST", "/v1/suppressions", 200),
        ("PUT", "/v1/customers", 200),
    ):
        response = client.request(method, path, json=[])
        assert (response.status_code, response.json()["accepted"]) == (status, 0)
