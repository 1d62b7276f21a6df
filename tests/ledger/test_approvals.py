"""Approvals of playbooks are added and never changed, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest
import sqlalchemy as sa

from propensity import playbook
from propensity.errors import InputError
from propensity.ledger import Ledger, approve_playbook, is_playbook_approved, playbook_approvals, schema
from propensity.playbook import Playbook


@pytest.fixture(scope="module")
def book() -> Playbook:
    return playbook.load("default")


def test_an_approval_keeps_all_that_was_said_and_the_playbook_itself(ledger, book):
    what_if = {
        "scenarios": [{"playbook_version": book.version}],
        "cells": [{"people": 3, "value": 0.5}],
        "note": "größer, \u0000",
    }
    before = datetime.now(UTC)
    approve_playbook(ledger, book, who="Ann", what_if=what_if, why="the figures hold")
    (row,) = playbook_approvals(ledger)
    assert (row["who"], row["name"], row["version"]) == ("Ann", "default", book.version)
    assert (row["what_if"], row["why"]) == (what_if, "the figures hold")
    assert before <= row["at"] <= datetime.now(UTC)
    assert row["at"].tzinfo is not None
    again = Playbook.model_validate(row["content"])
    assert (again, again.version) == (book, book.version)
    # rules take the first action that fits, so their order counts
    assert list(again.actions) == list(book.actions)


def test_what_was_not_said_is_missing(ledger, book):
    approve_playbook(ledger, book, who="Ann")
    table = schema.playbook_approvals
    with ledger.engine.connect() as connection:
        absent = sa.select(sa.func.count()).where(table.c.what_if.is_(sa.null()), table.c.why.is_(sa.null()))
        assert connection.scalar(absent) == 1


def test_only_the_version_that_was_approved_is(ledger, book):
    other = book.model_copy(update={"currency": "EUR"})
    assert not is_playbook_approved(ledger, book.version)
    approve_playbook(ledger, other, who="Ann")
    assert not is_playbook_approved(ledger, book.version)
    approve_playbook(ledger, book, who="Bert")
    assert is_playbook_approved(ledger, book.version)
    assert is_playbook_approved(ledger, other.version)


def test_approving_again_adds_a_row_and_leaves_the_first(ledger, book):
    approve_playbook(ledger, book, who="Ann")
    first = playbook_approvals(ledger)
    approve_playbook(ledger, book, who="Bert", why="again")
    assert playbook_approvals(ledger)[:1] == first
    assert [row["who"] for row in playbook_approvals(ledger)] == ["Ann", "Bert"]


@pytest.mark.parametrize("version", ["0123456789ab", "", None, 5])
def test_a_what_if_of_another_playbook_is_refused(ledger, book, version):
    for what_if in ({"scenarios": [{"playbook_version": version}]}, {}, {"scenarios": [3]}, {"scenarios": "all"}):
        with pytest.raises(InputError, match=f"expected a scenario of playbook_version '{book.version}'.* found "):
            approve_playbook(ledger, book, who="Ann", what_if=what_if)
    assert playbook_approvals(ledger) == []


@pytest.mark.parametrize("who", ["", " \t"])
def test_an_approval_has_a_name(ledger, book, who):
    with pytest.raises(InputError, match="who: expected the name"):
        approve_playbook(ledger, book, who=who)
    assert playbook_approvals(ledger) == []


def test_approvals_are_exported_with_the_rest(ledger, book, tmp_path):
    approve_playbook(ledger, book, who="Ann")
    ledger.export(tmp_path / "out")
    (row,) = pd.read_parquet(tmp_path / "out" / "playbook_approvals.parquet").to_dict("records")
    assert (row["who"], row["version"], row["what_if"]) == ("Ann", book.version, None)


def test_a_ledger_from_before_approvals_says_how_to_bring_it_up_to_date_and_keeps_its_rows(ledger, url, book, older):
    ledger.add_promotion(who="ann", model="m", from_version=None, to_version="1", why="first")
    older("DROP TABLE playbook_approvals")
    old = Ledger(url)
    with pytest.raises(InputError, match=r"older version; bring it up to date, .*: propensity ledger init "):
        old.open()
    old.close()
    again = Ledger(url).create().open()
    assert [row["why"] for row in again.promotions()] == ["first"]
    approve_playbook(again, book, who="Ann")
    assert is_playbook_approved(again, book.version)
    again.close()
