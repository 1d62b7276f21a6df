"""A person sees all that is held on them, and is forgotten wherever they are named; nobody else changes a record."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pandas as pd
import pytest
import sqlalchemy as sa
from ledger_cases import AT, decided, event, everything, record, rows, snapshot

from propensity.contract import PRIVATE
from propensity.ledger import schema
from propensity.ledger.erasing import OF_A_PERSON


@pytest.fixture
def told(ledger):
    """Two people of whom much is known."""
    for person in ("änn/1", "bert"):
        ledger.add_customers(snapshot(person, AT, plan="basic", annual_value=12.5, exit_answer="too dear"))
        ledger.add_customers(snapshot(person, AT - pd.Timedelta(days=9), plan="gold", annual_value=float("nan")))
        record(ledger, decided(person), spend=0.5)
        ledger.add_outcomes(event(person, "sent", decision_id=f"d-{person}"))
        ledger.add_outcomes(event(person, "purchased", AT + pd.Timedelta(hours=2), amount=3.5))
    ledger.add_outcomes(event("änn/1", "unsubscribed", AT + pd.Timedelta(hours=1)))
    return ledger


# ------------------------------------------------------------------------------------------------------- to be shown


def test_everything_on_a_person_and_nothing_of_others_is_shown(told):
    held = told.held_on("änn/1")
    assert held == json.loads(json.dumps(held, allow_nan=False))
    assert "bert" not in json.dumps(held)
    for name, table in (("snapshots", schema.customers), ("decisions", schema.decisions), ("events", schema.events)):
        mine = [row for row in rows(told, table) if row["customer_id"] == "änn/1"]
        assert len(held[name]) == len(mine)
        assert all(set(row) == {column.name for column in table.columns} for row in held[name])
    assert [row["attributes"] for row in held["snapshots"]] == [
        {"plan": "gold", "annual_value": None},
        {"plan": "basic", "annual_value": 12.5},
    ]
    assert held["snapshots"][1]["as_of"] == "2026-03-02T09:00:00Z"
    (decision,) = held["decisions"]
    assert decision["answer"] == told.standing(["d-änn/1"])["d-änn/1"]
    assert decision["probabilities"] == {"control": 0.9, "email": 0.9}
    assert [row["type"] for row in held["events"]] == ["sent", "unsubscribed", "purchased"]
    assert (held["customer_id"], held["suppressed"], held["erased_at"]) == ("änn/1", True, None)
    assert held["suppressed_by"] == [{"type": "unsubscribed", "source": "esp", "at": "2026-03-02T10:00:00Z"}]
    assert not set(PRIVATE) & set(held["snapshots"][0]["attributes"])


def test_whoever_may_be_contacted_is_shown_so(told):
    held = told.held_on("bert")
    assert (held["suppressed"], held["suppressed_by"], held["erased_at"]) == (False, [], None)


def test_of_a_stranger_nothing_and_of_the_erased_the_tombstone_is_held(told):
    nothing = {"snapshots": [], "decisions": [], "events": [], "suppressed_by": []}
    assert told.held_on("nobody") == {"customer_id": "nobody", "suppressed": False, "erased_at": None, **nothing}
    told.erase("änn/1")
    held = told.held_on("änn/1")
    assert held["erased_at"].endswith("Z")
    assert held == {"customer_id": "änn/1", "suppressed": True, "erased_at": held["erased_at"], **nothing}


def test_the_command_shows_it_as_json(propensity, elsewhere):
    from propensity.ledger import Ledger

    made = Ledger("sqlite:///ledger.db").create()
    record(made, decided("ö"))
    code, said, _ = propensity("ledger", "show", "ö")
    assert (code, json.loads(said)) == (0, made.held_on("ö"))
    propensity("ledger", "erase", "ö")
    assert json.loads(propensity("ledger", "show", "ö")[1])["erased_at"] is not None
    made.close()


# --------------------------------------------------------------------------------------------------- to be forgotten


def test_every_table_that_names_people_is_shown_and_forgotten():
    naming = {
        t.name for t in schema.metadata.sorted_tables for c in t.columns if c.name in ("customer_id", "decision_id")
    }
    assert naming == {table.name for table in OF_A_PERSON}


def test_after_erasing_no_value_anywhere_names_the_person(told):
    assert "änn/1" in str(everything(told))
    assert told.erase("änn/1")
    assert "änn/1" not in str(everything(told))


def test_what_comes_later_about_the_erased_is_not_recorded(told):
    told.erase("bert")
    before = everything(told)
    told.add_customers(snapshot("bert", AT + pd.Timedelta(days=1)))
    told.add_outcomes(event("bert", "clicked"))
    record(told, decided("bert"))
    assert everything(told) == before


# -------------------------------------------------------------------------------------------------- and nothing else


@pytest.mark.parametrize("table", [schema.decisions, schema.events], ids=str)
def test_the_database_refuses_to_change_or_remove_a_record(told, table):
    before = rows(told, table)
    other = {sa.Text: "other", sa.Float: 7.0, sa.Integer: 7, schema.UtcTime: AT.to_pydatetime(), sa.JSON: {"other": 1}}
    changes = {c.name: next(v for kind, v in other.items() if isinstance(c.type, kind)) for c in table.columns}
    # erasing sets all that names a person together; this alone is no erasing
    changes |= {"customer_id": "erased-0"}
    changes |= {name: datetime(2020, 1, 1, tzinfo=UTC) for name in ("decided_at", "at") if name in changes}
    for name, value in changes.items():
        with pytest.raises(sa.exc.DBAPIError, match="never changed or removed"), told.engine.begin() as connection:
            connection.execute(sa.update(table).where(table.c.customer_id == "bert").values({name: value}))
    with pytest.raises(sa.exc.DBAPIError, match="never changed or removed"), told.engine.begin() as connection:
        connection.execute(sa.delete(table))
    assert rows(told, table) == before


def test_figures_cannot_change_under_cover_of_erasing(told):
    before = rows(told, schema.decisions)
    renamed = {"decision_id": "erased-0-0", "customer_id": "erased-0", "answer": sa.null()}
    of_bert = sa.update(schema.decisions).where(schema.decisions.c.customer_id == "bert")
    for figure in ({"cost": 9.0}, {"spend": None}, {"probabilities": {}}, {"action": "control"}):
        with pytest.raises(sa.exc.DBAPIError, match="never changed"), told.engine.begin() as connection:
            connection.execute(of_bert.values({**renamed, **figure}))
    assert rows(told, schema.decisions) == before


# --------------------------------------------------------------------------------------------------------- snapshots


def test_a_repeated_or_outdated_snapshot_is_harmless(told):
    before = rows(told, schema.customers)
    told.add_customers(snapshot("bert", AT, plan="changed in silence"))
    assert rows(told, schema.customers) == before
    told.add_customers(snapshot("bert", AT - pd.Timedelta(days=30), plan="old"))
    after = rows(told, schema.customers)
    assert [row for row in after if row in before] == before
    assert len(after) == len(before) + 1
    assert told.held_on("bert")["snapshots"][-1]["attributes"]["plan"] == "basic"
