"""A ledger that cannot be written, or hangs: nobody is contacted, reports are put off, and what stands is told."""

from __future__ import annotations

import time

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from propensity.ledger import Ledger, LedgerUnavailable
from propensity.ledger.keys import create_key
from propensity_serving import answering
from propensity_serving import state as serving_state
from propensity_serving.answering import BUDGET_VARIABLE
from propensity_serving.app import build_app
from propensity_serving.edge import Keyring, keyring
from propensity_serving.problems import Problem

AT = "2026-03-05T09:00:00Z"
EVENT = {"id": "1", "source": "s", "type": "opened", "subject": "anna", "time": AT}


def ask(client, *customer_ids: str, **more) -> list[dict]:
    people = [{"customer_id": c, "churned_at": "2025-12-15T00:00:00Z", "consent_email": True} for c in customer_ids]
    response = client.post("/v1/decisions", json={"campaign": "c", "at": AT, "customers": people, **more})
    assert response.status_code == 200, response.text
    return response.json()["decisions"]


def read_only(ledger) -> None:
    ledger.engine.dispose()
    sa.event.listen(ledger.engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only=ON"))


def test_what_cannot_be_recorded_contacts_nobody_and_what_stands_is_told(client, ledger):
    (anna,) = ask(client, "anna")
    read_only(ledger)
    again, bert = ask(client, "anna", "bert", explain=True)
    assert {k: v for k, v in again.items() if k != "explanation"} == anna
    assert set(bert) == set(again)
    assert (bert["send"], bert["action"], bert["assignment"], bert["decision_id"]) == (
        False,
        "control",
        "fallback",
        None,
    )
    assert bert["reason_codes"] == ["ledger_unavailable"]
    assert bert["explanation"].startswith("Not contacted: nothing could be looked up or recorded")
    assert (bert["not_before"], bert["expires_at"]) == (AT, "2026-03-05T09:00:02Z")
    response = client.post("/v1/outcomes", json=EVENT)
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")
    assert response.headers["content-type"] == "application/problem+json"
    assert "propensity_unrecorded_decisions_total" in client.get("/metrics").text


def test_a_ledger_that_hangs_counts_as_away(state, ledger, monkeypatch):
    monkeypatch.setenv(BUDGET_VARIABLE, "0.3")
    monkeypatch.setattr(answering, "LEDGER_SECONDS", 1.0)
    with TestClient(build_app(state)) as client, ledger.engine.connect() as other:
        other.exec_driver_sql("BEGIN IMMEDIATE")
        begun = time.monotonic()
        (decision,) = ask(client, "anna")
        assert time.monotonic() - begun < 8  # less than the lock is waited for
        assert decision["reason_codes"] == ["ledger_unavailable"]
        other.rollback()


@pytest.mark.anyio
async def test_keys_last_read_go_on_for_a_while_and_unknown_ones_are_not_refused(ledger, monkeypatch):
    key, _ = create_key(ledger, name="tool", scopes=["decide"])
    keys = Keyring(lambda: ledger)
    assert (await keys.find(key)).name == "tool"
    assert await keys.find("propensity_x_y") is None
    monkeypatch.setattr(keyring, "FRESH_SECONDS", 0.0)

    def gone(_):
        raise LedgerUnavailable("gone")

    monkeypatch.setattr(keyring, "usable_keys", gone)
    keys._stale_at = 0.0
    assert (await keys.find(key)).name == "tool"
    with pytest.raises(Problem) as caught:
        await keys.find("propensity_x_y")
    assert caught.value.status == 503
    monkeypatch.setattr(keyring, "KEPT_SECONDS", 0.0)
    with pytest.raises(Problem):
        await keys.find(key)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("happens", ["tables gone", "another revision"])
def test_a_ledger_with_other_tables_counts_as_away_until_they_are_back(client, state, ledger, monkeypatch, happens):
    monkeypatch.setattr(serving_state, "LEDGER_FRESH_SECONDS", 0.0)
    ask(client, "anna")
    assert state.ready
    by_hand = Ledger(ledger.engine.url.render_as_string(hide_password=False))
    by_hand.downgrade("0004" if happens == "another revision" else "0001")
    if happens == "tables gone":
        with by_hand.engine.begin() as connection:
            for table in ("events", "decisions", "customers", "tombstones", "campaigns"):
                connection.execute(sa.text(f"DROP TABLE {table}"))
    else:
        assert not state.ready
    (decision,) = ask(client, "anna")
    assert (decision["send"], decision["reason_codes"]) == (False, ["ledger_unavailable"])
    for method, path, body in (
        ("POST", "/v1/outcomes", EVENT),
        ("POST", "/v1/suppressions", [{"customer_id": "anna"}]),
        ("PUT", "/v1/customers", {"customer_id": "anna", "churned_at": AT}),
        ("GET", "/v1/customers/anna", None),
        ("GET", "/experiments/", None),
    ):
        assert client.request(method, path, json=body).status_code == 503, path
    assert not state.ready
    if happens == "another revision":
        by_hand.create()
        assert state.ready
        assert ask(client, "anna")[0]["reason_codes"] != ["ledger_unavailable"]
    by_hand.close()
