"""The real server, as `propensity serve` starts it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from propensity.ledger import Ledger

SERVE = [sys.executable, "-m", "propensity", "serve"]
PERSON = {"customer_id": "anna", "churned_at": "2025-12-15T00:00:00Z", "consent_email": True}
READY_SECONDS = 60


@pytest.fixture
def ledger_url(tmp_path) -> str:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    Ledger(url).create().close()
    return url


def serve(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """A server that is expected not to start."""
    return subprocess.run([*SERVE, *options], cwd=directory, capture_output=True, text=True, timeout=60)


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_it_starts_answers_and_stops(mlflow_of_trained, ledger_url, tmp_path):
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*SERVE, "--port", "0", "--ledger", ledger_url],
            cwd=tmp_path,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        with httpx.Client(timeout=10, trust_env=False) as client:
            client.base_url = ready(process, log, client)
            asked = {"campaign": "c", "at": "2026-03-05T09:00:00Z", "customer": PERSON}
            (decision,) = client.post("/v1/decisions", json=asked).raise_for_status().json()["decisions"]
            assert (decision["status"], decision["model_version"]) == ("decided", "propensity-small/1")
            refused = client.post("/v1/decisions", content=b"{")
            assert (refused.status_code, refused.headers["content-type"]) == (400, "application/problem+json")
            assert "bentoml" in client.get("/metrics").raise_for_status().text
            assert client.get("/openapi.json").json()["info"]["title"] == "Propensity"
            assert "<title>Propensity</title>" in client.get("/").text
            for script in re.findall(r'(?:src|href)="(static_content/[^"]+)"', client.get("/").text):
                assert client.get(f"/{script}").status_code == 200
            assert "Experiments" in client.get("/experiments/").text
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        assert [d["decision_id"] for d in Ledger(ledger_url).open().decisions("c").to_dict("records")] == [
            decision["decision_id"]
        ]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert "Traceback" not in log.read_text()


def ready(process: subprocess.Popen[bytes], log: Path, client: httpx.Client) -> str:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        address = re.search(r"on (http://\S+)/ ", log.read_text())
        try:
            if address and client.get(f"{address[1]}/readyz").status_code == 200:
                return address[1]
        except httpx.HTTPError:
            pass  # it does not listen yet; the deadline says when that is too late
        time.sleep(0.2)
    pytest.fail(f"not ready; the log ends: {log.read_text()[-2000:]}")


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


def test_without_a_ledger_it_does_not_start_and_makes_none(tmp_path):
    said = sentence(serve(tmp_path, "--port", "0"))
    assert said.endswith("does not exist; make it with: propensity ledger init sqlite:///ledger.db")
    assert list(tmp_path.iterdir()) == []


def test_a_password_of_the_ledger_is_not_shown(tmp_path):
    done = serve(tmp_path, "--port", "0", "--ledger", "postgresql+psycopg://me:secret@127.0.0.1:1/x")
    assert done.returncode == 1
    assert "secret" not in done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1
