"""How fast are decisions over HTTP, against a service that does nothing but the predictions they need?

`python benchmarks/serving/run.py`, with `wrk` installed: a model of the default playbook's 26 actions is trained on a
simulated program (or taken from `--model DIR`), registered, approved, and served by `propensity serve` with one worker
and a key; beside it, one after the other, `bare_service.py`. wrk asks both for decisions on customers whom nobody asked
about before (each recorded in the ledger before it is answered), for repeats, and for 100 and 1,000 at a time. At half
the rate each connection waits a time of its own after each answer, drawn evenly from 0 to twice its mean: connections
that all wait equally long ask in bursts.
`--ledger URL` takes another ledger than SQLite, `--requests 200000` watches the memory of the worker.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from decide_scale import train

from propensity import playbook, registry
from propensity.ledger import Ledger, approve_playbook
from propensity.model import DecisionModel
from propensity.simulation.customers import draw_customers
from propensity.simulation.program import DECIDED_AT

HERE = Path(__file__).resolve().parent
AT = DECIDED_AT + timedelta(hours=7)
SECONDS = 10
READY_SECONDS = 120
WRK = """
local bodies, next_one = {}, 0
local threads = 0
function setup(thread) thread:set("id", threads); threads = threads + 1 end
function init(args)
  math.randomseed(id + 1)
  for line in io.lines("%(bodies)s") do bodies[#bodies + 1] = line end
  next_one = id * math.floor(#bodies / 2) + %(start)d
end
function delay() return math.floor(2 * %(delay)d * math.random()) end
function request()
  next_one = next_one + 1
  return wrk.format("POST", "/v1/decisions", {["Content-Type"] = "application/json", ["X-API-Key"] = "%(key)s"},
    bodies[(next_one - 1) %% #bodies + 1])
end
"""


@dataclass(frozen=True)
class Load:
    """What wrk measured: requests a second, milliseconds at the middle and at the 99th of 100, and failed answers."""

    rate: float
    p50: float
    p99: float
    failed: int


def bodies(people: pd.DataFrame, file: Path, size: int, campaign: str) -> Path:
    """Write a file of request bodies, one a line."""
    rows = json.loads(people.to_json(orient="records", date_format="iso"))
    with file.open("w", encoding="utf-8") as out:
        for start in range(0, len(rows) - size + 1, size):
            customers = [{k: v for k, v in row.items() if v is not None} for row in rows[start : start + size]]
            out.write(json.dumps({"campaign": campaign, "at": AT.isoformat(), "customers": customers}) + "\n")
    return file


def wrk(address: str, asked: Path, key: str, connections: int, *, seconds: int = SECONDS, delay: int = 0) -> Load:
    script = asked.with_suffix(".lua")
    script.write_text(WRK % {"bodies": asked, "start": 0, "delay": delay, "key": key}, encoding="utf-8")
    threads = str(min(2, connections))
    command = ["wrk", "-t", threads, "-c", str(connections), "-d", f"{seconds}s", "--timeout", "20s", "--latency"]
    said = subprocess.run([*command, "-s", str(script), address], capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    times = {share: _milliseconds(said, share) for share in (50, 99)}
    bad = (int(failed[1]) if failed else 0) + (sum(map(int, errors.groups())) if errors else 0)
    return Load(float(rate[1]) if rate else 0.0, times[50], times[99], bad)


def _milliseconds(said: str, share: int) -> float:
    found = re.search(rf"^\s+{share}%\s+([\d.]+)(us|ms|s)\s*$", said, re.MULTILINE)
    if found is None:
        raise SystemExit(f"wrk said nothing of {share} %:\n{said}")
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


@contextmanager
def server(
    command: list[str], environment: dict[str, str], address: str, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, cwd=log.parent, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if httpx.get(f"{address}/readyz", timeout=5, trust_env=False).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        else:
            raise SystemExit(f"{' '.join(command)}: not ready\n{log.read_text()[-2000:]}")
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


def resident_megabytes(process: subprocess.Popen[bytes]) -> float:
    """Of a server and its workers."""
    parents = {int(p.name): _parent(p) for p in Path("/proc").iterdir() if p.name.isdigit()}
    mine = {process.pid}
    while more := {p for p, parent in parents.items() if parent in mine} - mine:
        mine |= more
    return sum(_resident(p) for p in mine)


def _parent(directory: Path) -> int:
    try:
        return int((directory / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:  # it has ended
        return 0


def _resident(pid: int) -> float:
    try:
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:  # it has ended
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def prepare(model: Path, ledger_url: str, scratch: Path, scope: str = "decide") -> str:
    """Register the model, approve its playbook, make a key; the key."""
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{scratch / 'mlflow.db'}"
    os.chdir(scratch)
    loaded = DecisionModel.load(model)
    registry.register(loaded, "bench", experiment="bench", parameters={}, metrics={}, artifacts={})
    ledger = Ledger(ledger_url).create()
    approve_playbook(ledger, loaded.playbook, who="benchmark")
    ledger.close()
    made = [sys.executable, "-m", "propensity", "keys", "create", "--name", "bench", "--scope", scope]
    said = subprocess.run([*made, "--ledger", ledger_url], capture_output=True, text=True, check=True).stdout
    return said.strip().splitlines()[-1].split()[-1]


def row(what: str, found: Load, bare: Load | None = None) -> None:
    against = f"{found.p50 / bare.p50:.1f} | {found.rate / bare.rate:.2f}" if bare else " | "
    print(
        f"| {what} | {found.rate:,.0f} | {found.p50:.1f} | {found.p99:.1f} | {found.failed} | {against} |", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="directory of a model; default: one is trained")
    parser.add_argument("--ledger", help="default: SQLite in a directory that is thrown away")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each measurement")
    parser.add_argument("--requests", type=int, default=0, help="requests over which memory is watched")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        model = (options.model or scratch / "model").resolve()
        if not model.exists():
            train(60_000, str(model))
        ledger = options.ledger or f"sqlite:///{scratch / 'ledger.db'}"
        key = prepare(model, ledger, scratch)
        people, _ = draw_customers(60_000, playbook.load("default"), DECIDED_AT, np.random.default_rng(3))
        people["customer_id"] = [f"c{i:08d}" for i in range(len(people))]
        people.head(500).to_parquet(scratch / "bare.parquet")
        print("| call | requests a second | p50, ms | p99, ms | failed | p50 against bare | rate against bare |")
        print("|---|---|---|---|---|---|---|", flush=True)
        bare = measure_bare(model, scratch, people, options.seconds)
        measure(ledger, key, scratch, people, bare, options.seconds, options.requests)


def measure_bare(model: Path, scratch: Path, people: pd.DataFrame, seconds: int) -> dict[int, Load]:
    environment = {"BARE_MODEL": str(model), "BARE_CUSTOMERS": str(scratch / "bare.parquet")}
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "bentoml", "serve", "bare_service:Bare", "--port", "3901", "--api-workers", "1"]
    address, found = "http://127.0.0.1:3901", {}
    asked = bodies(people.head(2_000), scratch / "bare.jsonl", 1, "c")
    with server(command, environment, address, scratch / "bare.log"):
        wrk(address, asked, "none", 4, seconds=2)
        for connections in (1, 32):
            found[connections] = wrk(address, asked, "none", connections, seconds=seconds)
            row(f"bare predictions, {connections} connection{'s' * (connections > 1)}", found[connections])
    return found


def measure(
    ledger: str, key: str, scratch: Path, people: pd.DataFrame, bare: dict[int, Load], seconds: int, requests: int
) -> None:
    command = [sys.executable, "-m", "propensity", "serve", "--ledger", ledger, "--port", "3902"]
    address = "http://127.0.0.1:3902"
    with server(command, {"BENTOML_DO_NOT_TRACK": "True"}, address, scratch / "serve.log") as process:
        fresh = [bodies(people, scratch / f"fresh{i}.jsonl", 1, f"fresh-{i}") for i in range(4)]
        wrk(address, fresh[0], key, 4, seconds=3)
        row("one customer, new, 1 connection", wrk(address, fresh[1], key, 1, seconds=seconds), bare[1])
        most = wrk(address, fresh[2], key, 32, seconds=seconds)
        row("one customer, new, 32 connections", most, bare[32])
        delay = round(32_000 / (most.rate / 2) - most.p50 / 4)
        row("the same at half the rate", wrk(address, fresh[3], key, 32, seconds=seconds, delay=delay))
        repeats = bodies(people.head(500), scratch / "repeats.jsonl", 1, "repeats")
        wrk(address, repeats, key, 8, seconds=5)
        row("one customer, repeated, 1 connection", wrk(address, repeats, key, 1, seconds=seconds), bare[1])
        row("one customer, repeated, 32 connections", wrk(address, repeats, key, 32, seconds=seconds), bare[32])
        for size in (100, 1_000):
            asked = bodies(people, scratch / f"of{size}.jsonl", size, f"of-{size}")
            row(f"{size:,} customers, new, 1 connection", wrk(address, asked, key, 1, seconds=seconds))
        if requests:
            watch_memory(process, address, key, people, scratch, requests)


def watch_memory(
    process: subprocess.Popen[bytes], address: str, key: str, people: pd.DataFrame, scratch: Path, requests: int
) -> None:
    """Resident memory after each tenth of so many requests."""
    asked, done, seen = bodies(people, scratch / "memory.jsonl", 1, "memory"), 0, []
    while done < requests:
        found = wrk(address, asked, key, 32, seconds=20)
        done += round(found.rate * 20)
        if done >= requests * len(seen) / 10:
            seen.append(f"{done:,}: {resident_megabytes(process):,.0f}")
    print("resident memory in MB by requests: " + "; ".join(seen))


if __name__ == "__main__":
    main()
