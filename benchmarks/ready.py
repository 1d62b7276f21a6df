"""How long the service takes from its start to its first ready answer, and what that costs in processor time.

``python benchmarks/ready.py DIRECTORY`` starts `propensity serve` in a directory with an MLflow (``mlflow.db``) whose
champion's playbook is approved in the directory's ``ledger.db``. The first start of all has no last good copy yet.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

PATIENCE_SECONDS = 120


def once(directory: Path, workers: int, state: Path) -> tuple[float, float]:
    """Seconds from the start to ready, and processor seconds of all its processes until it was stopped."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "propensity", "serve", "--port", "0", "--no-keys", "--workers", str(workers)]
    environment = {**os.environ, "PROPENSITY_STATE": str(state)}
    with tempfile.TemporaryFile("w+") as log:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=directory, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        try:
            _wait_until_ready(process, log)
            seconds = time.perf_counter() - started
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def _wait_until_ready(process: subprocess.Popen[bytes], log) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    address = None
    while time.monotonic() < deadline and process.poll() is None:
        if address is None:
            log.seek(0)
            found = re.search(r"on (http://\S+)/ ", log.read())
            address = found[1] if found else None
        elif _is_ready(address):
            return
        time.sleep(0.02)
    log.seek(0)
    sys.exit(f"the service was not ready; its log ends: {log.read()[-1000:]}")


def _is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz", timeout=PATIENCE_SECONDS, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as state:
        found = [once(arguments.directory, arguments.workers, Path(state)) for _ in range(arguments.times)]
    for number, (seconds, processor) in enumerate(found, 1):
        print(f"start {number}: ready after {seconds:.2f} s; {processor:.2f} processor seconds until stopped")
    seconds, processor = ([f[i] for f in found] for i in (0, 1))
    load = os.getloadavg()[0]
    print(
        f"median {statistics.median(seconds):.2f} s, {statistics.median(processor):.2f} processor seconds; "
        f"{arguments.workers} workers, {len(os.sched_getaffinity(0))} cores, load {load:.1f}"
    )


if __name__ == "__main__":
    main()
