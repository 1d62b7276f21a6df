"""Migrations make what the code expects, lose nothing, take older ledgers over, and run one at a time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from ledger_cases import AT, CAMPAIGN, decided, event, everything, record, rows, snapshot

from propensity.errors import InputError
from propensity.ledger import Ledger, migrating, schema
from propensity.ledger.keys import create_key
from propensity.ledger.migrations import new_migration

ALL = [r.revision for r in migrating.revisions()]


def differences(ledger: Ledger) -> list:
    """What `schema.py` has and the database has not, or the other way round."""
    with ledger.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return compare_metadata(context, schema.metadata)


@pytest.fixture
def told(ledger):
    """A ledger that holds something in most tables."""
    ledger.add_customers(snapshot("a", plan="größer"))
    ledger.add_outcomes(pd.concat([event("a", "sent", decision_id="d-a"), event("b", "unsubscribed")]))
    for hours in (0, 30):
        at = AT + pd.Timedelta(hours=hours, microseconds=1)
        record(ledger, decided(*(f"{hours}-{n}" for n in range(3))), at, spend=0.1)
        record(ledger, decided(f"{hours}-x", action="control"), at, spend=0.0)
    record(ledger, decided("a"), AT)
    ledger.add_promotion(who="ann", model="m", from_version=None, to_version="1", why="first")
    ledger.erase("b")
    return ledger


def used(ledger: Ledger) -> dict:
    return ledger.used_alone(CAMPAIGN, AT.to_pydatetime(), AT.to_pydatetime()).to_dict("index")


def test_migrations_make_the_tables_of_the_code(ledger):
    assert differences(ledger) == []


def test_a_difference_would_be_seen(ledger):
    with ledger.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE waves ADD COLUMN odd TEXT"))
        connection.execute(sa.text("DROP INDEX ix_events_customer_id"))
    assert {kind for kind, *_ in differences(ledger)} == {"remove_column", "add_index"}


@pytest.mark.parametrize("revision", ALL)
def test_back_and_forward_again_keeps_every_row(told, revision):
    before = everything(told)
    told.downgrade(revision)
    assert told.revision() == revision
    told.upgrade()
    assert told.revision() == ALL[-1]
    after = everything(told)
    # totals are counted anew, by one writer
    assert {**after, "used_alone": None} == {**before, "used_alone": None}
    assert used(told) == {"email": {"spend": pytest.approx(0.6), "contacts": 7}}
    assert differences(told) == []


def test_going_back_does_not_remove_the_ledger(told):
    before = everything(told)
    for revision in ("base", "-3", "0999"):
        with pytest.raises(InputError, match=f"expected a revision among 0001, .*found {revision}"):
            told.downgrade(revision)
    told.downgrade(ALL[0])
    with pytest.raises(InputError, match="the ledger is not past it"):
        told.downgrade(ALL[1])
    told.upgrade()
    assert everything(told).keys() == before.keys()
    assert rows(told, schema.decisions) == before["decisions"]


def test_a_ledger_from_before_the_migrations_is_taken_over_with_what_it_holds(told, url, older):
    before = everything(told)
    older(
        "DROP TABLE playbook_approvals",
        "DROP INDEX ix_events_customer_id",
        "ALTER TABLE campaigns DROP COLUMN playbook",
        "ALTER TABLE promotions DROP COLUMN kind",
    )
    assert told.revision() is None
    with (
        closing(Ledger(url)) as old,
        pytest.raises(InputError, match=r"older version; bring it up to date, .*: propensity ledger init "),
    ):
        old.open()
    told.create().open()
    assert differences(told) == []
    assert rows(told, schema.decisions) == before["decisions"]
    assert rows(told, schema.promotions) == [{**before["promotions"][0], "kind": None}]
    assert used(told) == {"email": {"spend": pytest.approx(0.6), "contacts": 7}}


def test_a_ledger_of_a_newer_version_is_refused_and_left_alone(ledger, url):
    with ledger.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    for act in ("open", "create", "upgrade"):
        with (
            closing(Ledger(url)) as older,
            pytest.raises(InputError, match=f"revision 9999, which a newer version made; .* {ALL[-1]} at most"),
        ):
            getattr(older, act)()


def test_a_migration_that_fails_leaves_the_ledger_as_it_was(told):
    told.downgrade(ALL[0])
    before = rows(told, schema.decisions)
    with told.engine.begin() as connection:
        # in the way of the last migration, after the others have done their part
        connection.execute(sa.text("ALTER TABLE events RENAME TO events_elsewhere"))
    with pytest.raises(sa.exc.SQLAlchemyError):
        migrating.upgrade(told.engine)
    assert told.revision() == ALL[0]
    assert "used_alone" not in sa.inspect(told.engine).get_table_names()
    assert rows(told, schema.decisions) == before


def test_processes_that_make_the_ledger_at_once_do_not_disturb_each_other(url):
    code = (
        "import sys; from propensity.ledger import Ledger; print('loaded', flush=True); sys.stdin.read(1); "
        "Ledger(sys.argv[1]).create().open()"
    )
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    made = [subprocess.Popen([sys.executable, "-c", code, url], env=os.environ, **pipes) for _ in range(4)]
    for process in made:  # all have loaded what they need before any of them begins
        process.stdout.readline()
    for process in made:
        process.stdin.write(b"x")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[1].decode() for process in made]
    assert [(process.returncode, text) for process, text in zip(made, said, strict=True)] == [(0, "")] * 4
    ledger = Ledger(url).open()
    assert differences(ledger) == []
    ledger.close()


def test_a_draft_of_a_migration_has_what_the_tables_lack(monkeypatch, tmp_path):
    newer = sa.MetaData()
    for table in schema.metadata.sorted_tables:
        table.to_metadata(newer)
    sa.Table("letters", newer, sa.Column("id", sa.Text, primary_key=True), sa.Column("made_at", schema.UtcTime))
    monkeypatch.setattr(schema, "metadata", newer)
    versions = shutil.copytree(Path(new_migration.__file__).with_name("versions"), tmp_path / "versions")
    file = new_migration.draft("Letters that went out", versions)
    assert file.parent == versions
    drafted = file.read_text()
    assert file.name == f"v{int(ALL[-1]) + 1:04d}_letters_that_went_out.py"
    assert "sa.Column('made_at', sa.DateTime(timezone=True), nullable=True)" in drafted
    assert "op.drop_table('letters')" in drafted
    assert drafted.count("create_table") == 1


def test_going_back_says_first_what_is_lost_and_wants_a_yes(propensity, elsewhere):
    propensity("ledger", "init")
    ledger = Ledger("sqlite:///ledger.db")
    for name in ("one", "other"):
        create_key(ledger, name=name, scopes=["decide"])
    ledger.close()
    code, said, error = propensity("ledger", "downgrade", "0003")
    assert (code, said) == (2, "")
    assert "destroys for good: 2 API keys" in error
    assert "summaries" not in error  # there are none
    assert "--yes" in error
    assert propensity("ledger", "current")[1].strip() == ALL[-1]
    assert "for good: nothing" in propensity("ledger", "downgrade", "0004")[2]
    assert propensity("ledger", "downgrade", "9999", "--yes")[0] == 2
    code, said, _ = propensity("ledger", "downgrade", "0003", "--yes")
    assert code == 0
    assert "2 API keys" in said
    assert propensity("ledger", "current")[1].strip() == "0003"


def test_every_migration_says_what_going_back_loses():
    made = set(schema.metadata.tables)
    lost = migrating.lost_between("0001", ALL[-1])
    assert set(lost) == {"api_keys", "published_summaries"} <= made
    assert migrating.lost_between(ALL[-1], ALL[-1]) == {}


def test_the_commands_walk_there_and_back(propensity, elsewhere):
    propensity("ledger", "init")
    assert propensity("ledger", "current")[1].strip() == ALL[-1]
    assert [line.split()[0] for line in propensity("ledger", "history")[1].splitlines()] == ALL
    code, said, _ = propensity("ledger", "downgrade", ALL[0], "--yes")
    assert (code, said.splitlines()[-1]) == (0, f"The ledger is at revision {ALL[0]}.")
    assert propensity("ledger", "show", "a")[0] == 2
    assert propensity("ledger", "upgrade")[1] == f"The ledger is at revision {ALL[-1]}.\n"
    code, said, error = propensity("ledger", "current", "--ledger", "sqlite:///no.db")
    assert (code, said) == (2, "")
    assert "does not exist; make it with" in error
    assert not (elsewhere / "no.db").exists()
