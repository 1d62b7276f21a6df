"""How many durable writes does the ledger take, and does it stay as fast when it grows?

`python benchmarks/ledger.py --commits`: single decisions, each recorded with `Ledger.add_decisions` as the service
does, by one caller and by 32 at once, with and without group commit; each counts when it is durable. Beside them what
the disk gives: a file that is appended to and synced, one write at a time.

`python benchmarks/ledger.py --decisions 10000 1000000`: ledgers of so many decisions, filled in bulk, and the reads of
a request for a person on whom a decision stands already (`known_of`, `latest_wave`, `used_alone`, `standing`): the
median and the 95th percentile over 300 people drawn at random, on one connection. Where the machine is busy with
something else, the seconds of the processor beside them say more. `--plans` prints how the database carries the reads
out. `--postgres URL` names the server (a database of its own is made there, and dropped).
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from propensity.decision import DECISION_COLUMNS
from propensity.known import known_of
from propensity.ledger import Ledger, schema, used_alone

POSTGRES = os.environ.get("PROPENSITY_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
ACTIONS = [f"archetype{n % 5}_email_offer{n}" for n in range(12)]
CAMPAIGN = "spring"
NOW = datetime(2026, 6, 1, 12, 0, 30, tzinfo=UTC)
WAVE_AT = NOW - timedelta(days=21, minutes=17, seconds=5)
DAYS = 28
"""Decisions are spread over so many days before now; a wave, which the totals count from, lies within."""
CHUNK = 20_000
ASKED, WARMING = 300, 20


# ------------------------------------------------------------------------------------------------------------ places


@contextmanager
def sqlite_ledger() -> Iterator[Ledger]:
    with tempfile.TemporaryDirectory() as directory, closing(Ledger(f"sqlite:///{directory}/ledger.db")) as ledger:
        yield ledger.create()


@contextmanager
def postgres_ledger(address: str) -> Iterator[Ledger]:
    server = sa.create_engine(address, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})
    name = f"propensity_benchmark_{secrets.token_hex(6)}"
    with server.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    try:
        url = server.url.set(database=name).render_as_string(hide_password=False)
        with closing(Ledger(url)) as ledger:
            yield ledger.create()
    finally:
        with server.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
        server.dispose()


# ----------------------------------------------------------------------------------------------------------- commits


def decision(key: str) -> pd.DataFrame:
    row = {
        **dict.fromkeys(DECISION_COLUMNS),
        "decision_id": f"d-{key}",
        "customer_id": key,
        "campaign": CAMPAIGN,
        "action": ACTIONS[0],
        "send": True,
        "assignment": "policy",
        "probability": 0.9,
        "cost": 0.01,
        "reason_codes": ["value"],
    }
    return pd.DataFrame([row])


def commits_per_second(ledger: Ledger, callers: int, seconds: float) -> float:
    """Durable decisions a second."""
    chances = pd.DataFrame({"control": [0.1], ACTIONS[0]: [0.9]})
    at = pd.Timestamp(NOW)
    until = time.perf_counter() + seconds

    def call(caller: int) -> int:
        made, mark = 0, secrets.token_hex(4)
        while time.perf_counter() < until:
            ledger.add_decisions(decision(f"{mark}-{caller}-{made}"), at, chances, spend=[0.01])
            made += 1
        return made

    begun = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        total = sum(pool.map(call, range(callers)))
    return total / (time.perf_counter() - begun)


def syncs_per_second(seconds: float) -> float:
    """What the disk gives to one writer."""
    with tempfile.NamedTemporaryFile() as file:
        done, begun = 0, time.perf_counter()
        while time.perf_counter() < begun + seconds:
            os.write(file.fileno(), bytes(4096))
            os.fdatasync(file.fileno())
            done += 1
        return done / (time.perf_counter() - begun)


def measure_commits(places: dict[str, Callable[[], Any]], seconds: float) -> None:
    print(f"A file synced after each write of 4 KB: {syncs_per_second(seconds):,.0f} a second.\n")
    print("| database | callers | one commit each, a second | group commit, a second |")
    print("|---|---|---|---|")
    for name, place in places.items():
        for callers in (1, 32):
            found = []
            for grouped in (False, True):
                with place() as ledger:
                    if grouped:
                        ledger.grouped()
                    commits_per_second(ledger, callers, 0.5)  # connections are made, statements compiled
                    found.append(commits_per_second(ledger, callers, seconds))
            print(f"| {name} | {callers} | {found[0]:,.0f} | {found[1]:,.0f} |", flush=True)


# ------------------------------------------------------------------------------------------------------------- reads


def fill(ledger: Ledger, n: int) -> None:
    """n decisions on n / 2 people, with a snapshot of each person and an event for every other decision."""
    rng = np.random.default_rng(5)
    insert = copy_rows if ledger.engine.dialect.name == "postgresql" else insert_rows
    answer = json.dumps({**dict.fromkeys(DECISION_COLUMNS), "reason_codes": ["value"], "assignment": "policy"})
    for start in range(0, n, CHUNK):
        numbers = range(start, min(n, start + CHUNK))
        actions = rng.choice([*ACTIONS, "control"], len(numbers))
        seconds = rng.uniform(0, DAYS * 86_400, len(numbers))
        decisions = [
            {
                "decision_id": f"d{number:08d}",
                "customer_id": f"c{number // 2:08d}",
                "campaign": CAMPAIGN,
                "decided_at": NOW - timedelta(seconds=float(second)),
                "action": str(action),
                "assignment": "policy",
                "probability": 0.9,
                "cost": 0.01,
                "probabilities": '{"control": 0.1, "email": 0.9}',
                "answer": answer,
                "would_have_sent": str(action),
                "spend": 0.01,
            }
            for number, action, second in zip(numbers, actions, seconds, strict=True)
        ]
        events = [
            {
                "source": "esp",
                "event_id": f"e{row['decision_id']}",
                "customer_id": row["customer_id"],
                "decision_id": row["decision_id"],
                "at": row["decided_at"],
                "type": "sent",
            }
            for row in decisions[::2]
        ]
        with ledger.engine.begin() as connection:
            insert(connection, schema.decisions, decisions)
            insert(connection, schema.events, events)
            used_alone.count(connection, decisions)
    wave = {
        **{"campaign": CAMPAIGN, "decided_at": WAVE_AT, "recorded_at": WAVE_AT, "model_version": "m/1"},
        **{"playbook_version": "p", "people": 1, "standing": 0, "budget": 1e9, "weeks": 1.0, "file_sha256": ""},
        **{"limits": {}, "terms": {"prices": {}, "explore_weights": {}}, "funnel": []},
    }
    with ledger.engine.begin() as connection:
        connection.execute(schema.waves.insert().values(wave))
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE" if connection.dialect.name == "postgresql" else "ANALYZE"))


def insert_rows(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    names = list(rows[0])
    marks = ", ".join("?" * len(names))
    values = [
        tuple(v.strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(v, datetime) else v for v in row.values())
        for row in rows
    ]
    connection.connection.cursor().executemany(
        f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})", values
    )


def copy_rows(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    cursor: Any = connection.connection.cursor()
    with cursor.copy(f"COPY {table.name} ({', '.join(rows[0])}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(tuple(row.values()))


def reads(ledger: Ledger) -> dict[str, Callable[[int], Any]]:
    """The reads of a repeated request, by name, for the decision of a number."""
    lately = NOW - timedelta(weeks=1)
    return {
        "known_of": lambda n: known_of(ledger, [f"c{n // 2:08d}"], [f"d{n:08d}"]),
        "latest_wave": lambda n: ledger.latest_wave(CAMPAIGN, "p", NOW),
        "used_alone": lambda n: ledger.used_alone(CAMPAIGN, WAVE_AT, lately),
        "standing": lambda n: ledger.standing([f"d{n:08d}"]),
    }


def measure_reads(name: str, ledger: Ledger, n: int, plans: bool) -> None:
    begun = time.perf_counter()
    fill(ledger, n)
    filled = time.perf_counter() - begun
    clock: dict[str, list[float]] = {what: [] for what in reads(ledger)}
    processor = 0.0
    for number in np.random.default_rng(6).integers(0, n, ASKED + WARMING):
        for what, read in reads(ledger).items():
            begun, used = time.perf_counter(), time.process_time()
            read(int(number))
            clock[what].append(1_000 * (time.perf_counter() - begun))
            processor += 1_000 * (time.process_time() - used)
    clock["all"] = list(np.sum(list(clock.values()), axis=0))
    middle = [f"{np.median(ms[WARMING:]):.2f} ({np.quantile(ms[WARMING:], 0.95):.2f})" for ms in clock.values()]
    each = processor / (ASKED + WARMING)
    print(
        f"| {name} | {n:,} | {' | '.join(middle)} | {each:.2f} | {filled:,.0f} | {size_mb(ledger):,.0f} |", flush=True
    )
    if plans:
        show_plans(ledger)


def size_mb(ledger: Ledger) -> float:
    if ledger.engine.dialect.name == "sqlite":
        return Path(ledger.engine.url.database or "").stat().st_size / 1e6
    with ledger.engine.connect() as connection:
        return (connection.scalar(sa.text("SELECT pg_database_size(current_database())")) or 0) / 1e6


def show_plans(ledger: Ledger) -> None:
    """How the database carries each statement out."""
    asked: list[tuple[str, Any]] = []
    sa.event.listen(ledger.engine, "before_cursor_execute", lambda *a: asked.append((a[2], a[3])))
    for what, read in reads(ledger).items():
        asked.clear()
        read(1)
        print(f"\n{what}")
        for statement, values in list(asked):
            if not statement.startswith("SELECT"):
                continue
            words = "EXPLAIN QUERY PLAN" if ledger.engine.dialect.name == "sqlite" else "EXPLAIN"
            with ledger.engine.connect() as connection:
                for row in connection.exec_driver_sql(f"{words} {statement}", values):
                    print("   ", row[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commits", action="store_true", help="measure durable writes")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement of writes")
    parser.add_argument("--decisions", type=int, nargs="*", default=[], help="sizes of ledgers to measure reads on")
    parser.add_argument("--plans", action="store_true", help="print the plans of the reads")
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    parser.add_argument("--postgres", default=POSTGRES)
    options = parser.parse_args()
    places: dict[str, Callable[[], Any]] = {
        "sqlite": sqlite_ledger,
        "postgresql": lambda: postgres_ledger(options.postgres),
    }
    if options.only:
        places = {options.only: places[options.only]}
    if options.commits:
        measure_commits(places, options.seconds)
    if options.decisions:
        print("\n| database | decisions | known_of, ms (95 %) | latest_wave | used_alone | standing | all | ", end="")
        print("all, ms of processor | filled in, s | MB |\n|---|---|---|---|---|---|---|---|---|---|")
    for n in options.decisions:
        for name, place in places.items():
            with place() as ledger:
                measure_reads(name, ledger, n, options.plans)


if __name__ == "__main__":
    main()
