"""The snippets of docs/integrations.md, sent as the tools send them, bad habits included."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from campaign_tools import ADDRESS, GUIDE, SNIPPETS, Aborted, Braze, as_answer, filled, form, handlebars
from served import Answer, served

from propensity import client as client_module
from propensity.client import Client
from propensity.ledger import schema
from propensity.ledger.keys import create_key

CAMPAIGN = "winback-spring"
CHURNED = (datetime.now(UTC) - timedelta(days=90)).isoformat(timespec="seconds")


def row(customer_id: str) -> dict[str, object]:
    return {"customer_id": customer_id, "churned_at": CHURNED, "consent_email": True}


@pytest.fixture
def people(client) -> dict[str, str]:
    """Somebody to contact, and somebody held out; ids as companies have them, with what must be escaped."""
    asked = client.decide([row(f'p{i}/"ü" & co') for i in range(60)], campaign=CAMPAIGN, dry_run=True)
    return {
        "contacted": next(d.customer_id for d in asked if d.send),
        "held out": next(d.customer_id for d in asked if d.assignment == "holdout"),
    }


@pytest.fixture
def snapshots(client, people) -> None:
    assert client.put_customers([row(key) for key in people.values()]).accepted == 2


@pytest.fixture
def key(ledger) -> str:
    """As the guide makes one."""
    return create_key(ledger, name="a tool", scopes=["decide", "report"])[0]


@pytest.fixture
def tool(transport):
    """What a tool sends its requests with."""
    with httpx.Client(base_url="http://service.test", transport=transport) as http:
        yield http


def send(tool: httpx.Client, name: str, key: str, render, values: dict) -> httpx.Response:
    asked = form(name, key)
    path, body = render(asked.path, values), render(asked.body, values)
    return tool.request(asked.method, path, headers=asked.headers, content=body or None)


def rows(ledger, table: sa.Table) -> list[dict]:
    with ledger.engine.connect() as connection:
        return [dict(r) for r in connection.execute(sa.select(table)).mappings()]


def event(ledger) -> dict:
    """The only event that there is."""
    (found,) = rows(ledger, schema.events)
    return found


def test_every_block_of_the_guide_is_sent_by_a_test():
    text = GUIDE.read_text(encoding="utf-8")
    assert len(re.findall(r"^```\w+$", text, flags=re.M)) == len(SNIPPETS)
    here = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in SNIPPETS if f'"{name}"' not in here] == []


# ----------------------------------------------------------------------------------------------------------- Braze


def braze_person(customer_id: str) -> dict:
    return {
        "user_id": customer_id,
        "custom_attribute": {"churned_at": CHURNED, "consent_email": True},
        "campaign": {"dispatch_id": "0a1b2c"},
    }


@pytest.fixture
def braze(tool, key) -> Braze:
    return Braze(tool, {"propensity": key})


@pytest.mark.parametrize("name", ["braze-get", "braze-post"])
def test_braze_renders_a_message_many_times_and_gets_the_same_decision(braze, ledger, people, snapshots, name):
    texts = {braze.render(SNIPPETS[name], braze_person(people["contacted"])) for _ in range(5)}
    assert len(texts) == 1
    assert "{" not in texts.pop()
    found = [answer["decisions"][0] if name == "braze-post" else answer for answer in braze.answers]
    assert len({answer["decision_id"] for answer in found}) == 1
    assert (found[0]["customer_id"], found[0]["send"]) == (people["contacted"], True)
    assert len(rows(ledger, schema.decisions)) == 1


@pytest.mark.parametrize("name", ["braze-get", "braze-post"])
def test_braze_sends_nothing_to_the_held_out_nor_without_an_answer(braze, people, snapshots, key, name):
    with pytest.raises(Aborted):
        braze.render(SNIPPETS[name], braze_person(people["held out"]))
    with pytest.raises(Aborted):
        braze.render(SNIPPETS[name], {"user_id": "unknown", "custom_attribute": {}})
    contacted = braze_person(people["contacted"])
    with httpx.Client(base_url="http://127.0.0.1:9") as nobody, pytest.raises(Aborted):
        Braze(nobody, {"propensity": key}).render(SNIPPETS[name], contacted)
    with pytest.raises(Aborted):
        Braze(braze._http, {"propensity": "a wrong key"}).render(SNIPPETS[name], contacted)


def test_braze_reports_what_was_sent_under_its_decision(braze, tool, key, ledger, people, snapshots):
    person = braze_person(people["contacted"])
    braze.render(SNIPPETS["braze-get"], person)
    for status in ["accepted", "duplicate"]:
        receipt = send(tool, "braze-sent", key, braze.render, person).json()
        assert receipt["results"][0]["status"] == status
    (decision,) = rows(ledger, schema.decisions)
    found = event(ledger)
    assert (found["type"], found["customer_id"]) == ("sent", people["contacted"])
    assert found["decision_id"] == decision["decision_id"]
    with pytest.raises(Aborted):
        send(tool, "braze-sent", key, braze.render, braze_person("unknown"))


def test_braze_reports_opens_and_opt_outs(braze, tool, key, ledger, people):
    person = braze_person(people["contacted"])
    for _ in range(3):
        assert send(tool, "braze-opened", key, braze.render, person).status_code == 202
    assert (event(ledger)["type"], event(ledger)["customer_id"]) == ("opened", people["contacted"])
    assert send(tool, "braze-unsubscribed", key, braze.render, person).json()["accepted"] == 1
    with pytest.raises(Aborted):
        braze.render(SNIPPETS["braze-post"], person)


def test_an_id_that_the_tool_has_no_value_for_is_refused(tool, key, ledger, people, braze):
    person = {"user_id": people["contacted"], "campaign": {}}
    (result,) = send(tool, "braze-opened", key, braze.render, person).json()["results"]
    assert (result["status"], result["error"]) == ("rejected", "id: expected a text, found a blank")
    assert rows(ledger, schema.events) == []


# -------------------------------------------------------------------------------------------------------- Iterable


def test_iterable_gets_one_object_and_its_template_finds_its_keys(tool, key, ledger, people, snapshots):
    values = {"userId": people["contacted"]}
    responses = [send(tool, "iterable-feed", key, handlebars, values) for _ in range(3)]
    assert {r.headers["content-type"] for r in responses} == {"application/json"}
    feed = as_answer(responses[0])
    assert not any(isinstance(value, dict) for value in feed.values())
    text = handlebars(SNIPPETS["iterable-template"], {**values, "propensity": feed})
    assert text in ("Come back, for less.", "See what is better now.")
    assert (text == "Come back, for less.") == (feed["offer"] is not None)
    assert len({r.json()["decision_id"] for r in responses}) == len(rows(ledger, schema.decisions)) == 1
    held = as_answer(send(tool, "iterable-feed", key, handlebars, {"userId": people["held out"]}))
    with pytest.raises(Aborted):
        handlebars(SNIPPETS["iterable-template"], {"propensity": held})


def test_iterable_skips_whoever_gets_no_200(tool, key, people):
    assert send(tool, "iterable-feed", key, handlebars, {"userId": people["contacted"]}).status_code == 404
    assert send(tool, "iterable-feed", "wrong", handlebars, {"userId": people["contacted"]}).status_code == 401


def test_iterable_reports_what_was_sent(tool, key, ledger):
    for _ in range(2):
        assert send(tool, "iterable-sent", key, handlebars, {"userId": "anna"}).status_code == 202
    assert (event(ledger)["type"], event(ledger)["customer_id"]) == ("sent", "anna")


# --------------------------------------------------------------------------------------------------------- Klaviyo


def run(name: str) -> dict:
    """What a snippet of Python defines."""
    defined: dict = {}
    exec(compile(SNIPPETS[name], name, "exec"), defined)
    return defined


def test_klaviyo_gets_an_event_for_each_person_to_contact(client, people):
    contact = run("klaviyo-events")["contact"]
    with served(Answer(202)) as (url, seen), httpx.Client(base_url=url) as klaviyo:
        for _ in range(2):
            contact(client, klaviyo, [row(key) for key in people.values()])
        with Client("http://127.0.0.1:9", retries=0) as nobody:
            contact(nobody, klaviyo, [row(people["contacted"])])
    assert seen.lines == ["POST /api/events HTTP/1.1"] * 2
    assert seen.bodies[0] == seen.bodies[1]
    data = json.loads(seen.bodies[0])["data"]
    assert data["type"] == "event"
    assert data["attributes"]["profile"]["data"]["attributes"] == {"external_id": people["contacted"]}
    assert data["attributes"]["unique_id"] == data["attributes"]["properties"]["decision_id"] is not None


def test_klaviyo_repeats_a_webhook_seventeen_times_and_one_event_comes_of_it(client, tool, key, ledger):
    decision = client.decide(row("anna"), campaign=CAMPAIGN)
    values = {"event": {"decision_id": decision.decision_id, "$event_id": "x7"}, "person": {"external_id": "anna"}}
    responses = [send(tool, "klaviyo-sent", key, filled, values) for _ in range(18)]
    assert {r.status_code for r in responses} == {202}
    assert [r.json()["accepted"] for r in responses] == [1] + [0] * 17
    assert (event(ledger)["type"], event(ledger)["decision_id"]) == ("sent", decision.decision_id)
    for _ in range(18):
        assert send(tool, "klaviyo-opened", key, filled, values).status_code == 202
    assert sorted(e["type"] for e in rows(ledger, schema.events)) == ["opened", "sent"]
    assert send(tool, "klaviyo-unsubscribed", key, filled, values).json()["accepted"] == 1
    assert client.decide(row("anna"), campaign=CAMPAIGN).assignment == "suppressed"


# ----------------------------------------------------------------------------------------------------- Customer.io


def test_customer_io_asks_keeps_what_it_needs_and_reports(tool, key, ledger, client, people):
    key_of = people["contacted"].replace('"', "")  # nothing is escaped in its bodies
    values = {"customer": {"id": key_of, "churned_at": CHURNED, "consent_email": True}}
    responses = [send(tool, "customerio-ask", key, filled, values) for _ in range(3)]
    kept = filled(SNIPPETS["customerio-response"], {"response": as_answer(responses[0])})
    journey = dict(line.split(": ", 1) for line in kept.strip().splitlines())
    assert journey["propensity_send"] in ("true", "false")
    assert journey["propensity_decision_id"] == rows(ledger, schema.decisions)[0]["decision_id"]
    assert len(rows(ledger, schema.decisions)) == 1
    for _ in range(2):
        assert send(tool, "customerio-sent", key, filled, {**values, "journey": journey}).status_code == 202
    assert event(ledger)["decision_id"] == journey["propensity_decision_id"]
    assert send(tool, "customerio-unsubscribed", key, filled, values).json()["accepted"] == 1
    again = as_answer(send(tool, "customerio-ask", key, filled, values))
    assert filled(SNIPPETS["customerio-response"], {"response": again}).startswith("propensity_send: false")


def test_customer_io_reports_by_webhooks_that_are_translated(client, ledger):
    reported = run("customerio-reporting")["reported"]
    webhook = {
        "event_id": "01E4C4CT6YDC7Y5M7FE1GWWPQJ",
        "object_type": "email",
        "metric": "spammed",
        "timestamp": 1_772_701_200,
        "data": {"customer_id": "anna", "delivery_id": "x", "identifiers": {"id": "anna", "email": "a@example.org"}},
    }
    for _ in range(3):
        reported(client, webhook)
    reported(client, {**webhook, "event_id": "2", "metric": "drafted"})
    reported(client, {**webhook, "event_id": "3", "data": {}})
    found = event(ledger)
    assert (found["type"], found["customer_id"]) == ("complained", "anna")
    assert found["at"] == datetime(2026, 3, 5, 9, tzinfo=UTC)


# ---------------------------------------------------------------------------------------------------------- Python


def test_the_python_of_the_guide_runs(transport, key, ledger, monkeypatch):
    monkeypatch.setenv("PROPENSITY_API_KEY", key)
    addresses: list[str] = []

    def connected(url: str) -> Client:
        addresses.append(url)
        return Client(url, transport=transport)

    monkeypatch.setattr(client_module, "Client", connected)
    decision = run("python")["decision"]
    assert addresses == [ADDRESS]
    assert len(rows(ledger, schema.decisions)) == 1
    assert len(rows(ledger, schema.events)) == int(decision.send)
