"""Writes of many threads share commits, and each is answered as if it were alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
import sqlalchemy as sa
from ledger_cases import AT, CAMPAIGN, count, decided, event, everything, record, rows, snapshot

from propensity.ledger import Ledger, LedgerUnavailable, schema
from propensity.ledger.group_commit import GroupWriter


@pytest.fixture
def commits(ledger):
    """How many transactions were committed so far."""
    made = []
    sa.event.listen(ledger.engine, "commit", lambda _: made.append(1))
    return made


class Held:
    """A group writer that is busy with a first write until it is told to go on, so that others gather behind it."""

    def __init__(self, ledger: Ledger, largest: int = 200) -> None:
        self.writer = GroupWriter(ledger, largest)
        self.go_on = threading.Event()
        begun = threading.Event()
        self.writer.submit(lambda _: (begun.set(), self.go_on.wait(10)))
        assert begun.wait(10)


@pytest.fixture
def held(ledger):
    made = Held(ledger)
    yield made.writer, made.go_on
    made.go_on.set()
    made.writer.close()


def tombstone(name: str):
    """A write that leaves a row of this name, and answers with it."""

    def write(connection: sa.Connection) -> str:
        row = {"customer_hash": name, "erased_at": AT.to_pydatetime()}
        connection.execute(schema.tombstones.insert(), [row])
        return name

    return write


def names(ledger: Ledger) -> set[str]:
    return {row["customer_hash"] for row in rows(ledger, schema.tombstones)}


def test_what_gathers_is_committed_at_once_and_each_gets_its_own_answer(ledger, held, commits):
    writer, go_on = held
    answers = [writer.submit(tombstone(f"t{n}")) for n in range(50)]
    go_on.set()
    assert [answer.result(10) for answer in answers] == [f"t{n}" for n in range(50)]
    assert names(ledger) == {f"t{n}" for n in range(50)}
    assert len(commits) == 2


def test_no_transaction_takes_more_than_a_group(ledger, commits):
    held = Held(ledger, largest=10)
    writer, go_on = held.writer, held.go_on
    for n in range(50):
        writer.submit(tombstone(f"t{n}"))
    go_on.set()
    writer.close()
    assert len(names(ledger)) == 50
    assert len(commits) == 1 + 5


def test_one_that_fails_does_not_fail_the_others(ledger, held):
    writer, go_on = held

    def faulty(connection: sa.Connection) -> None:
        tombstone("half")(connection)
        raise ZeroDivisionError("mine")

    before = writer.submit(tombstone("before"))
    mine = writer.submit(faulty)
    broken = writer.submit(lambda connection: connection.execute(sa.text("SELECT nonsense FROM nowhere")))
    after = writer.submit(tombstone("after"))
    go_on.set()
    assert (before.result(10), after.result(10)) == ("before", "after")
    with pytest.raises(ZeroDivisionError, match="mine"):
        mine.result(10)
    with pytest.raises(sa.exc.SQLAlchemyError):
        broken.result(10)
    assert names(ledger) == {"before", "after"}


def test_a_write_is_acknowledged_when_others_can_see_it(ledger, held):
    writer, go_on = held
    seen = []
    answer = writer.submit(tombstone("t"))
    answer.add_done_callback(lambda _: seen.append(names(ledger)))
    assert names(ledger) == set()
    go_on.set()
    answer.result(10)
    writer.close()
    assert seen == [{"t"}]


def test_closing_commits_what_waits_and_takes_no_more(ledger, held):
    writer, go_on = held
    answers = [writer.submit(tombstone(f"t{n}")) for n in range(5)]
    threading.Timer(0.05, go_on.set).start()
    writer.close()
    assert all(answer.done() for answer in answers)
    assert len(names(ledger)) == 5
    with pytest.raises(LedgerUnavailable, match="is closed"):
        writer.submit(tombstone("late"))
    writer.close()


def test_one_that_was_given_up_is_not_written(ledger, held):
    writer, go_on = held
    given_up, other = writer.submit(tombstone("given up")), writer.submit(tombstone("other"))
    assert given_up.cancel()
    go_on.set()
    other.result(10)
    assert names(ledger) == {"other"}


def test_decisions_of_many_threads_are_what_they_would_be_alone(ledger, url, commits):
    ledger.grouped()
    people = [f"p{n}" for n in range(40)]

    def decide(caller: int) -> list[dict]:
        mine = people[caller % 20 : caller % 20 + 20]
        ledger.add_outcomes(event(f"p{caller}", "sent", decision_id=f"d-p{caller}"))
        return record(ledger, decided(*mine, action=("email", "control")[caller % 2]), spend=0.5)

    with ThreadPoolExecutor(16) as pool:
        answered = list(pool.map(decide, range(40)))
    stored = {row["decision_id"]: row["answer"] for row in rows(ledger, schema.decisions)}
    assert len(stored) == 39
    for answers in answered:
        assert [answer["customer_id"] for answer in answers] == sorted(
            (answer["customer_id"] for answer in answers), key=lambda c: int(c[1:])
        )
        assert all(stored[answer["decision_id"]] == answer for answer in answers)
    sent = sum(answer["action"] == "email" for answer in stored.values())
    used = ledger.used_alone(CAMPAIGN, AT.to_pydatetime(), AT.to_pydatetime())
    assert used.loc["email"].to_dict() == {"spend": pytest.approx(0.5 * sent), "contacts": sent}
    assert count(ledger, schema.events) == 40
    assert len(commits) < 80


def test_a_repeat_writes_nothing(ledger, commits):
    first = record(ledger, decided("a", "b"))
    made, before = len(commits), everything(ledger)
    assert record(ledger, decided("b", "a", action="control")) == first[::-1]
    assert len(commits) == made
    assert everything(ledger) == before


def test_decisions_of_a_group_are_written_by_a_statement_for_all(ledger):
    ledger.grouped()
    said = []
    sa.event.listen(ledger.engine, "before_cursor_execute", lambda *a: said.append(a[2]))
    people = [f"p{n}" for n in range(60)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda person: record(ledger, decided(person), spend=0.5), people))
    assert [a["customer_id"] for (a,) in answers] == people
    assert count(ledger, schema.decisions) == 60
    inserts = [statement for statement in said if statement.startswith("INSERT INTO decisions")]
    assert len(inserts) < 50
    assert all(row["decision_id"].startswith("d-p") for row in rows(ledger, schema.decisions))


def test_of_two_who_decide_the_same_in_a_group_the_first_stands_for_both(ledger, held, monkeypatch):
    writer, go_on = held
    monkeypatch.setattr(ledger, "_group", writer)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(record, ledger, decided("a", action=action)) for action in ("email", "control") * 2]
        go_on.set()
        answers = [each.result(10)[0] for each in asked]
    (row,) = rows(ledger, schema.decisions)
    assert all(answer == row["answer"] for answer in answers)
    monkeypatch.undo()


def test_a_snapshot_is_of_the_caller_whose_decision_stands(ledger):
    ledger.grouped()
    record(ledger, decided("a"), customers=pd.concat([snapshot("a", plan="gold"), snapshot("other")]))
    record(ledger, decided("a", "b"), customers=pd.concat([snapshot("a", plan="late"), snapshot("b", plan="basic")]))
    kept = {row["customer_id"]: row["attributes"] for row in rows(ledger, schema.customers)}
    assert kept == {"a": {"plan": "gold"}, "b": {"plan": "basic"}}
