"""The disk under a SQLite ledger is full for a while: nothing is half written, and what stands is still answered."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from campaign_load import (
    Load,
    asked,
    event,
    is_safe,
    is_unavailable,
    require_all_recorded_once,
    require_repeats_are_the_same,
)
from real_server import running, stop

pytestmark = pytest.mark.slow

MEBIBYTES = 32
WAIT_SECONDS = 20


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={MEBIBYTES}m", "tmpfs", disk], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here ({mounted.stderr.strip()})")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def fill(file: Path) -> None:
    """Write until there is no room for another byte."""
    with file.open("ab", buffering=0) as out:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    out.write(bytes(size))
            except OSError:
                continue


def is_full(client: httpx.Client, number: int) -> bool:
    """Whether nothing more is recorded; what SQLite had of its file may hold some decisions yet."""
    (decision,) = client.post("/v1/decisions", json=asked(f"full-{number}")).json()["decisions"]
    return is_safe(decision)


def test_a_full_disk_is_survived(mlflow_of_trained, prepared, small_disk, tmp_path):
    ledger_url = f"sqlite:///{small_disk / 'ledger.db'}"
    key = prepared(ledger_url)
    ballast = small_disk / "ballast"
    with running(tmp_path, ledger_url) as (address, log, process):
        bearer = {"authorization": f"Bearer {key}"}
        with httpx.Client(base_url=address, headers=bearer, timeout=20, trust_env=False) as client:
            with Load(key, address) as load:
                noted = load.noted
                wait(lambda: len(noted.decisions) > 20 and len(noted.events) > 20)
                known = next(iter(noted.decisions))
                fill(ballast)
                numbers = iter(range(100_000))
                wait(lambda: is_full(client, next(numbers)))
                wait(lambda: noted.n_safe > 20 and noted.n_put_off > 0)
                # what stands is told, also beside what cannot be recorded
                first, second = client.post("/v1/decisions", json=asked(known, "new")).json()["decisions"]
                assert first == noted.decisions[known]
                assert is_safe(second)
                for response in (
                    client.post("/v1/outcomes", json=event("e", "anna")),
                    client.post("/v1/suppressions", json={"customer_id": "anna"}),
                    client.put("/v1/customers", json=asked("anna")["customers"][0]),
                ):
                    assert is_unavailable(response), response.text
                ballast.unlink()
                n_decisions, n_events = len(noted.decisions), len(noted.events)
                wait(lambda: len(noted.decisions) > n_decisions + 20 and len(noted.events) > n_events + 20)
            assert noted.wrong == []
            assert noted.n_unanswered == 0
            require_repeats_are_the_same(client, noted)
            assert client.get("/readyz").status_code == 200
        stop(process)
    require_all_recorded_once(ledger_url, noted)
    with closing(sqlite3.connect(small_disk / "ledger.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert "Traceback" not in log.read_text()


def wait(happened) -> None:
    begun = time.monotonic()
    while not happened():
        assert time.monotonic() - begun < WAIT_SECONDS, "nothing of it happened"
        time.sleep(0.05)
