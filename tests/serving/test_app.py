"""The HTTP application, without a server: what a campaign tool gets for what it sends."""

from __future__ import annotations

import copy
import json
import logging
import re
from datetime import UTC, datetime

import pandas as pd
import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from propensity.contract import CUSTOMERS
from propensity.decision import DECISION_COLUMNS
from propensity.features import required_columns
from propensity.ledger import Ledger, schema
from propensity.playbook import load
from propensity.policy.decide import is_held_out
from propensity_serving.app import build_app
from propensity_serving.bodies import MAX_BODY_BYTES
from propensity_serving.front import FrontPage
from propensity_serving.requests import MAX_CUSTOMERS
from propensity_serving.state import ServingState

AT = "2026-03-05T09:00:00Z"
CAMPAIGN = "spring"
NAME = "anna.secret@example.org"


@pytest.fixture
def client(state):
    with TestClient(FrontPage(build_app(state)), follow_redirects=False) as client:
        yield client


def person(customer_id: object = "anna", **values) -> dict:
    return {"customer_id": customer_id, "churned_at": "2025-12-15T00:00:00Z", "consent_email": True, **values}


def people(n: int) -> list[dict]:
    return [person(f"p{i}") for i in range(n)]


def ask(client, *customers: dict, **values):
    return client.post("/v1/decisions", json={"campaign": CAMPAIGN, "at": AT, "customers": list(customers), **values})


def decisions(client, *customers: dict, **values) -> list[dict]:
    response = ask(client, *customers, **values)
    assert response.status_code == 200, response.text
    return response.json()["decisions"]


def recorded(ledger: Ledger) -> list:
    with ledger.engine.connect() as connection:
        return list(connection.execute(sa.select(schema.decisions)).mappings())


def problem(response, status: int) -> str:
    """The sentence of a problem, its form checked."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    content = response.json()
    assert set(content) == {"type", "status", "title", "detail"}
    assert content["status"] == status
    return content["detail"]


# ------------------------------------------------------------------------------------------------------- decisions


def test_one_customer_gets_a_decision_with_every_key(client, ledger, email_playbook):
    response = client.post("/v1/decisions", json={"campaign": CAMPAIGN, "at": AT, "customer": person()})
    (decision,) = response.json()["decisions"]
    assert set(decision) == {*DECISION_COLUMNS, "status"}
    assert (decision["status"], decision["customer_id"], decision["campaign"]) == ("decided", "anna", CAMPAIGN)
    assert decision["send"] is True
    assert decision["action"] in email_playbook.labels
    assert 0 < decision["probability"] <= 1
    assert [row["answer"] for row in recorded(ledger)] == [{k: decision[k] for k in DECISION_COLUMNS}]


def test_many_customers_get_decisions_in_the_order_asked(client, ledger):
    found = decisions(client, *people(MAX_CUSTOMERS))
    assert [d["customer_id"] for d in found] == [f"p{i}" for i in range(MAX_CUSTOMERS)]
    assert {d["assignment"] for d in found} >= {"policy", "holdout", "explore"}
    assert len(recorded(ledger)) == MAX_CUSTOMERS


def test_a_decision_asked_alone_is_the_one_asked_among_many(client):
    among = decisions(client, *people(50), dry_run=True)
    alone = decisions(client, person("p17"), dry_run=True)
    assert alone == [among[17]]


def test_decisions_are_told_in_words_where_asked_and_recorded_without(client, ledger):
    found = decisions(client, *people(30), explain=True)
    assert all(d["explanation"].endswith(".") and "_" not in d["explanation"] for d in found)
    assert all("explanation" not in row["answer"] for row in recorded(ledger))
    assert all("explanation" not in d for d in decisions(client, *people(30)))


def test_a_holdout_is_not_sent_anything_and_is_as_large_as_planned(client, email_playbook):
    found = pd.DataFrame(decisions(client, *people(1_000)))
    held = is_held_out(found["customer_id"], CAMPAIGN, email_playbook.learning)
    assert ((found["assignment"] == "holdout").to_numpy() == held).all()
    assert not found.loc[held, "send"].any()
    assert set(found.loc[held, "action"]) == {"control"}
    assert (found.loc[held, "cost"] == 0).all()


def test_a_repeat_gives_the_same_answer_and_one_row(client, ledger):
    first = decisions(client, person())
    assert decisions(client, person(annual_value=9_999)) == first
    # later in the same decision window
    assert decisions(client, person(), at="2026-03-06T09:00:00Z") == first
    assert len(recorded(ledger)) == 1


def test_another_campaign_or_window_is_another_decision(client, ledger):
    ids = {
        decisions(client, person(), **kw)[0]["decision_id"]
        for kw in ({}, {"campaign": "b"}, {"at": "2026-06-01T00:00:00Z"})
    }
    assert len(ids) == len(recorded(ledger)) == 3


def test_a_dry_run_decides_and_writes_nothing(client, ledger):
    (dry,) = decisions(client, person(), dry_run=True)
    assert (dry["status"], dry["decision_id"]) == ("decided", None)
    assert recorded(ledger) == []
    (real,) = decisions(client, person())
    assert {k: v for k, v in real.items() if k != "decision_id"} == {k: v for k, v in dry.items() if k != "decision_id"}


def test_scenarios_of_a_dry_run_are_compared_and_nothing_is_written(client, ledger, email_playbook):
    shorter = email_playbook.model_dump(mode="json")
    shorter["program"]["horizon_days"] = 31
    scenarios = [{"name": "poor", "budget": 2}, {"name": "later", "playbook": shorter}]
    response = ask(client, *people(200), dry_run=True, scenarios=scenarios)
    found = response.json()["what_if"]
    assert recorded(ledger) == []
    as_it_is, poor, later = found["scenarios"]
    assert as_it_is["contacted"] == sum(d["send"] for d in response.json()["decisions"])
    assert as_it_is["playbook_version"] == poor["playbook_version"] == email_playbook.version
    assert later["playbook_version"] != email_playbook.version
    assert 0 < poor["contacted"] < as_it_is["contacted"]
    assert later["contacted"] == 0
    assert "what_if" not in ask(client, person(), dry_run=True).json()


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ({"budget": "much"}, "budget: expected a number"),
        ({"channels.fax.cost_currency": 1}, "is no setting of the playbook"),
        ({"playbook": "/etc/hostname"}, "expected a playbook as an object, or one of"),
        ({"playbook": {"name": "x"}}, "scenarios.playbook: .*is missing"),
    ],
)
def test_a_scenario_that_cannot_be_is_refused(client, scenario, said):
    assert re.search(said, problem(ask(client, person(), dry_run=True, scenarios=[scenario]), 422))


def test_scenarios_are_for_dry_runs(client):
    assert "dry_run" in problem(ask(client, person(), scenarios=[{"budget": 1}]), 422)


def opt_out(ledger: Ledger, customer_id: str) -> None:
    row = {"event_id": "1", "source": "esp", "customer_id": customer_id, "at": pd.Timestamp(AT), "type": "unsubscribed"}
    ledger.add_outcomes(pd.DataFrame([row]))


def test_people_who_opted_out_or_were_erased_are_suppressed(client, ledger):
    opt_out(ledger, "anna")
    ledger.erase("bert")
    found = decisions(client, person("anna"), person("bert"), person("carl"))
    assert [d["assignment"] for d in found[:2]] == ["suppressed"] * 2
    assert [d["send"] for d in found] == [False, False, True]
    assert found[0]["reason_codes"] == ["suppressed"]
    assert {row["customer_id"] for row in recorded(ledger)} == {"anna", "carl"}


def test_opting_out_beats_the_decision_that_stands(client, ledger):
    assert [d["send"] for d in decisions(client, person("anna"), person("bert"))] == [True, True]
    opt_out(ledger, "anna")
    ledger.erase("bert")
    assert [d["send"] for d in decisions(client, person("anna"), person("bert"))] == [False, False]


def test_without_consent_nothing_is_sent(client):
    found = decisions(
        client, person("a", consent_email=False), person("b", consent_email=None), person("c", churned_at=AT)
    )
    assert [d["reason_codes"] for d in found] == [["no_consent_email"], ["no_consent_email"], ["cooling_off"]]
    assert not any(d["send"] for d in found)


# --------------------------------------------------------------------------------------- by what the ledger knows


def happened(ledger: Ledger, customer_id: str, kind: str, at: str) -> None:
    row = {"event_id": f"{kind}-{customer_id}", "source": "shop", "customer_id": customer_id, "type": kind}
    ledger.add_outcomes(pd.DataFrame([{**row, "at": pd.Timestamp(at)}]))


def test_what_another_campaign_decided_to_send_is_a_touch(client):
    (sent,) = decisions(client, person())
    (other,) = decisions(client, person(), campaign="other", at="2026-03-05T10:00:00Z")
    assert (sent["send"], other["send"]) == (True, False)
    assert other["reason_codes"] == ["touched_too_recently"]
    # asked again, it is not in its own way
    assert decisions(client, person(), at="2026-03-05T10:00:00Z") == [sent]
    (dry,) = decisions(client, person(), at="2026-03-05T10:00:00Z", dry_run=True)
    assert dry["action"] == sent["action"]


def test_coming_back_beats_the_decision_that_stands(client, ledger):
    assert [d["send"] for d in decisions(client, person("anna"), person("bert"))] == [True, True]
    happened(ledger, "anna", "purchased", "2026-03-05T09:30:00Z")
    found = decisions(client, person("anna"), person("bert"), at="2026-03-05T10:00:00Z")
    assert [d["send"] for d in found] == [False, True]
    assert found[0]["reason_codes"] == ["already_back"]


def test_what_a_decision_was_made_from_is_recorded_with_it_and_nothing_else(client, ledger):
    decisions(client, person(annual_value=120, shoe_size=44))
    decisions(client, person(annual_value=9_999), at="2026-03-06T09:00:00Z")  # the first decision stands
    decisions(client, person("bert"), dry_run=True)
    snapshots = ledger.customers(CAMPAIGN)
    assert snapshots["customer_id"].tolist() == ["anna"]
    assert snapshots["annual_value"].tolist() == [120]
    assert snapshots["as_of"].tolist() == [pd.Timestamp(AT)]
    assert "shoe_size" not in snapshots


@pytest.fixture
def after_wave(ledger, small_model):
    """Records a wave that left these terms."""

    def record(*, price=0.0, weights=1.0, amount=1e6, used=0.0, weeks=1.0, **values):
        row = {
            "campaign": CAMPAIGN,
            "decided_at": datetime(2026, 3, 4, tzinfo=UTC),
            "recorded_at": datetime(2026, 3, 4, tzinfo=UTC),
            "model_version": small_model.version,
            "playbook_version": small_model.playbook.version,
            "people": 1,
            "standing": 0,
            "budget": amount,
            "weeks": weeks,
            "limits": {"budget": {"amount": amount, "used": used, "price": price}},
            "terms": {
                "prices": {"budget": price},
                "explore_weights": dict.fromkeys(small_model.actions[1:], weights),
            },
            "funnel": [],
            "file_sha256": "",
            **values,
        }
        with ledger.engine.begin() as connection:
            connection.execute(schema.waves.insert().values(row))

    return record


def assigned(client, n: int = 400, **values) -> pd.Series:
    found = pd.DataFrame(decisions(client, *people(n), dry_run=True, **values))
    return found.loc[found["send"], "assignment"].value_counts()


@pytest.mark.parametrize(
    "terms",
    [
        {},
        {"price": 1e6, "campaign": "another"},
        {"price": 1e6, "playbook_version": "another"},
        {"price": 1e6, "decided_at": datetime(2026, 3, 6, tzinfo=UTC)},
    ],
    ids=["free", "campaign", "playbook", "later"],
)
def test_terms_that_are_free_or_of_another_wave_change_nothing(client, after_wave, terms):
    alone = assigned(client)
    after_wave(**terms)
    assert assigned(client).equals(alone)


def test_at_the_last_wave_s_prices_only_what_is_worth_them_is_sent(client, after_wave):
    alone = assigned(client)
    after_wave(price=0.0)
    after_wave(price=1e6)  # the latest counts
    found = assigned(client)
    assert set(found.index) == {"explore"}
    assert found["explore"] >= alone["explore"]
    silent = pd.DataFrame(decisions(client, *people(400), dry_run=True))
    assert silent["reason_codes"].str[0].value_counts()["limits_reached"] == alone["policy"]


def test_exploration_has_the_last_wave_s_weights(client, after_wave):
    assert assigned(client)["explore"] > 0
    after_wave(weights=0.0)
    assert set(assigned(client).index) == {"policy"}


def test_what_the_wave_and_single_decisions_used_up_is_used_up_until_its_weeks_are_over(
    client, ledger, small_model, after_wave, monkeypatch
):
    book = small_model.playbook
    email = book.channels["email"].model_copy(update={"capacity_per_week": 10})
    monkeypatch.setattr(
        small_model, "playbook", book.model_copy(update={"channels": {**book.channels, "email": email}})
    )
    used = {"email": {"amount": 10, "used": 4.0, "price": 0.0}}
    after_wave(budget=None, limits=used, terms={"prices": {"email": 0.0}, "explore_weights": {}})
    found = pd.DataFrame([decisions(client, p)[0] for p in people(20)])
    assert found["send"].sum() == 6
    last = found.index[found["send"]].max()
    late = found.iloc[last + 1 :]
    assert "limits_reached" in set(late["reason_codes"].str[0])
    # nobody gets by exploration what is used up, and the chances say so
    chances = ledger.assignments(CAMPAIGN).set_index("customer_id")["probability_control"]
    assert (chances[late["customer_id"]] == 1).all()
    assert (chances[found["customer_id"].iloc[: last + 1]] < 1).all()
    again = pd.DataFrame([decisions(client, person(f"q{i}"), at="2026-03-11T12:00:00Z")[0] for i in range(8)])
    assert again["send"].sum() == 4
    weeks_later = pd.DataFrame([decisions(client, person(f"r{i}"), at="2026-03-30T12:00:00Z")[0] for i in range(14)])
    assert weeks_later["send"].sum() == 10


# ------------------------------------------------------------------------------------------------------ rejections


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"churned_at": "yesterday"}, "churned_at"),
        ({"churned_at": None}, "churned_at"),
        ({"churned_at": [[[]]]}, "churned_at"),
        ({"customer_id": None}, "customer_id"),
        ({"customer_id": " "}, "customer_id"),
        ({"customer_id": {"id": 1}}, "customer_id"),
        ({"customer_id": True}, "customer_id"),
        ({"annual_value": "lots"}, "annual_value"),
        ({"annual_value": -1}, "annual_value"),
        ({"annual_value": 10**400}, "annual_value"),
        ({"annual_value": [1]}, "annual_value"),
        ({"plan_tier": {"a": 1}}, "plan_tier"),
        ({"reason": "bored"}, "reason"),
        ({"consent_email": "perhaps"}, "consent_email"),
        ({"as_of": "soon"}, "as_of"),
    ],
)
def test_a_faulty_customer_is_rejected_and_the_others_are_not(client, ledger, values, named):
    faulty, sound = decisions(client, person(**values), person("bert"))
    assert (faulty["status"], sound["status"]) == ("rejected", "decided")
    assert set(faulty) == {"customer_id", "status", "error"}
    assert faulty["error"].startswith(f"{named}: expected")
    assert [row["customer_id"] for row in recorded(ledger)] == ["bert"]


def test_an_empty_customer_is_rejected(client):
    (alone,) = client.post("/v1/decisions", json={"campaign": CAMPAIGN, "customer": {}}).json()["decisions"]
    assert alone["status"] == "rejected"
    assert "churned_at" in alone["error"]


def test_the_same_customer_twice_is_rejected_twice(client):
    found = decisions(client, person("a"), person("a"), person("b"))
    assert [d["status"] for d in found] == ["rejected", "rejected", "decided"]


def test_what_the_model_does_not_know_is_ignored(client):
    told = decisions(client, person(shoe_size=44, notes={"free": ["text"]}), dry_run=True)
    assert told == decisions(client, person(), dry_run=True)


# -------------------------------------------------------------------------------------------------------- problems


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([], "body: expected an object, found a list"),
        ("x", 'body: expected an object, found "x"'),
        ({}, "campaign: is missing"),
        ({"campaign": "c"}, "expected either 'customer'"),
        ({"campaign": "c", "customer": person(), "customers": [person()]}, "expected either 'customer'"),
        ({"campaign": "", "customer": person()}, "campaign: expected a name, found a blank"),
        ({"campaign": 5, "customer": person()}, "campaign: expected a text, found 5"),
        ({"campaign": "x" * 201, "customer": person()}, "campaign: expected at most 200 characters"),
        ({"campaign": "c", "customer": [person()]}, "customer: expected an object, found a list"),
        ({"campaign": "c", "customers": person()}, "customers: expected a list, found an object"),
        ({"campaign": "c", "customers": []}, "customers: expected at least one"),
        ({"campaign": "c", "customers": ["anna"]}, "customers.0: expected an object"),
        ({"campaign": "c", "customers": people(1_001)}, "customers: expected at most 1,000, found 1,001"),
        ({"campaign": "c", "custmer": person()}, "custmer: is not a key of a request; the keys are campaign, customer"),
        ({"campaign": "c", "customer": person(), "at": "2026-03-05T09:00:00"}, "at: expected a time with a time zone"),
        ({"campaign": "c", "customer": person(), "at": "soon"}, "at: expected a time with a time zone, such as"),
        ({"campaign": " ", "customer": person()}, "campaign: expected a name, found a blank"),
        ({"campaign": "c", "customer": person(), "dry_run": "perhaps"}, "dry_run: expected"),
    ],
)
def test_a_request_that_is_not_understood_is_told_where_and_why(client, ledger, content, sentence):
    detail = problem(client.post("/v1/decisions", json=content), 422)
    assert sentence in detail
    assert len(detail) < 300
    assert recorded(ledger) == []


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_the_ends_of_time_are_decided_without_contact(client, at):
    (found,) = decisions(client, person(churned_at="0001-01-01T00:00:00Z"), at=at)
    assert found["send"] is False


@pytest.mark.parametrize(
    ("faulty", "sentence"),
    [
        ({"reason": "bored"}, "reason: expected one of price, product_gap"),
        ({"annual_value": -5}, "annual_value: expected at least 0 currency a year"),
        ({"tenure_months": "many"}, "tenure_months: expected a number"),
        ({"churned_at": "2026-04-15T00:00:00Z"}, "churned_at: expected a time no later than the row's as_of"),
        ({"as_of": "2025-12-01T00:00:00Z"}, "churned_at: expected a time no later than the row's as_of"),
        ({"as_of": "2026-04-15T00:00:00Z"}, "as_of: expected a time no later than the decision"),
        ({"time_zone": "Berlin"}, "time_zone: expected a time zone such as Europe/Berlin"),
    ],
)
def test_a_fault_rejects_its_row_and_no_other(client, ledger, faulty, sentence):
    bad, good = decisions(client, person("bad", **faulty), person("good", time_zone=None))
    assert (bad["customer_id"], bad["status"]) == ("bad", "rejected")
    assert sentence in bad["error"]
    assert (good["customer_id"], good["status"]) == ("good", "decided")
    assert [row["customer_id"] for row in recorded(ledger)] == ["good"]


def test_a_customer_twice_in_a_request_is_rejected_also_as_of_two_times(client):
    days = ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")
    found = decisions(client, person("a"), *(person("b", as_of=day) for day in days), person("c"), person("c"))
    assert [d["status"] for d in found] == ["decided", *["rejected"] * 4]
    assert all("customer_id: expected each customer once" in d["error"] for d in found[1:])


def test_whose_only_actions_were_not_learnt_is_told_so(small_model, ledger):
    book, sms = small_model.playbook, load("default").actions["miss_you_sms_percent_off"]
    model = copy.copy(small_model)
    model.playbook = book.model_copy(update={"actions": {**book.actions, "miss_you_sms_percent_off": sms}})
    state = ServingState(model=model, ledger=ledger, serving_since=datetime.now(UTC))
    people = [person(name, consent_email=False, consent_sms=name == "a") for name in "ab"]
    with TestClient(build_app(state)) as client:
        found = decisions(client, *people, explain=True)
    assert [d["reason_codes"] for d in found] == [["no_learnt_action"], ["no_consent_email"]]
    assert [d["assignment"] for d in found] == ["suppressed"] * 2
    assert found[0]["explanation"] == "Not contacted: may get only what the model has not learnt."


def test_a_condition_on_a_column_that_nobody_sends_is_met_by_nobody(small_model, ledger):
    book = small_model.playbook
    actions = {k: a.model_copy(update={"only": {"loyalty_card": ("gold",)}}) for k, a in book.actions.items()}
    model = copy.copy(small_model)
    model.playbook = book.model_copy(update={"actions": actions})
    state = ServingState(model=model, ledger=ledger, serving_since=datetime.now(UTC))
    with TestClient(build_app(state)) as client:
        without, gold = decisions(client, person("a")), decisions(client, person("b", loyalty_card="gold"))
    assert without[0]["reason_codes"] == ["not_for_segment"]
    assert gold[0]["reason_codes"] != ["not_for_segment"]


VALID = json.dumps({"campaign": CAMPAIGN, "at": AT, "customers": [person("anna", plan_tier="HERE")]})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        VALID.replace('"HERE"', "NaN").encode(),
        VALID.replace('"anna"', "NaN").encode(),
        VALID.replace("HERE", "\\ud800").encode(),
        VALID.replace("anna", "\\udfff").encode(),
        VALID.replace("anna", "a\\u0000b").encode(),
    ],
    ids=["empty", "cut", "not_utf8", "deep_list", "deep_object", "nan", "nan_id", "half_character", "half_id", "nul"],
)
def test_a_body_that_is_not_json_is_a_problem(client, body):
    assert "the body" in problem(client.post("/v1/decisions", content=body), 400)


@pytest.mark.parametrize("depth", [100, 900, 950, 975, 990])
def test_no_depth_of_nesting_is_an_internal_fault(client, depth):
    body = VALID.replace('"HERE"', "[" * depth + "]" * depth)
    assert client.post("/v1/decisions", content=body).status_code in (200, 400)


def test_every_character_of_the_world_may_be_in_a_key(client):
    (found,) = decisions(client, person("Zoë \\u0000 \U0001f600 名前"))
    assert found["customer_id"] == "Zoë \\u0000 \U0001f600 名前"


def test_a_body_too_large_is_refused_whether_or_not_its_length_is_announced(client):
    whole = b" " * (MAX_BODY_BYTES + 1)
    assert "send fewer" in problem(client.post("/v1/decisions", content=whole), 413)
    chunks = (b" " * 65_536 for _ in range(MAX_BODY_BYTES // 65_536 + 1))
    assert "send fewer" in problem(client.post("/v1/decisions", content=chunks), 413)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/decisions", 405),
        ("POST", "/v1/models", 405),
        ("GET", "/nothing", 404),
        ("DELETE", "/v1/decisions/x", 405),
    ],
)
def test_a_wrong_path_or_method_is_a_problem(client, method, path, status):
    assert problem(client.request(method, path), status) == f"{method} {path}"


def test_before_the_model_is_loaded_it_is_not_ready():
    client = TestClient(build_app(ServingState()))
    assert "try again" in problem(ask(client, person()), 503)
    assert "try again" in problem(client.get("/v1/models"), 503)


def test_an_internal_fault_tells_the_caller_and_the_log_nothing_of_the_customer(
    client, state, ledger, monkeypatch, caplog
):
    def fail(*_, **__):
        raise RuntimeError(f"cannot store {NAME}")

    monkeypatch.setattr(ledger, "add_decisions", fail)
    with caplog.at_level(logging.DEBUG):
        detail = problem(ask(client, person(NAME)), 500)
    assert detail == "the request could not be answered; it has been logged"
    *_, line = [r.getMessage() for r in caplog.records if r.name == "propensity.serving"]
    assert re.fullmatch(r"a request failed: RuntimeError at \S+test_app\.py:\d+", line)
    assert NAME not in caplog.text


def test_a_ledger_whose_tables_are_gone_contacts_nobody_and_logs_no_data(client, ledger, caplog):
    schema.metadata.drop_all(ledger.engine)
    (decision,) = ask(client, person(NAME)).json()["decisions"]
    assert (decision["send"], decision["reason_codes"]) == (False, ["ledger_unavailable"])
    assert NAME not in caplog.text


# ------------------------------------------------------------------------------------------- what it says of itself


@pytest.fixture
def openapi(client):
    return client.get("/openapi.json").json()


def test_openapi_describes_exactly_the_keys_of_a_decision(openapi):
    described = openapi["components"]["schemas"]["Decision"]["properties"]
    assert set(described) == {*DECISION_COLUMNS, "status", "error", "explanation"}


def test_openapi_describes_exactly_the_columns_of_a_customer(openapi, email_playbook):
    columns = {c.name for c in (*CUSTOMERS, *required_columns(email_playbook))}
    assert set(openapi["components"]["schemas"]["Customer"]["properties"]) == columns


def test_every_answer_has_the_types_that_openapi_promises(client, openapi):
    words = {str: ["string"], bool: ["boolean"], float: ["number"], int: ["integer", "number"], list: ["array"]}
    words[type(None)] = ["null"]
    promised = openapi["components"]["schemas"]["Decision"]["properties"]
    customers = [*people(200), person("x", churned_at="soon"), person(None), person("y", consent_email=False)]
    for found in decisions(client, *customers):
        for key, value in found.items():
            allowed = promised[key]["type"]
            assert {*words[type(value)]} & ({allowed} if isinstance(allowed, str) else {*allowed}), key
            assert value is None or value in promised[key].get("enum", [value])


def test_models_says_what_serves(client, small_model):
    found = client.get("/v1/models").json()
    assert found["model_version"] == small_model.version
    assert found["playbook_version"] == small_model.playbook.version


def test_the_front_page_loads_nothing_from_outside(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert not re.search(r"https?://|src=\"//|href=\"//", page.text)


def test_the_pages_of_experiments_are_mounted(client, ledger):
    moved = client.get("/experiments")
    assert (moved.status_code, moved.headers["location"]) == (307, "/experiments/")
    assert "no experiment yet" in client.get("/experiments/").text
    lost = client.get("/experiments/<script>alert(1)</script>")
    assert lost.status_code == 404
    assert "<script>alert" not in lost.text


def test_the_chance_of_every_action_is_recorded_for_learning(client, state):
    (answer,) = decisions(client, person("chances"))
    (row,) = [r for r in recorded(state.ledger) if r["decision_id"] == answer["decision_id"]]
    assert sum(row["probabilities"].values()) == pytest.approx(1.0)
    assert row["probabilities"][answer["action"]] == pytest.approx(answer["probability"])


def test_what_was_known_only_after_the_decision_is_refused(client):
    late, known = decisions(client, person("late", as_of="2099-01-01"), person("known"))
    assert late["status"] == "rejected"
    assert "as_of: expected a time no later than the decision" in late["error"]
    assert known["status"] == "decided"
