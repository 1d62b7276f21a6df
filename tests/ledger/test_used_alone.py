"""What decisions outside waves took, from running totals: the same as adding the decisions up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from ledger_cases import AT, CAMPAIGN, decided, everything, record, rows

from propensity.ledger import Ledger, schema

MIDNIGHT = datetime.fromisoformat("2026-03-04T00:00:00+00:00")
TIMES = [
    MIDNIGHT + timedelta(seconds=seconds)
    for seconds in (-200_000, -86_400, -3_661, -3_600, -60, -59.5, -1e-6, 0, 1e-6, 59, 60, 3_599, 3_600, 90_000, 9e5)
]
"""Inside spans, on their edges, and one microsecond off."""


def added_up(ledger: Ledger, campaign: str, since: datetime, lately: datetime) -> dict[str, dict[str, float]]:
    """By the decisions themselves."""
    found: dict[str, dict[str, float]] = {}
    for row in rows(ledger, schema.decisions):
        mine = row["campaign"] == campaign and row["wave_id"] is None and row["action"] != "control"
        if mine and row["decided_at"] >= since:
            of = found.setdefault(row["action"], {"spend": 0.0, "contacts": 0})
            of["spend"] += row["spend"] or 0.0
            of["contacts"] += row["decided_at"] >= lately
    return found


def used(ledger: Ledger, campaign: str, since: datetime, lately: datetime) -> dict[str, dict[str, float]]:
    table = ledger.used_alone(campaign, since, lately)
    assert list(table) == ["spend", "contacts"]
    return table.to_dict("index")


@pytest.fixture
def busy(ledger):
    """Decisions around midnight in two campaigns, by two ledgers; some by hand of a wave, some without spend."""
    rng = np.random.default_rng(1)
    for number, at in enumerate([*TIMES, *(MIDNIGHT + timedelta(seconds=s) for s in rng.uniform(-3e5, 3e5, 60))]):
        made = decided(
            f"p{number}a",
            f"p{number}b",
            action=("email", "call", "control")[number % 3],
            campaign=(CAMPAIGN, CAMPAIGN, "autumn")[number % 7 % 3],
        )
        spend = None if number % 5 == 0 else float(rng.integers(1, 9))
        record(ledger, made, pd.Timestamp(at), spend=spend)
    contact = {"decision_id": "past", "customer_id": "past", "decided_at": pd.Timestamp(TIMES[3]), "campaign": CAMPAIGN}
    ledger.add_contacts(pd.DataFrame([{**contact, "action": "email", "probability": 0.5, "cost": 0.1}]))
    with ledger.engine.begin() as connection:
        d = schema.decisions.c
        row = dict(connection.execute(sa.select(schema.decisions).where(d.decision_id == "d-p0a")).mappings().one())
        connection.execute(schema.decisions.insert().values({**row, "decision_id": "of a wave", "wave_id": 1}))
    return ledger


def test_totals_are_what_adding_up_gives_from_any_time_on(busy):
    for since in TIMES:
        for lately in (since, since + timedelta(seconds=61), since + timedelta(days=1, seconds=7), TIMES[-1]):
            for campaign in (CAMPAIGN, "autumn", "none"):
                expected = added_up(busy, campaign, since, lately)
                assert used(busy, campaign, since, lately) == {k: pytest.approx(v) for k, v in expected.items()}
    assert len(added_up(busy, CAMPAIGN, TIMES[0], TIMES[0])) == 2


def test_recording_again_counts_nothing_again(busy):
    before = used(busy, CAMPAIGN, TIMES[0], TIMES[0])
    record(busy, decided("p0a", "p0b", action="call"), pd.Timestamp(TIMES[5]), spend=9.0)
    contact = {"decision_id": "past", "customer_id": "past", "decided_at": AT, "campaign": CAMPAIGN}
    busy.add_contacts(pd.DataFrame([{**contact, "action": "email", "probability": 0.5, "cost": 0.1}]))
    assert used(busy, CAMPAIGN, TIMES[0], TIMES[0]) == before


def test_the_erased_have_used_what_they_used(busy):
    before = used(busy, CAMPAIGN, TIMES[0], TIMES[2])
    assert busy.erase("p1a")
    assert used(busy, CAMPAIGN, TIMES[0], TIMES[2]) == before
    assert busy.erase("p2a")
    record(busy, decided("p1a"), pd.Timestamp(TIMES[5]), spend=9.0)
    assert used(busy, CAMPAIGN, TIMES[0], TIMES[2]) == before


@pytest.mark.parametrize("grouped", [False, True])
def test_totals_of_many_writers_add_up(ledger, url, grouped):
    others = [Ledger(url) for _ in range(2)]
    writers = [each.grouped() if grouped else each for each in (ledger, *others)]

    def decide(number: int) -> None:
        people = [f"p{(number * 3 + k) % 50}" for k in range(8)]
        action = ("email", "call")[number % 2]
        record(writers[number % 3], decided(*people, action=action), pd.Timestamp(TIMES[number % 4]), spend=0.25)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(decide, range(60)))
    assert used(ledger, CAMPAIGN, TIMES[0], TIMES[1]) == added_up(ledger, CAMPAIGN, TIMES[0], TIMES[1])
    assert len(rows(ledger, schema.decisions)) == 50
    for each in others:
        each.close()


def test_a_decision_that_is_not_recorded_is_not_counted(ledger):
    before = everything(ledger)
    with pytest.raises(sa.exc.DBAPIError):
        record(ledger, decided("a", "b").assign(cost=[0.1, None]), spend=1.0)
    assert everything(ledger) == before


def test_no_read_of_a_request_goes_through_a_whole_table(ledger):
    """At most a minute of decisions is read, whatever the ledger holds."""
    said_to_it = []
    sa.event.listen(ledger.engine, "before_cursor_execute", lambda *a: said_to_it.append((a[2], a[3])))
    ledger.used_alone(CAMPAIGN, TIMES[0], TIMES[1])
    ledger.history(["a"])
    ledger.standing(["d-a"])
    ledger.suppressed(["a"])
    ledger.held_on("a")
    asked = [(statement, values) for statement, values in said_to_it if statement.startswith("SELECT")]
    assert len(asked) >= 8
    with ledger.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET enable_seqscan = off")  # empty tables are read as they are, otherwise
            plans = [list(connection.exec_driver_sql(f"EXPLAIN {s}", v).scalars()) for s, v in asked]
            assert not [line for plan in plans for line in plan if "Seq Scan" in line]
        else:
            plans = [[row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {s}", v)] for s, v in asked]
            scans = {line for plan in plans for line in plan if line.startswith("SCAN")}
            assert scans == {"SCAN anon_1"}
    said = " ".join(line for plan in plans for line in plan)
    # both ends of the minute, not the campaign alone
    assert "decided_at>? AND decided_at<?" in said or ("decided_at >= " in said and "decided_at < " in said)
