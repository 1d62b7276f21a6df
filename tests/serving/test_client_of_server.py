"""The client against the real server, as `propensity serve` starts it."""

from __future__ import annotations

from real_server import running, stop

from propensity.client import Client, Outcome
from propensity.ledger import Ledger, approve_playbook
from propensity.ledger.keys import create_key


def test_it_asks_reports_and_reads(mlflow_of_trained, email_playbook, tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = Ledger(url).create()
    approve_playbook(ledger, email_playbook, who="Ann")
    monkeypatch.setenv("PROPENSITY_API_KEY", create_key(ledger, name="a test", scopes=["admin"])[0])
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    ledger.close()
    odd = 'a b/?#%2F"ü'
    row = {"customer_id": odd, "churned_at": "2025-12-15", "consent_email": True, "as_of": "2026-03-01T00:00:00Z"}
    spring = {"campaign": "spring", "at": "2026-03-05T09:00:00Z"}
    # the first requests of a worker may be slow on a busy machine
    with running(tmp_path, url) as (address, log, process):
        with Client(address, timeout=20) as client:
            assert client.put_customers(row).accepted == 1
            decision = client.decide(row, **spring)
            assert client.decision(odd, **spring) == decision
            sent = Outcome("sent", odd, id="1", source="mailer", decision_id=decision.decision_id)
            assert [client.report([sent]).accepted for _ in range(2)] == [1, 0]
            assert client.holdout(odd, campaign="spring").held_out == (decision.assignment == "holdout")
            held = client.customer(odd)
            assert [len(part) for part in (held.snapshots, held.decisions, held.events)] == [1, 1, 1]
            assert client.models().model_version == decision.model_version
            client.erase(odd)
            assert client.decide(row, **spring).assignment == "suppressed"
        stop(process)
    assert odd not in log.read_text()
