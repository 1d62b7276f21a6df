"""How many durable writes does the ledger take, and does it stay as fast when it grows?

`python benchmarks/ledger.py --commits`: single decisions, each recorded with `Ledger.add_decisions` as the service
does, by one caller and by 32 at once, with and without group commit; each counts when it is durable. Beside them what
the disk gives: a file that is appended to and synced, one write at a time.

`python benchmarks/ledger.py --decisions 10000 10000000`: ledgers of so many decisions, filled in bulk, and what is
read for a repeated call (`repeats`) and for a new decision (`known_of`, `latest_wave`, `used_alone`): the median and
the 95th percentile over 300 people drawn at random, on one connection. Where the machine is busy with something else,
the seconds of the processor beside them say more. `--plans` prints how the database carries the reads out.
`--postgres URL` names the server (a database of its own is made there, and dropped).
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
from contextlib import ExitStack, closing, contextmanager
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
REPEAT = "repeats"


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


def decisions(n: int) -> pd.DataFrame:
    """On n people of whom nobody heard before."""
    mark = secrets.token_hex(4)
    row = {
        **dict.fromkeys(DECISION_COLUMNS),
        "campaign": CAMPAIGN,
        "action": ACTIONS[0],
        "send": True,
        "assignment": "policy",
        "probability": 0.9,
        "cost": 0.01,
        "brief": "value",
    }
    people = [f"{mark}-{number}" for number in range(n)]
    return pd.DataFrame({**row, "customer_id": people, "decision_id": people})


def commits_per_second(ledger: Ledger, callers: int, seconds: float) -> float:
    """Durable decisions a second."""
    made = decisions(20_000)
    chances = pd.DataFrame({"control": [0.1], ACTIONS[0]: [0.9]})
    at = pd.Timestamp(NOW)
    until = time.perf_counter() + seconds

    def call(caller: int) -> int:
        done = 0
        for number in range(caller, len(made), callers):
            if time.perf_counter() > until:
                break
            ledger.add_decisions(made.iloc[[number]], at, chances, spend=[0.01])
            done += 1
        return done

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
    """What is read for a call about the decision of a number: a repeat, then what a new one takes."""
    lately = NOW - timedelta(weeks=1)
    return {
        REPEAT: lambda n: ledger.repeats([f"d{n:08d}"]),
        "known_of": lambda n: known_of(ledger, [f"c{n // 2:08d}"], [f"d{n:08d}"]),
        "latest_wave": lambda n: ledger.latest_wave(CAMPAIGN, "p", NOW),
        "used_alone": lambda n: ledger.used_alone(CAMPAIGN, WAVE_AT, lately),
    }


def measure_reads(name: str, place: Callable[[], Any], sizes: list[int], plans: bool) -> None:
    """One row a size. The ledgers take turns, so that whatever else the machine does slows all of them alike."""
    with ExitStack() as stack:
        ledgers, filled = {}, {}
        for n in sizes:
            ledgers[n] = stack.enter_context(place())
            begun = time.perf_counter()
            fill(ledgers[n], n)
            filled[n] = time.perf_counter() - begun
        clock = {n: {what: [] for what in reads(ledger)} for n, ledger in ledgers.items()}
        processor = dict.fromkeys(sizes, 0.0)
        for share in np.random.default_rng(6).random(ASKED + WARMING):
            for n, ledger in ledgers.items():
                for what, read in reads(ledger).items():
                    begun, used = time.perf_counter(), time.process_time()
                    read(int(share * n))
                    clock[n][what].append(1_000 * (time.perf_counter() - begun))
                    processor[n] += 1_000 * (time.process_time() - used)
        for n, ledger in ledgers.items():
            new = [times for what, times in clock[n].items() if what != REPEAT]
            every = {**clock[n], "all of a new one": list(np.sum(new, axis=0))}
            middle = [f"{np.median(ms[WARMING:]):.2f} ({np.quantile(ms[WARMING:], 0.95):.2f})" for ms in every.values()]
            each = processor[n] / (ASKED + WARMING)
            cells = [name, f"{n:,}", *middle, f"{each:.2f}", f"{filled[n]:,.0f}", f"{size_mb(ledger):,.0f}"]
            print(f"| {' | '.join(cells)} |", flush=True)
        if plans:
            show_plans(ledgers[sizes[-1]])


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
        print("\n| database | decisions | a repeat, ms (95 %) | known_of | latest_wave | used_alone | ", end="")
        print("all of a new one | all, ms of processor | filled in, s | MB |")
        print("|---|---|---|---|---|---|---|---|---|---|")
        for name, place in places.items():
            measure_reads(name, place, options.decisions, options.plans)


if __name__ == "__main__":
    main()
