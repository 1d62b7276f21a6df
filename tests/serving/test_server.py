"""The real server, as `propensity serve` starts it."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from real_server import SERVE, running, stop

from propensity import playbook
from propensity.errors import InputError
from propensity.ledger import Ledger, approve_playbook
from propensity.ledger.keys import create_key
from propensity.playbook import Playbook
from propensity_serving import settings
from propensity_serving.refusal import require_approved
from propensity_serving.settings import Settings
from propensity_serving.state import ServingState

PERSON = {"customer_id": "anna", "churned_at": "2025-12-15T00:00:00Z", "consent_email": True}


@pytest.fixture
def ledger_url(tmp_path) -> str:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    Ledger(url).create().close()
    return url


@pytest.fixture(autouse=True)
def key(ledger_url) -> str:
    """The ledger has a key for everything: without one no server starts."""
    ledger = Ledger(ledger_url).open()
    made, _ = create_key(ledger, name="a test", scopes=["admin"])
    ledger.close()
    return made


def approve(ledger_url: str, book: Playbook) -> None:
    ledger = Ledger(ledger_url).open()
    approve_playbook(ledger, book, who="Ann")
    ledger.close()


def serve(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """A server that is expected not to start."""
    return subprocess.run([*SERVE, *options], cwd=directory, capture_output=True, text=True, timeout=60)


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_it_starts_answers_and_stops(mlflow_of_trained, ledger_url, email_playbook, key, tmp_path):
    approve(ledger_url, email_playbook)
    bearer = {"Authorization": f"Bearer {key}"}
    with running(tmp_path, ledger_url) as (url, log, process):
        with httpx.Client(base_url=url, headers=bearer, timeout=10, trust_env=False) as client:
            asked = {"campaign": "c", "at": "2026-03-05T09:00:00Z", "customer": PERSON}
            (decision,) = client.post("/v1/decisions", json=asked).raise_for_status().json()["decisions"]
            assert (decision["status"], decision["model_version"]) == ("decided", "propensity-small/1")
            refused = client.post("/v1/decisions", content=b"{")
            assert (refused.status_code, refused.headers["content-type"]) == (400, "application/problem+json")
            assert "propensity_decisions_total{" in client.get("/metrics").raise_for_status().text
            assert client.get("/openapi.json").json()["info"]["title"] == "Propensity"
            assert "<title>Propensity</title>" in client.get("/").text
            for script in re.findall(r'(?:src|href)="(static_content/[^"]+)"', client.get("/").text):
                assert client.get(f"/{script}").status_code == 200
            assert "Experiments" in client.get("/experiments/").text
        stop(process)
    assert [d["decision_id"] for d in Ledger(ledger_url).open().decisions("c").to_dict("records")] == [
        decision["decision_id"]
    ]
    assert "Traceback" not in log.read_text()
    assert "nobody approved" not in log.read_text()


def test_a_port_in_use_is_one_sentence(mlflow_of_trained, ledger_url, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = sentence(serve(tmp_path, "--ledger", ledger_url, "--port", str(port)))
    assert said == f"Error: port {port}: is in use; choose another with --port, or 0 for a free one"


def test_without_a_champion_it_does_not_start(empty_mlflow, ledger_url, tmp_path):
    said = sentence(serve(tmp_path, "--ledger", ledger_url, "--port", "0"))
    assert "holds no registered model; make one with: propensity train" in said


def test_a_playbook_that_nobody_approved_is_one_sentence_that_says_how_to_approve_it(
    mlflow_of_trained, ledger_url, email_playbook, tmp_path
):
    approve(ledger_url, email_playbook.model_copy(update={"currency": "EUR"}))
    said = sentence(serve(tmp_path, "--ledger", ledger_url, "--port", "0"))
    assert said == (
        f"Error: playbook small, version {email_playbook.version}: model propensity-small/1 decides by it, and nobody "
        f"approved it in ledger {ledger_url}; approve it with: propensity playbook approve FILE --who NAME --ledger "
        f"{ledger_url} (or for development, start with --unapproved-playbook)"
    )


def test_a_shipped_playbook_is_approved_by_what_the_sentence_says(ledger_url, propensity):
    ledger = Ledger(ledger_url).open()
    with pytest.raises(InputError) as caught:
        require_approved(playbook.load("hillstrom"), "m/1", ledger)
    command = re.search("approve it with: propensity (.*) \\(or", str(caught.value))[1]
    assert propensity(*command.replace("NAME", "Ann").split())[0] == 0
    require_approved(playbook.load("hillstrom"), "m/1", ledger)
    changed = playbook.load("hillstrom").model_copy(update={"currency": "EUR"})
    with pytest.raises(InputError, match="propensity playbook approve FILE --who"):
        require_approved(changed, "m/1", ledger)
    ledger.close()


@pytest.fixture
def worker() -> Iterator[ServingState]:
    """A worker's state as it is before it looks at anything."""
    made = ServingState()
    yield made
    made.stop()


@pytest.mark.parametrize("variable", ["", "0", "yes"])
def test_a_worker_that_is_started_in_another_way_refuses_too(
    mlflow_of_trained, ledger_url, worker, monkeypatch, caplog, tmp_path, variable
):
    monkeypatch.setenv(settings.LEDGER_VARIABLE, ledger_url)
    monkeypatch.setenv(settings.UNAPPROVED_VARIABLE, variable)
    worker.turn(Settings.read())
    assert not worker.ready
    assert "nobody approved it in ledger" in caplog.text
    assert not (tmp_path / ".propensity").exists()


def test_for_development_a_worker_decides_by_an_unapproved_playbook_and_says_so(
    mlflow_of_trained, ledger_url, worker, monkeypatch, caplog
):
    monkeypatch.setenv(settings.LEDGER_VARIABLE, ledger_url)
    monkeypatch.setenv(settings.UNAPPROVED_VARIABLE, "1")
    worker.turn(Settings.read())
    assert worker.ready
    (warning,) = [r for r in caplog.records if r.name == "propensity.serving" and r.levelname == "WARNING"]
    assert re.search("nobody approved it .*; it serves all the same, as asked", warning.getMessage())


def test_without_a_ledger_it_does_not_start_and_makes_none(elsewhere):
    said = sentence(serve(elsewhere, "--port", "0"))
    assert said.endswith("does not exist; make it with: propensity ledger init sqlite:///ledger.db")
    assert list(elsewhere.iterdir()) == []


def test_a_password_of_the_ledger_is_not_shown(tmp_path):
    done = serve(tmp_path, "--port", "0", "--ledger", "postgresql+psycopg://me:secret@127.0.0.1:1/x")
    assert done.returncode == 1
    assert "secret" not in done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1
