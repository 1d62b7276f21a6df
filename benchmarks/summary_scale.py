"""How long does a summary of a large experiment take, and how much memory?

`python benchmarks/summary_scale.py --people 5000000 --events 20000000`: a ledger is filled in bulk (the fill is not
timed), and summarised in a process of its own: seconds, seconds of the processor, and peak memory of that process.
`--only sqlite` or `--only postgresql`; `--postgres URL` names the server (a database of its own is made there, and
dropped). People are three arms with equal chances, a snapshot each; of the events a fifth is from before the decision.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from ledger import POSTGRES, postgres_ledger, size_mb

from propensity import playbook
from propensity.ledger import Ledger

CAMPAIGN = "spring"
START, DAY = 1_772_442_000, 86_400
"""The day of the first decision, seconds since 1970; decisions are spread over two weeks."""

ACTION = "CASE (n * 48271) % 3 WHEN 0 THEN 'control' WHEN 1 THEN 'better_email_update' ELSE 'miss_email_none' END"
"""By the person's number; the multipliers are those of well-known generators."""

SUMMARISE = """
import json, resource, sys, time
import pandas as pd
from propensity.ledger import Ledger
from propensity_experiments.summary import summarise
ledger = Ledger(sys.argv[1]).open()
begun, used = time.perf_counter(), time.process_time()
found = summarise(ledger, sys.argv[2], now=pd.Timestamp("2026-12-01T00:00:00Z"))
seconds, processor = time.perf_counter() - begun, time.process_time() - used
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([seconds, processor, peak, found.people]))
"""


def fill(ledger: Ledger, people: int, events: int) -> None:
    """Rows that the database makes itself, without indexes but the keys', which come at the end."""
    book = playbook.load("default").model_dump(mode="json")
    ledger.add_campaign(
        CAMPAIGN,
        title="Spring",
        follows=None,
        currency="USD",
        window_days=90.0,
        reactivated_word="return",
        reactivated_words="returns",
        started_at=datetime.fromtimestamp(START, UTC),
        playbook=book,
    )
    sqlite = ledger.engine.dialect.name == "sqlite"
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if sqlite:
            for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000"):
                connection.exec_driver_sql(f"PRAGMA {pragma}")
        indexes = _indexes(connection)
        for name in indexes:
            connection.exec_driver_sql(f"DROP INDEX {name}")
        for statement in (_decisions(people), _customers(people), *_events(people, events)):
            connection.exec_driver_sql(_of(statement, sqlite))
        for made in indexes.values():
            connection.exec_driver_sql(made)
        connection.exec_driver_sql("ANALYZE")
        if sqlite:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")


def _indexes(connection: sa.Connection) -> dict[str, str]:
    """Indexes of the large tables, by name, with what makes them."""
    if connection.dialect.name == "sqlite":
        asked = (
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL "
            "AND tbl_name IN ('decisions', 'events', 'customers')"
        )
    else:
        asked = (
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('decisions', 'events', 'customers') "
            "AND indexdef NOT LIKE 'CREATE UNIQUE%%'"
        )
    return {name: made for name, made in connection.exec_driver_sql(asked)}  # noqa: C416 - rows are no pairs to dict


def _of(statement: str, sqlite: bool) -> str:
    """What both databases say differently."""
    for word, theirs in {
        "NUMBERS": (
            "(WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n + 1 < {}) SELECT n FROM s) AS t",
            "(SELECT generate_series(0::bigint, {} - 1) AS n) AS t",
        ),
        "TIME": ("strftime('%Y-%m-%d %H:%M:%S', {}, 'unixepoch') || '.000000'", "to_timestamp({})"),
        "JSON": ("{}", "({})::json"),
    }.items():
        while f"{word}<" in statement:
            before, _, rest = statement.partition(f"{word}<")
            inside, _, after = rest.partition(">")
            statement = before + theirs[0 if sqlite else 1].format(inside) + after
    return statement if sqlite else statement.replace("%", "%%")


def _decided(number: str) -> str:
    return f"{START} + ({number} * 7919) % {14 * DAY}"


def _decisions(people: int) -> str:
    chances = json.dumps(dict.fromkeys(("control", "better_email_update", "miss_email_none"), 1 / 3))
    return f"""
    INSERT INTO decisions (decision_id, customer_id, campaign, decided_at, action, assignment, probability, cost,
                           probabilities, spend)
    SELECT 'd' || (100000000 + n), 'c' || (100000000 + n), '{CAMPAIGN}', TIME<{_decided("n")}>, {ACTION},
           CASE WHEN (n * 48271) % 3 = 0 THEN 'holdout' ELSE 'explore' END, 1.0 / 3,
           CASE WHEN (n * 48271) % 3 = 0 THEN 0 ELSE 0.02 END, JSON<'{chances}'>, 0.02
    FROM NUMBERS<{people}>
    """


def _customers(people: int) -> str:
    attributes = (
        "'{\"annual_value\": ' || ((n * 16807) % 4000) || '.5, \"tenure_months\": ' || ((n * 69621) % 60) || "
        "', \"orders_last_year\": ' || ((n * 1103) % 20) || ', \"logins_last_year\": ' || ((n * 1999) % 200) || "
        "', \"reason\": \"' || CASE (n * 911) % 4 WHEN 0 THEN 'price' WHEN 1 THEN 'product_gap' "
        "WHEN 2 THEN 'disengaged' ELSE 'service_problem' END || '\", \"relationship\": \"'"
        " || CASE (n * 577) % 3 WHEN 0 THEN 'amicable' "
        "WHEN 1 THEN 'neutral' ELSE 'after_service_failure' END || '\", \"plan_tier\": \"' || "
        "CASE (n * 313) % 3 WHEN 0 THEN 'free' WHEN 1 THEN 'basic' ELSE 'pro' END || '\"}'"
    )
    return f"""
    INSERT INTO customers (customer_id, as_of, churned_at, attributes)
    SELECT 'c' || (100000000 + n), TIME<{START} - 3600>, TIME<{START} - {DAY} * (40 + (n * 271) % 300)>,
           JSON<{attributes}>
    FROM NUMBERS<{people}>
    """


def _events(people: int, events: int) -> list[str]:
    """A sent event for everybody who was contacted, then others until there are enough."""
    sent = f"""
    INSERT INTO events (source, event_id, customer_id, decision_id, at, type)
    SELECT 'esp', 's' || (100000000 + n), 'c' || (100000000 + n), 'd' || (100000000 + n), TIME<{_decided("n")} + 60>,
           'sent'
    FROM NUMBERS<{people}> WHERE (n * 48271) % 3 > 0
    """
    n_sent = sum((k * 48_271) % 3 > 0 for k in range(min(people, 3))) * people // min(people, 3)
    person = f"((n * 2654435761) % {people})"
    other = f"""
    INSERT INTO events (source, event_id, customer_id, at, type, amount)
    SELECT 'shop', 'e' || (100000000 + n), 'c' || (100000000 + {person}),
           CASE WHEN n % 5 = 0 THEN TIME<{START} - 86400 - (n * 40503) % 7776000>
                ELSE TIME<{_decided(person)} + 120 + (n * 40503) % 7776000> END,
           CASE WHEN n % 97 < 3 THEN 'purchased' WHEN n % 97 < 8 THEN 'reactivated' WHEN n % 97 = 8 THEN 'unsubscribed'
                WHEN n % 97 = 9 THEN 'churned' WHEN n % 97 < 50 THEN 'delivered' WHEN n % 97 < 90 THEN 'opened'
                ELSE 'clicked' END,
           CASE WHEN n % 97 < 3 THEN 5 + (n * 7919) % 100 END
    FROM NUMBERS<{max(events - n_sent, 0)}>
    """
    return [sent, other]


def measure(name: str, ledger: Ledger, people: int, events: int) -> None:
    """Fill the ledger, if it is empty, summarise it in another process, and print a row."""
    begun = time.perf_counter()
    if not ledger.campaigns():
        fill(ledger, people, events)
    filled = time.perf_counter() - begun
    url = ledger.engine.url.render_as_string(hide_password=False)
    done = subprocess.run(
        [sys.executable, "-c", SUMMARISE, url, CAMPAIGN], check=True, capture_output=True, text=True, env=os.environ
    )
    seconds, processor, peak, counted = json.loads(done.stdout.splitlines()[-1])
    cells = [name, f"{counted:,.0f}", f"{events:,}", f"{seconds:.1f}", f"{processor:.1f}", f"{peak:,.0f}"]
    print(f"| {' | '.join([*cells, f'{filled:,.0f}', f'{size_mb(ledger):,.0f}'])} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=5_000_000)
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    parser.add_argument("--postgres", default=POSTGRES)
    parser.add_argument("--keep", type=Path, help="SQLite's ledger: made in this file, or used if it is there")
    options = parser.parse_args()
    print("| database | people | events | seconds | of the processor | peak memory, MB | filled in, s | ledger, MB |")
    print("|---|---|---|---|---|---|---|---|")
    if options.only != "postgresql":
        with tempfile.TemporaryDirectory() as directory:
            file = options.keep or Path(directory) / "ledger.db"
            ledger = Ledger(f"sqlite:///{file}").create()
            measure("sqlite", ledger, options.people, options.events)
            ledger.close()
    if options.only != "sqlite":
        with postgres_ledger(options.postgres) as ledger:
            measure("postgresql", ledger, options.people, options.events)


if __name__ == "__main__":
    main()
