"""The real server, as `propensity serve` starts it, for tests that ask it over HTTP."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

SERVE = [sys.executable, "-m", "propensity", "serve"]
READY_SECONDS = 60


@contextmanager
def running(directory: Path, ledger_url: str, *options: str) -> Iterator[tuple[str, Path, subprocess.Popen[bytes]]]:
    """A server's address, its log and its process; what is left of it is killed in the end."""
    log = directory / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*SERVE, "--port", "0", "--ledger", ledger_url, *options],
            cwd=directory,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield ready(process, log), log, process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def ready(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address, once the server is ready."""
    deadline = time.monotonic() + READY_SECONDS
    last = "it told no address"
    while time.monotonic() < deadline and process.poll() is None:
        address = re.search(r"on (http://\S+)/ ", log.read_text())
        if address:
            try:
                last = f"/readyz answered {httpx.get(f'{address[1]}/readyz', timeout=10, trust_env=False).status_code}"
            except httpx.TransportError as error:  # it does not listen, or does not answer, yet
                last = repr(error)
            if last.endswith(" 200"):
                return address[1]
        time.sleep(0.2)
    pytest.fail(f"not ready, {last}; the log ends: {log.read_text()[-2000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to stop, and see that it does."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
