"""Calls at the same time, repeats, and a model that is late or fails: what the caller gets, and what is recorded."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pandas as pd
import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from propensity.contract import CONTROL
from propensity.decide_by_rules import decide_by_rules
from propensity.ledger import Ledger, schema
from propensity.pages.decision_words import explanation
from propensity.policy.decide import holdout_share, is_held_out
from propensity_serving import answering
from propensity_serving.answering import BUDGET_VARIABLE
from propensity_serving.app import build_app
from propensity_serving.state import ServingState

AT = "2026-03-05T09:00:00Z"
CAMPAIGN = "spring"


def person(customer_id: object = "anna", **values) -> dict:
    return {"customer_id": customer_id, "churned_at": "2025-12-15T00:00:00Z", "consent_email": True, **values}


def ask(client, *customers: dict, campaign: str = CAMPAIGN, **values) -> list[dict]:
    asked = {"campaign": campaign, "at": AT, "customers": list(customers), **values}
    response = client.post("/v1/decisions", json=asked)
    assert response.status_code == 200, response.text
    return response.json()["decisions"]


def recorded(ledger: Ledger) -> list:
    with ledger.engine.connect() as connection:
        return list(connection.execute(sa.select(schema.decisions)).mappings())


def slowly(decide, gate: threading.Event):
    """Deciding that waits for the gate."""

    def wait(*arguments, **settings):
        gate.wait(30)
        return decide(*arguments, **settings)

    return wait


# ------------------------------------------------------------------------------------------------------------ repeats


def test_a_repeat_is_answered_without_the_model(client, ledger, monkeypatch):
    first = ask(client, person(), person("bert"))
    monkeypatch.setattr(answering, "decide_online", lambda *_, **__: pytest.fail("the model was asked"))
    assert ask(client, person(), person("bert")) == first
    assert ask(client, person("bert", tenure_months=3)) == first[1:]
    assert len(recorded(ledger)) == 2


def test_of_a_call_only_what_is_new_is_decided(client, monkeypatch):
    (first,) = ask(client, person())
    seen: list[list[str]] = []
    decide = answering.decide_online

    def watched(model, ledger, customers, **settings):
        seen.append(customers.ids)
        return decide(model, ledger, customers, **settings)

    monkeypatch.setattr(answering, "decide_online", watched)
    answers = ask(client, person("bert"), person(), {"customer_id": "bad"})
    assert [a["status"] for a in answers] == ["decided", "decided", "rejected"]
    assert answers[1] == first
    assert seen == [["bert"]]


@pytest.mark.parametrize("kind", ["unsubscribed", "complained", "reactivated"])
def test_a_repeat_after_an_event_that_may_withdraw_it_is_decided_anew(client, ledger, kind):
    sent = next(d for d in ask(client, *[person(f"p{i}") for i in range(30)]) if d["send"])
    event = {"event_id": "1", "source": "shop", "customer_id": sent["customer_id"], "type": kind}
    ledger.add_outcomes(pd.DataFrame([event]).assign(at=pd.Timestamp("2026-03-04T00:00:00Z")))
    (again,) = ask(client, person(sent["customer_id"]))
    assert (again["send"], again["assignment"]) == (False, "suppressed")
    assert again["decision_id"] == sent["decision_id"]


@pytest.mark.parametrize("said", [False, "no", 0])
def test_a_contact_that_stands_is_withdrawn_by_whoever_takes_the_consent_back(client, ledger, said):
    sent = next(d for d in ask(client, *[person(f"p{i}") for i in range(30)]) if d["channel"] == "email")
    key, before = sent["customer_id"], recorded(ledger)
    (again,) = ask(client, person(key, consent_email=said))
    assert (again["send"], again["action"], again["assignment"]) == (False, CONTROL, "suppressed")
    assert again["reason_codes"] == ["no_consent_email"]
    assert again["decision_id"] == sent["decision_id"]
    assert recorded(ledger) == before
    told = explanation(again, "USD")
    assert told == "Not contacted: gave no consent for email."
    # without the column, or where another consent is taken back, the decision stands
    without = {name: value for name, value in person(key).items() if name != "consent_email"}
    assert ask(client, without, person("new"))[:1] == [sent]
    assert ask(client, person(key, consent_sms=False)) == [sent]
    # as whoever opts out is answered, but for the reason
    event = {"event_id": "1", "source": "shop", "customer_id": key, "type": "unsubscribed"}
    ledger.add_outcomes(pd.DataFrame([event]).assign(at=pd.Timestamp("2026-03-04T00:00:00Z")))
    (opted_out,) = ask(client, person(key))
    assert {**again, "reason_codes": ["suppressed"]} == opted_out


def test_a_consent_that_is_taken_back_counts_where_an_event_made_the_decision_anew(client, ledger):
    sent = next(d for d in ask(client, *[person(f"p{i}") for i in range(30)]) if d["channel"] == "email")
    event = {"event_id": "1", "source": "shop", "customer_id": sent["customer_id"], "type": "purchased"}
    # before they left: it withdraws nothing
    ledger.add_outcomes(pd.DataFrame([event]).assign(at=pd.Timestamp("2025-06-04T00:00:00Z")))
    assert ask(client, person(sent["customer_id"])) == [sent]
    (again,) = ask(client, person(sent["customer_id"], consent_email=False))
    assert (again["send"], again["reason_codes"]) == (False, ["no_consent_email"])


def test_an_erased_person_gets_nothing_again(client, ledger):
    sent = next(d for d in ask(client, *[person(f"p{i}") for i in range(30)]) if d["send"])
    ledger.erase(sent["customer_id"])
    (again,) = ask(client, person(sent["customer_id"]))
    assert (again["send"], again["reason_codes"]) == (False, ["suppressed"])


# ----------------------------------------------------------------------------------------------------------- campaigns


def test_a_campaign_is_in_the_ledger_with_its_first_recorded_decision(client, state, ledger, small_model, monkeypatch):
    book, written = small_model.playbook, []
    monkeypatch.setattr(
        ledger, "add_campaign", lambda *a, add=ledger.add_campaign, **v: (written.append(a), add(*a, **v))
    )
    ask(client, person(), dry_run=True)
    assert ledger.campaigns() == []
    ask(client, person())
    about = ledger.campaign(CAMPAIGN)
    assert (about["title"], about["follows"], about["started_at"].isoformat()) == (CAMPAIGN, None, AT[:-1] + "+00:00")
    assert (about["currency"], about["window_days"]) == (book.currency, book.program.attribution_window_days)
    assert (about["reactivated_word"], about["reactivated_words"]) == ("return", "returns")
    assert about["playbook"] == book.model_dump(mode="json")
    ask(client, person("bert"), person("carl"))
    assert written == [(CAMPAIGN,)]


def test_a_campaign_that_is_there_stays_as_it_began_when_the_rules_decide(client, ledger, monkeypatch):
    began = {"title": "Spring!", "follows": None, "currency": "EUR", "window_days": 30.0, "playbook": None}
    words = {"reactivated_word": "visit", "reactivated_words": "visits", "started_at": datetime(2026, 1, 1, tzinfo=UTC)}
    other = Ledger(ledger.engine.url.render_as_string(hide_password=False))
    other.add_campaign(CAMPAIGN, **began, **words)  # another process
    other.close()
    monkeypatch.setattr(answering, "decide_online", lambda *_, **__: 1 / 0)
    ask(client, person())
    ask(client, person(), campaign="by rules")
    assert [c["title"] for c in ledger.campaigns()] == ["Spring!", "by rules"]


def test_blanks_around_a_campaign_make_no_other(client, ledger):
    (first,) = ask(client, person(), campaign=CAMPAIGN)
    assert ask(client, person(), campaign=f"  {CAMPAIGN}\t") == [first]
    assert first["campaign"] == CAMPAIGN
    assert client.put("/v1/customers", json=person()).status_code == 200
    again = client.get("/v1/decisions/anna", params={"campaign": f" {CAMPAIGN} ", "at": AT})
    assert again.json()["decision_id"] == first["decision_id"]
    assert [c["campaign"] for c in ledger.campaigns()] == [CAMPAIGN]


# ---------------------------------------------------------------------------------------------------- at the same time


def test_calls_at_the_same_time_are_decided_in_one_go_and_as_alone(client, small_model, ledger, tmp_path, monkeypatch):
    gate, sizes = threading.Event(), []
    decide = answering.decide_online

    def counted(model, ledger, customers, **settings):
        gate.wait(30)
        sizes.append(len(customers))
        return decide(model, ledger, customers, **settings)

    monkeypatch.setattr(answering, "decide_online", counted)
    with ThreadPoolExecutor(20) as threads:
        answers = [threads.submit(ask, client, person(f"p{i}")) for i in range(20)]
        time.sleep(0.5)  # all are there, one of them being decided
        gate.set()
        together = [a.result()[0] for a in answers]
    assert sum(sizes) == 20
    assert len(sizes) <= 5
    other = Ledger(f"sqlite:///{tmp_path / 'other.db'}").create()
    monkeypatch.setattr(answering, "decide_online", decide)
    with TestClient(build_app(ServingState(small_model, other, datetime.now(UTC)))) as alone:
        assert [ask(alone, person(f"p{i}"))[0] for i in range(20)] == together
    other.close()


def test_one_person_in_many_calls_at_once_has_one_decision(client, ledger):
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda i: ask(client, person(tenure_months=i))[0], range(60)))
    assert all(a == answers[0] for a in answers)
    assert len(recorded(ledger)) == 1


def test_campaigns_and_times_are_kept_apart(client):
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda i: ask(client, person(f"p{i}"), campaign=f"c{i % 3}")[0], range(12)))
    assert [(a["customer_id"], a["campaign"]) for a in answers] == [(f"p{i}", f"c{i % 3}") for i in range(12)]


def test_a_call_on_which_the_model_fails_harms_no_other(client, monkeypatch):
    gate, decide = threading.Event(), answering.decide_online

    def fail_for_one(model, ledger, customers, **settings):
        gate.wait(30)
        if "poison" in customers.ids:
            raise RuntimeError("a fault of the model")
        return decide(model, ledger, customers, **settings)

    monkeypatch.setattr(answering, "decide_online", fail_for_one)
    keys = ["p0", "p1", "poison", "p3"]
    with ThreadPoolExecutor(4) as threads:
        answers = [threads.submit(ask, client, person(key)) for key in keys]
        time.sleep(0.3)
        gate.set()
        found = {a.result()[0]["customer_id"]: a.result()[0] for a in answers}
    assert set(found) == set(keys)
    assert found["poison"]["reason_codes"] in (["decided_by_rules"], ["held_out_to_measure"])
    assert all(found[key]["uplift"] is not None for key in keys if key != "poison")


# ----------------------------------------------------------------------------------------------------------- too late


def test_a_model_that_is_late_is_replaced_by_the_rules_and_stays_so(state, ledger, monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(answering, "decide_online", slowly(answering.decide_online, gate))
    monkeypatch.setenv(BUDGET_VARIABLE, "0.2")
    with TestClient(build_app(state)) as client:
        answers = ask(client, *[person(f"p{i}", reason="disengaged") for i in range(40)])
        gate.set()  # the model answers after all
        time.sleep(1)
        assert ask(client, *[person(f"p{i}") for i in range(40)]) == answers
    sent = [a for a in answers if a["send"]]
    assert {a["assignment"] for a in sent} == {"fallback"}
    assert {a["action"] for a in sent} == {"miss_you_email_percent_off"}  # the archetype of their reason
    assert {a["assignment"] for a in answers} <= {"fallback", "holdout"}
    rows = {row["decision_id"]: row for row in recorded(ledger)}
    assert {key: row["action"] for key, row in rows.items()} == {a["decision_id"]: a["action"] for a in answers}
    assert "chosen because the playbook's rules call for it" in explanation(sent[0], "USD")


@pytest.mark.parametrize("kind", ["unsubscribed", "complained", "reactivated", "erased"])
def test_rules_in_the_models_place_contact_nobody_who_refused_since(client, ledger, monkeypatch, kind):
    sent = next(d for d in ask(client, *[person(f"p{i}") for i in range(30)]) if d["send"])
    if kind == "erased":
        ledger.erase(sent["customer_id"])
    else:
        event = {"event_id": "1", "source": "shop", "customer_id": sent["customer_id"], "type": kind}
        ledger.add_outcomes(pd.DataFrame([event]).assign(at=pd.Timestamp("2026-03-04T00:00:00Z")))

    def fail(*_, **__):
        raise RuntimeError("a fault of the model")

    monkeypatch.setattr(answering, "decide_online", fail)
    (again,) = ask(client, person(sent["customer_id"]))
    assert (again["send"], again["assignment"]) == (False, "suppressed")


def test_chances_of_the_rules_are_those_of_the_holdout(small_model, ledger):
    people = pd.DataFrame([person(f"p{i}", reason="disengaged") for i in range(2_000)])
    at = pd.Timestamp(AT)
    people["churned_at"], people["as_of"] = pd.Timestamp("2025-12-15T00:00:00Z"), at
    answers = pd.DataFrame(decide_by_rules(small_model, ledger, people, at=at, campaign=CAMPAIGN))
    learning = small_model.playbook.learning
    held_out = is_held_out(people["customer_id"], CAMPAIGN, learning)
    assert (answers["assignment"] == "holdout").tolist() == held_out.tolist()
    assert (answers["send"] == ~held_out).all()
    share = holdout_share(learning)
    assert answers.loc[answers["send"], "probability"].to_numpy() == pytest.approx(1 - share)
    assert answers.loc[~answers["send"], "probability"].to_numpy() == pytest.approx(share)
    chances = ledger.assignments(CAMPAIGN).filter(like="probability_")
    assert chances.sum(axis=1).to_numpy() == pytest.approx(1.0)
    assert answers["uplift"].isna().all()


def test_rules_leave_scarce_channels_to_the_model(wave_model, wave, ledger, monkeypatch):
    people = wave.unseen_customers.head(3_000)
    at = people["as_of"].max()
    book = wave_model.playbook
    scarce = {n for n, channel in book.channels.items() if channel.capacity_per_week is not None}
    first = pd.DataFrame(decide_by_rules(wave_model, ledger, people, at=at, campaign=CAMPAIGN))
    assert not set(first["channel"].dropna()) & scarce
    assert set(first["action"]) - {CONTROL}
    channel = first["channel"].dropna().mode()[0]
    capped = book.channels[channel].model_copy(update={"capacity_per_week": 5})
    monkeypatch.setattr(
        wave_model, "playbook", book.model_copy(update={"channels": {**book.channels, channel: capped}})
    )
    second = pd.DataFrame(decide_by_rules(wave_model, ledger, people, at=at, campaign="other"))
    assert channel not in set(second["channel"])


# ------------------------------------------------------------------------------------------------------------- stored


def test_a_stored_customer_gets_the_decision_that_posting_gives(client, ledger, small_model):
    (posted,) = ask(client, person("anna/b", tenure_months=7, as_of="2026-03-01T00:00:00Z"), dry_run=True)
    stored = pd.DataFrame([person("anna/b", tenure_months=7)])
    for name, value in (("churned_at", "2025-12-15T00:00:00Z"), ("as_of", "2026-03-01T00:00:00Z")):
        stored[name] = pd.Timestamp(value)
    ledger.add_customers(stored)
    found = client.get("/v1/decisions/anna%2Fb", params={"campaign": CAMPAIGN, "at": AT})
    assert found.status_code == 200, found.text
    assert found.json() == {**posted, "decision_id": found.json()["decision_id"]}
    assert client.get("/v1/decisions/anna%2Fb", params={"campaign": CAMPAIGN, "at": AT}).json() == found.json()
    assert len(recorded(ledger)) == 1


def test_somebody_who_was_erased_is_answered_and_recorded_nowhere(client, ledger):
    assert client.put("/v1/customers", json=person(as_of="2026-03-01T00:00:00Z")).status_code == 200
    assert client.delete("/v1/customers/anna").status_code == 204
    path, asked = "/v1/decisions/anna", {"campaign": CAMPAIGN, "at": AT}
    found = client.get(path, params={**asked, "explain": "true"})
    assert found.status_code == 200, found.text
    decision = found.json()
    assert (decision["send"], decision["action"], decision["assignment"]) == (False, CONTROL, "suppressed")
    assert (decision["reason_codes"], decision["decision_id"]) == (["suppressed"], None)
    assert decision["explanation"].startswith("Not contacted: opted out")
    (posted,) = ask(client, person(), explain=True)
    assert set(decision) == set(posted)
    assert {k: decision[k] for k in ("send", "probability", "reason_codes", "expires_at", "cost")} == {
        k: posted[k] for k in ("send", "probability", "reason_codes", "expires_at", "cost")
    }
    assert client.get(path, params={**asked, "dry_run": "true"}).json()["assignment"] == "suppressed"
    assert recorded(ledger) == []
    assert ledger.held_on("anna")["snapshots"] == []


def test_a_stored_customer_whose_newest_snapshot_takes_the_consent_back_gets_nothing(client):
    for i in range(30):
        assert client.put("/v1/customers", json=person(f"p{i}", as_of="2026-03-01T00:00:00Z")).status_code == 200
    of = [client.get(f"/v1/decisions/p{i}", params={"campaign": CAMPAIGN, "at": AT}).json() for i in range(30)]
    sent = next(d for d in of if d["channel"] == "email")
    now = person(sent["customer_id"], as_of="2026-03-02T00:00:00Z", consent_email=False)
    assert client.put("/v1/customers", json=now).status_code == 200
    path = f"/v1/decisions/{sent['customer_id']}"
    again = client.get(path, params={"campaign": CAMPAIGN, "at": AT}).json()
    assert (again["send"], again["reason_codes"]) == (False, ["no_consent_email"])
    assert again["decision_id"] == sent["decision_id"]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/v1/decisions/nobody?campaign=c", 404, "there is no snapshot of this customer"),
        ("/v1/decisions/nobody", 422, "campaign: is missing"),
        ("/v1/decisions/nobody?campaign=c&dry_run=perhaps", 422, "dry_run: expected"),
        ("/v1/decisions/nobody?campaign=c&other=1", 422, "other: is not a key of a request"),
    ],
)
def test_what_cannot_be_answered_of_stored_customers_is_a_problem(client, path, status, said):
    response = client.get(path)
    assert response.status_code == status
    assert said in response.json()["detail"]
