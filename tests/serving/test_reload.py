"""The real server while models are promoted, the registry is gone, and when it is stopped."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import mlflow
import pytest

from propensity.ledger import Ledger, approve_playbook
from propensity.registered import look

SERVE = [sys.executable, "-m", "propensity", "serve", "--port", "0"]
READY_SECONDS = 90
PROMOTIONS = 20
AT = "2026-03-05T09:00:00Z"


def person(customer_id: str) -> dict:
    return {"customer_id": customer_id, "churned_at": "2025-12-15T00:00:00Z", "consent_email": True}


@pytest.fixture
def ledger_url(tmp_path, email_playbook) -> str:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = Ledger(url).create()
    approve_playbook(ledger, email_playbook, who="Ann")
    ledger.close()
    return url


@contextmanager
def served(ledger_url: str, log: Path, *options: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """A server that is ready, and its address; killed in the end if it still runs."""
    environment = {**os.environ, "PROPENSITY_POLL_SECONDS": "0.2"}
    with log.open("w") as output:
        process = subprocess.Popen(
            [*SERVE, "--ledger", ledger_url, "--no-keys", *options],
            cwd=log.parent,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        yield process, ready(process, log)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def ready(process: subprocess.Popen, log: Path) -> str:
    deadline, last = time.monotonic() + READY_SECONDS, "it told no address"
    while time.monotonic() < deadline and process.poll() is None:
        address = re.search(r"on (http://\S+)/ ", log.read_text())
        try:
            if address:
                last = str(httpx.get(f"{address[1]}/readyz", timeout=10, trust_env=False).status_code)
                if last == "200":
                    return address[1]
        except httpx.TransportError as error:  # it does not listen, or does not answer, yet
            last = repr(error)
        time.sleep(0.1)
    pytest.fail(f"not ready ({last}); the log ends: {log.read_text()[-2000:]}")


def metric(text: str, name: str) -> float:
    """The sum of a metric over its labels."""
    return sum(float(line.split()[-1]) for line in text.splitlines() if re.match(rf"{name}(\{{|\s)", line))


class Load:
    """Asks for decisions, each time over a new connection, until it is stopped."""

    def __init__(self, address: str) -> None:
        self.address, self.statuses, self.models = address, [], []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            asked = {"campaign": "c", "at": AT, "customer": person(f"p{len(self.statuses)}")}
            try:
                response = httpx.post(f"{self.address}/v1/decisions", json=asked, timeout=30, trust_env=False)
                self.statuses.append(response.status_code)
                self.models.append(response.json()["decisions"][0]["model_version"])
            except httpx.TransportError as error:
                self.statuses.append(repr(error))


def test_twenty_promotions_under_load_drop_nothing_with_two_workers(registry_copy, ledger_url, tmp_path):
    client = mlflow.MlflowClient(registry_copy)
    first = look(None, "champion", registry_copy)
    other = shutil.copytree(first.directory, tmp_path / "other")
    client.create_model_version(first.name, str(other), first.run_id)
    log = tmp_path / "log"
    with served(ledger_url, log, "--workers", "2") as (process, address):
        with Load(address) as load:
            for number in range(PROMOTIONS):
                client.set_registered_model_alias(first.name, "champion", "2" if number % 2 == 0 else "1")
                time.sleep(0.5)
            client.set_registered_model_alias(first.name, "champion", "2")
            wait_until_every_worker_serves(address, "2")
        assert set(load.statuses) == {200}
        assert set(load.models) == {f"{first.name}/1", f"{first.name}/2"}
        # each process wrote its own figures; together they are what was asked
        text = httpx.get(f"{address}/metrics", trust_env=False).text
        assert metric(text, "propensity_decisions_total") == len(load.statuses)
        assert metric(text, "propensity_request_seconds_count") >= len(load.statuses)
        assert metric(text, "propensity_models_loaded_total") >= 4
        assert 'propensity_model_info{name="propensity-small",version="2"} 1.0' in text
        assert not re.search(r"\bp\d+\b", text)  # nobody's id
        assert stopped(process) == 0
    assert len(Ledger(ledger_url).open().decisions("c")) == len(load.statuses)
    assert "Refused" not in log.read_text()
    assert "Traceback" not in log.read_text()


def wait_until_every_worker_serves(address: str, version: str) -> None:
    """Twenty answers in a row, over new connections, that name the version."""
    deadline, in_a_row = time.monotonic() + 30, 0
    while in_a_row < 20:
        assert time.monotonic() < deadline
        found = httpx.get(f"{address}/v1/models", timeout=10, trust_env=False).json()["version"]
        in_a_row = in_a_row + 1 if found == version else 0


def stopped(process: subprocess.Popen) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=30)


def test_killed_it_ends_whole_and_starts_without_the_registry_and_finishes_what_it_was_asked_when_stopped(
    registry_copy, ledger_url, tmp_path
):
    with served(ledger_url, tmp_path / "log") as (process, address):
        found = httpx.get(f"{address}/v1/models", trust_env=False).json()
        assert (found["version"], found["source"]) == ("1", "registry")
        process.kill()
        process.wait()
        wait_until_nobody_listens(address)
    Path(registry_copy.removeprefix("sqlite:///")).unlink()
    log = tmp_path / "second-log"
    with served(ledger_url, log) as (process, address):
        found = httpx.get(f"{address}/v1/models", trust_env=False).json()
        assert (found["version"], found["source"]) == ("1", "last good copy")
        assert "the last good copy serves until it answers" in log.read_text()
        status, answer = asked_across_the_end(process, address)
        assert process.wait(timeout=30) == 0
    assert status == 200
    assert [d["decision_id"] for d in Ledger(ledger_url).open().decisions("c").to_dict("records")] == [
        answer["decisions"][0]["decision_id"]
    ]


def wait_until_nobody_listens(address: str) -> None:
    """A worker whose parent was killed ends too."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{address}/livez", timeout=10, trust_env=False)
        except httpx.TransportError:
            return
        time.sleep(0.2)
    pytest.fail("a worker still answers")


def asked_across_the_end(process: subprocess.Popen, address: str) -> tuple[int, dict]:
    """The answer to a request of which the server has half when it is told to stop."""
    host, port = address.removeprefix("http://").split(":")
    body = json.dumps({"campaign": "c", "at": AT, "customer": person("anna")}).encode()
    head = f"POST /v1/decisions HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(head.encode() + body[:20])
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        time.sleep(1)
        connection.sendall(body[20:])
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    top, _, content = answer.partition(b"\r\n\r\n")
    return int(top.split()[1]), json.loads(content)


def test_without_a_registry_and_without_a_copy_it_does_not_start(ledger_url, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'gone.db'}")
    done = subprocess.run(
        [*SERVE, "--ledger", ledger_url, "--no-keys"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "the database does not exist, and there is no last good copy in" in line
