"""Are outcomes accepted without losing or doubling one, and how fast?

`python benchmarks/serving/outcomes.py --events 100000`: `propensity serve` (one worker) is sent so many CloudEvents,
1,000 a request, by eight callers at once. Every request is made twice, by different callers at about the same time, as
tools do that repeat what they are not sure of. Afterwards the ledger must hold every event exactly once, and the
answers must have called each accepted once and a duplicate once. A model is trained first, or taken from `--model DIR`;
`--ledger URL` takes another ledger than SQLite.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from decide_scale import train
from run import AT, prepare, server

from propensity.ledger import Ledger, schema

ADDRESS = "http://127.0.0.1:3903"
IN_A_REQUEST, CALLERS = 1_000, 8
SOURCE = "benchmark"


def events(numbers: Iterable[int]) -> list[dict[str, Any]]:
    same = {"specversion": "1.0", "source": SOURCE, "type": "purchased", "time": AT.isoformat()}
    return [{**same, "id": f"e{n}", "subject": f"c{n // 3}", "data": {"amount": n % 100}} for n in numbers]


def send(n: int, key: str) -> tuple[Counter[str], float]:
    """What the answers called the events, and the seconds it took; an answer that is not 202 ends it."""
    parts = [range(start, min(n, start + IN_A_REQUEST)) for start in range(0, n, IN_A_REQUEST)]
    twice = [part for pair in zip(parts, [*parts[1:], parts[0]], strict=True) for part in pair]
    headers = {"X-API-Key": key}
    with httpx.Client(base_url=ADDRESS, headers=headers, timeout=60, trust_env=False) as client:

        def call(part: range) -> Counter[str]:
            answer = client.post("/v1/outcomes", json=events(part))
            if answer.status_code != 202:
                raise SystemExit(f"POST /v1/outcomes: {answer.status_code} {answer.text[:500]}")
            return Counter(result["status"] for result in answer.json()["results"])

        begun = time.perf_counter()
        with ThreadPoolExecutor(CALLERS) as pool:
            told = sum(pool.map(call, twice), Counter[str]())
        return told, time.perf_counter() - begun


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--model", type=Path, help="directory of a model; default: one is trained")
    parser.add_argument("--ledger", help="default: SQLite in a directory that is thrown away")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        model = (options.model or scratch / "model").resolve()
        if not model.exists():
            train(10_000, str(model))
        url = options.ledger or f"sqlite:///{scratch / 'ledger.db'}"
        key = prepare(model, url, scratch, "report")
        command = [sys.executable, "-m", "propensity", "serve", "--ledger", url, "--port", ADDRESS.rsplit(":", 1)[1]]
        with server(command, {}, ADDRESS, scratch / "serve.log"):
            told, seconds = send(options.events, key)
        with closing(Ledger(url).open()) as ledger, ledger.engine.connect() as connection:
            of_these = sa.select(schema.events.c.event_id).where(schema.events.c.source == SOURCE)
            kept = Counter(connection.scalars(of_these))
    missing = {f"e{n}" for n in range(options.events)} - set(kept)
    doubled = [key for key, times in kept.items() if times > 1]
    rate = 2 * options.events / seconds
    print(f"{options.events:,} events, each sent twice: {dict(told)} in {seconds:,.0f} s ({rate:,.0f} a second)")
    print(f"in the ledger: {len(kept):,}; lost: {len(missing)}; doubled: {len(doubled)}")
    fine = not missing and not doubled and told == {"accepted": options.events, "duplicate": options.events}
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
