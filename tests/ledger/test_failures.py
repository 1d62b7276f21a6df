"""A database that is gone, full, locked or read only: nothing is half written, nothing twice, and on it goes after."""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pandas as pd
import pytest
import sqlalchemy as sa
from ledger_cases import AT, CAMPAIGN, count, decided, event, everything, record, rows

from propensity.errors import JobError
from propensity.ledger import Ledger, LedgerUnavailable, StagedWave, schema
from propensity.ledger.group_commit import GroupWriter


@pytest.fixture
def sqlite(tmp_path):
    made = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", patience_seconds=0.2).create()
    yield made
    made.close()


@pytest.fixture
def postgres(postgres_database):
    made = Ledger(postgres_database)
    with made.engine.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    yield made.create()
    made.close()


@pytest.fixture(params=["alone", "grouped"])
def mode(request):
    return request.param


def in_mode(ledger: Ledger, mode: str) -> Ledger:
    return ledger.grouped() if mode == "grouped" else ledger


def kill_others(ledger: Ledger) -> None:
    """End every other connection to the database, as a server that restarts does."""
    server = sa.create_engine(ledger.engine.url, poolclass=sa.NullPool)
    with server.connect() as connection:
        ended = connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        ).all()
    assert ended


def assert_once(ledger: Ledger, people: int) -> None:
    """Every decision is there once, and counted once."""
    assert count(ledger, schema.decisions) == people
    used = ledger.used_alone(CAMPAIGN, AT.to_pydatetime(), AT.to_pydatetime())
    assert used.loc["email"].to_dict() == {"spend": pytest.approx(0.5 * people), "contacts": people}


# ------------------------------------------------------------------------------------------------------- PostgreSQL


@pytest.mark.postgres
def test_connections_that_were_cut_while_idle_are_made_anew(postgres, mode):
    ledger = in_mode(postgres, mode)
    record(ledger, decided("a"), spend=0.5)
    kill_others(ledger)
    assert list(ledger.standing(["d-a"])) == ["d-a"]
    kill_others(ledger)
    record(ledger, decided("b"), spend=0.5)
    assert_once(ledger, 2)


@pytest.mark.postgres
def test_a_write_that_is_cut_in_the_middle_is_written_once(postgres, mode):
    ledger, killed = in_mode(postgres, mode), []

    @sa.event.listens_for(ledger.engine, "after_cursor_execute")
    def cut(_connection, _cursor, statement, *_):
        if statement.startswith("INSERT INTO decisions") and not killed:
            killed.append(1)
            kill_others(ledger)

    answers = record(ledger, decided("a", "b"), spend=0.5)
    assert killed
    assert [a["customer_id"] for a in answers] == ["a", "b"]
    assert_once(ledger, 2)


@pytest.mark.postgres
def test_a_write_whose_acknowledgement_was_lost_is_not_doubled(postgres, mode):
    ledger, lost = in_mode(postgres, mode), []

    @sa.event.listens_for(ledger.engine, "commit")
    def lose(connection):
        if not lost:
            lost.append(1)
            connection.connection.commit()
            kill_others(ledger)

    first = record(ledger, decided("a"), spend=0.5)
    assert lost
    assert rows(ledger, schema.decisions)[0]["answer"] == first[0]
    lost.clear()
    ledger.add_outcomes(event("a", "purchased", amount=3.0))
    assert lost
    assert [row["amount"] for row in rows(ledger, schema.events)] == [3.0]
    assert_once(ledger, 1)


class Gate:
    """Stands before a server and passes bytes on while it is open; closed, it cuts everybody off and lets nobody in."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listening: socket.socket | None = None
        self._passing: list[socket.socket] = []
        self.port = 0

    def open(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._let_in, args=(self._listening,), daemon=True).start()

    def close(self) -> None:
        # a thread that waits in accept or recv goes on waiting when the socket is only closed
        for each in [*([self._listening] if self._listening else []), *self._passing]:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the other side was first
            finally:
                each.close()
        self._listening, self._passing = None, []

    def _let_in(self, listening: socket.socket) -> None:
        while True:
            try:
                inner, _ = listening.accept()
            except OSError:
                return
            outer = socket.create_connection(self._server)
            self._passing += [inner, outer]
            for one, other in ((inner, outer), (outer, inner)):
                threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    @staticmethod
    def _pass_on(one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65_536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            return


@pytest.mark.postgres
def test_a_server_that_stops_and_starts_is_used_again_by_itself(postgres, mode):
    address = postgres.engine.url
    gate = Gate(address.host, address.port or 5432)
    gate.open()
    url = address.set(host="127.0.0.1", port=gate.port).render_as_string(hide_password=False)
    with closing(in_mode(Ledger(url, patience_seconds=2), mode).open()) as ledger:
        record(ledger, decided("a"), spend=0.5)
        gate.close()
        for ask in (lambda: ledger.standing(["d-a"]), lambda: record(ledger, decided("b"), spend=0.5)):
            with pytest.raises(LedgerUnavailable, match=r"is not available now .*; try again later") as caught:
                ask()
            assert "d-a" not in str(caught.value)
        with pytest.raises(LedgerUnavailable, match="cannot be opened"):
            ledger.open()
        gate.open()
        assert list(ledger.standing(["d-a"])) == ["d-a"]
        record(ledger, decided("b"), spend=0.5)
        assert_once(ledger, 2)
    gate.close()


@pytest.mark.postgres
@pytest.mark.parametrize("largest", [1, 50])
def test_transactions_that_wait_for_each_other_in_a_circle_all_succeed(postgres, largest):
    """One of a pair that collides is given up by the server, and tried again."""
    with closing(Ledger(postgres.engine.url.render_as_string(hide_password=False))) as other:
        met = threading.Barrier(2, timeout=5)
        attempts = []

        def write(ledger: Ledger, first: str, second: str) -> None:
            def change(connection: sa.Connection) -> None:
                attempts.append(first)
                for number, name in enumerate((first, second)):
                    row = {"customer_hash": name, "erased_at": AT.to_pydatetime()}
                    ledger.insert(connection, schema.tombstones, [row])
                    if number == 0 and len(attempts) <= 2:
                        met.wait()

            if largest == 1:
                ledger.transact(change)
            else:
                with closing(GroupWriter(ledger, largest)) as writer:
                    writer.submit(change).result(20)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(write, (postgres, other), "ab", "ba"))
    assert len(attempts) >= 3
    assert {row["customer_hash"] for row in rows(postgres, schema.tombstones)} == {"a", "b"}


@pytest.mark.postgres
def test_a_server_that_would_rather_be_fast_still_makes_commits_durable(postgres):
    with postgres.engine.begin() as connection:
        name = connection.scalar(sa.text("SELECT current_database()"))
        connection.execute(sa.text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
    try:
        url = postgres.engine.url.render_as_string(hide_password=False)
        with closing(Ledger(url)) as again, again.engine.connect() as connection:
            assert connection.scalar(sa.text("SHOW synchronous_commit")) == "on"
    finally:
        with postgres.engine.begin() as connection:
            connection.execute(sa.text(f"ALTER DATABASE {name} RESET synchronous_commit"))


# ----------------------------------------------------------------------------------------------------------- SQLite


def full(ledger: Ledger) -> None:
    """No page may be added to the file from now on; connections of before are closed."""
    ledger.engine.dispose()

    @sa.event.listens_for(ledger.engine, "connect")
    def limit(connection, _):
        connection.execute("PRAGMA max_page_count=1")


def roomy(ledger: Ledger) -> None:
    ledger.engine.dispose()

    @sa.event.listens_for(ledger.engine, "connect")
    def unlimit(connection, _):
        connection.execute("PRAGMA max_page_count=1073741823")


def test_on_a_full_disk_nothing_is_half_written_and_what_stands_is_still_answered(sqlite, mode):
    ledger = in_mode(sqlite, mode)
    first = record(ledger, decided("a"), spend=0.5)
    before = everything(ledger)
    full(ledger)
    many = [f"secret{n}" for n in range(150)]
    with pytest.raises(LedgerUnavailable, match="database or disk is full") as caught:
        record(ledger, decided(*many), spend=0.5)
    assert "secret" not in str(caught.value)
    assert everything(ledger) == before
    assert record(ledger, decided("a", action="control")) == first
    roomy(ledger)
    record(ledger, decided(*many), spend=0.5)
    assert_once(ledger, 151)


def test_a_wave_on_a_full_disk_is_recorded_as_nothing(sqlite, tmp_path):
    people = [f"p{n}" for n in range(3_000)]
    decisions = decided(*people)
    chances = pd.DataFrame({"control": [0.1] * len(people), "email": [0.9] * len(people)})
    snapshots = pd.DataFrame({"customer_id": people, "as_of": AT, "churned_at": AT, "plan": "basic"})
    with StagedWave(sqlite, tmp_path / "staged.parquet", AT) as staged:
        staged.add(decisions, chances, [0.1] * len(people), snapshots)
    before = everything(sqlite)
    full(sqlite)
    about = {"title": "x", "currency": "USD", "window_days": 1.0, "started_at": AT.to_pydatetime()}
    about |= {"reactivated_word": "order", "reactivated_words": "orders"}
    values = {"campaign": CAMPAIGN, "model_version": "m", "playbook_version": "p", "people": 1, "standing": 0}
    values |= {"weeks": 1.0, "limits": {}, "terms": {}, "funnel": [], "file_sha256": ""}
    with pytest.raises(JobError, match=r"could not be recorded \(database or disk is full\); run it again"):
        staged.record(about, **values)
    assert everything(sqlite) == before


def test_a_lock_that_outlasts_patience_is_told_and_waited_for_no_longer(sqlite, mode):
    ledger = in_mode(sqlite, mode)
    record(ledger, decided("a"), spend=0.5)
    with closing(Ledger(sqlite.engine.url.render_as_string())) as other, other.engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        begun = time.monotonic()
        with pytest.raises(LedgerUnavailable, match="database is locked"):
            record(ledger, decided("b"), spend=0.5)
        assert time.monotonic() - begun < 5
        assert list(ledger.standing(["d-a"])) == ["d-a"]  # readers are not in the way, nor are they kept waiting
    record(ledger, decided("b"), spend=0.5)
    assert_once(ledger, 2)


def test_a_new_ledger_waits_for_whoever_is_making_it(tmp_path):
    file = tmp_path / "ledger.db"
    url = f"sqlite:///{file}"
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        with (
            closing(Ledger(url, patience_seconds=0.2)) as hasty,
            pytest.raises(LedgerUnavailable, match="database is locked"),
        ):
            hasty.create()
        release = threading.Timer(0.5, other.execute, ["ROLLBACK"])
        release.start()
        with closing(Ledger(url)) as patient:
            assert patient.create().open().revision() is not None
        release.join()


def test_a_read_only_database_is_told(sqlite, mode):
    ledger = in_mode(sqlite, mode)
    before = everything(ledger)
    ledger.engine.dispose()
    sa.event.listen(ledger.engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only=ON"))
    for write in (lambda: record(ledger, decided("a")), lambda: ledger.erase("a")):
        with pytest.raises(LedgerUnavailable, match="readonly database"):
            write()
    assert everything(ledger) == before


def test_a_fault_of_ours_is_not_called_the_databases(ledger):
    with pytest.raises(sa.exc.DBAPIError):
        ledger.read(lambda connection: connection.execute(sa.text("SELECT nonsense FROM nowhere")))
    with pytest.raises(sa.exc.IntegrityError):
        ledger.transact(lambda connection: connection.execute(schema.tombstones.insert().values(customer_hash="x")))


def test_sqlite_syncs_every_commit_and_lets_readers_read(sqlite):
    with sqlite.engine.connect() as connection:
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
    assert found == ["wal", 2]
