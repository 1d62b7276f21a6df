"""The whole server is killed under load, again and again: whatever it acknowledged is there, once."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from pathlib import Path

import httpx
import pytest
from campaign_load import Load, require_all_recorded_once, require_repeats_are_the_same
from real_server import running

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("PROPENSITY_TEST_KILLS", "5"))
"""`benchmarks/serving/kill.py` kills more often."""


END_SECONDS = 15


def family(pid: int) -> list[int]:
    """A process and all that it started; the workers are in sessions of their own."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in family(int(child)))]


def kill_at_once(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def test_what_was_acknowledged_survives_kill_9_of_the_whole_server(mlflow_of_trained, prepared, tmp_path, capsys):
    ledger_url = f"sqlite:///{tmp_path / 'ledger.db'}"
    key = prepared(ledger_url)
    # each round somewhere else in the work
    moments = random.Random(0)
    with Load(key) as load:
        for _ in range(KILLS):
            before = len(load.noted.decisions)
            with running(tmp_path, ledger_url) as (address, _, process):
                load.address = address
                time.sleep(moments.uniform(0.5, 1.5))
                everybody = family(process.pid)
                assert len(everybody) > 1
                kill_at_once(everybody)
                load.address = None
                process.wait()
            assert len(load.noted.decisions) > before
    assert load.noted.wrong == []
    require_all_recorded_once(ledger_url, load.noted)
    with (
        running(tmp_path, ledger_url) as (address, _, process),
        httpx.Client(base_url=address, headers={"authorization": f"Bearer {key}"}, trust_env=False) as client,
    ):
        require_repeats_are_the_same(client, load.noted)
        # workers whose parent alone was killed do not stay on its port
        process.kill()
        process.wait()
        begun = time.monotonic()
        while not is_free(httpx.URL(address).port):
            assert time.monotonic() - begun < END_SECONDS
            time.sleep(0.1)
    with capsys.disabled():
        noted = load.noted
        print(
            f"\n{KILLS} kills: {len(noted.decisions)} decisions and {len(noted.events)} events acknowledged, "
            f"{noted.n_unanswered} requests without an answer; all there, once"
        )
