"""PostgreSQL is stopped and started under load: callers get answers that are safe, and all goes on by itself."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from campaign_load import (
    AT,
    CAMPAIGN,
    Load,
    asked,
    event,
    is_safe,
    is_unavailable,
    require_all_recorded_once,
    require_repeats_are_the_same,
)
from real_server import running, stop

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

WAYS_TO_STOP = ("immediate", "fast")
"""As after a power cut, and as an administrator does."""
WAIT_SECONDS = 20


class Cluster:
    """A PostgreSQL server of its own, which may be stopped."""

    def __init__(self, binaries: Path, directory: Path) -> None:
        self._binaries, self._directory, self._data = binaries, directory, directory / "data"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"

    def create(self) -> None:
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "--no-sync")

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self._directory} -c shared_buffers=16MB"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", self._directory / "log", "-o", options, "start")

    def stop(self, mode: str) -> None:
        self._run("pg_ctl", "-D", self._data, "-w", "-m", mode, "stop")

    def _run(self, program: str, *arguments: object) -> None:
        # PostgreSQL refuses to be root
        who = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*who, str(self._binaries / program), *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=self._directory)


@contextmanager
def open_to_all() -> Iterator[Path]:
    """A directory that the server's user can reach, which pytest's cannot be."""
    directory = Path(tempfile.mkdtemp(prefix="propensity-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(directory, "postgres")
        yield directory
    finally:
        shutil.rmtree(directory)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip(
            "no PostgreSQL is installed on this machine (/usr/lib/postgresql/*/bin); a server elsewhere stays up"
        )
    try:
        with open_to_all() as directory:
            made = Cluster(found[-1].parent, directory)
            made.create()
            made.start()
            yield made
            made.stop("immediate")
    except (LookupError, FileNotFoundError) as error:
        why = f"the PostgreSQL that is installed here cannot be started ({error})"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)


def until(happened: Callable[[], object], what: str) -> float:
    """Seconds until something happened."""
    begun = time.monotonic()
    while not happened():
        assert time.monotonic() - begun < WAIT_SECONDS, what
        time.sleep(0.05)
    return time.monotonic() - begun


def require_safe_answers(client: httpx.Client) -> None:
    """What each route says while the ledger is away."""
    several = client.post("/v1/decisions", json=asked("anna", "bert", explain=True)).json()["decisions"]
    assert [d["customer_id"] for d in several] == ["anna", "bert"]
    assert all(map(is_safe, several))
    assert all(re.fullmatch(r"Not contacted: [^_]*\.", d["explanation"]) for d in several)
    faulty = {**asked("anna"), "customers": [{"customer_id": "anna", "churned_at": "never"}]}
    assert client.post("/v1/decisions", json=faulty).json()["decisions"][0]["status"] == "rejected"
    stored = client.get("/v1/decisions/anna", params={"campaign": CAMPAIGN, "at": AT})
    assert is_safe(stored.json())
    held = client.get("/v1/holdouts/anna", params={"campaign": CAMPAIGN})
    assert held.status_code == 200
    person = asked("anna")["customers"][0]
    for response in (
        client.post("/v1/outcomes", json=event("e", "anna")),
        client.post("/v1/suppressions", json={"customer_id": "anna"}),
        client.put("/v1/customers", json=person),
        client.get("/v1/customers/anna"),
        client.delete("/v1/customers/anna"),
        client.post("/v1/decisions", json=asked("anna", dry_run=True)),
        client.get("/v1/models", headers={"authorization": "Bearer unheard of"}),
    ):
        assert is_unavailable(response), (response.request.method, response.request.url, response.text)
    assert client.get("/experiments/").status_code == 503


def test_postgresql_may_go_and_come_back(mlflow_of_trained, prepared, cluster, tmp_path):
    key = prepared(cluster.url)
    with running(tmp_path, cluster.url) as (address, log, process):
        bearer = {"authorization": f"Bearer {key}"}
        with httpx.Client(base_url=address, headers=bearer, timeout=20, trust_env=False) as client:
            with Load(key, address) as load:
                noted = load.noted
                until(lambda: len(noted.decisions) > 20 and len(noted.events) > 20, "nothing is decided")
                for way in WAYS_TO_STOP:
                    n_safe, n_put_off = noted.n_safe, noted.n_put_off
                    cluster.stop(way)
                    until(lambda: client.get("/readyz").status_code == 503, "it says that it is ready")
                    time.sleep(4)  # longer than keys are fresh
                    require_safe_answers(client)
                    assert noted.n_safe > n_safe
                    assert noted.n_put_off > n_put_off
                    n_decisions, n_events = len(noted.decisions), len(noted.events)
                    cluster.start()
                    until(lambda n=n_decisions: len(noted.decisions) > n, "nothing is decided again")
                    until(lambda n=n_events: len(noted.events) > n, "nothing is reported again")
                    until(lambda: client.get("/readyz").status_code == 200, "it does not say that it is ready")
            assert noted.wrong == []
            assert noted.n_unanswered == 0
            require_repeats_are_the_same(client, noted)
            unheard_of = {"authorization": "Bearer unheard of"}
            until(lambda: client.get("/v1/models", headers=unheard_of).status_code == 401, "keys are not read again")
        stop(process)
    require_all_recorded_once(cluster.url, noted)
    said = log.read_text()
    assert "Traceback" not in said
    assert "anna" not in said
