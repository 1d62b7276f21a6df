"""A campaign read by columns says what the ledger holds, in either database."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from ledger_cases import AT, CAMPAIGN, decided, event, record, snapshot

from propensity.ledger import columns, experiments
from propensity.ledger.experiments import experiment

KINDS = ("sent", "purchased", "reactivated")
ODD = ("it's", 'say "so"', "a,b", "two\nlines", "Zoë", "NULL", " ")
"""Ids that a careless way of writing rows down would break."""


def microseconds(at: pd.Timestamp) -> int:
    return at.value // 1_000


LATER = AT + pd.Timedelta(days=90)


def read(ledger, kinds=KINDS, after=AT, until=LATER):
    """The decisions, and all events as one table by person."""
    with experiment(ledger, CAMPAIGN) as record_of:
        parts = list(record_of.events(kinds, microseconds(after), microseconds(until)))
        rows = [
            (int(p.person[i]), kinds[p.kind[i]], int(p.at[i]), float(p.amount[i]), int(p.decision[i]))
            for p in parts
            for i in range(len(p.person))
        ]
        return record_of.decisions, sorted(rows)


@pytest.fixture(params=[experiments.SCAN_FROM, 0, 10**9], ids=["as it is", "each person's", "all rows"])
def either_way(request, monkeypatch):
    """Reads by the index and reads of everything."""
    monkeypatch.setattr(experiments, "SCAN_FROM", request.param)


@pytest.mark.usefixtures("either_way")
def test_ids_of_any_kind_keep_their_events(ledger):
    record(ledger, decided(*ODD))
    ledger.add_outcomes(pd.concat([event(key, "purchased", amount=float(n)) for n, key in enumerate(ODD, 1)]))
    ledger.add_outcomes(event("somebody else", "purchased", amount=99.0))
    decisions, events = read(ledger)
    assert (len(decisions), decisions.n_people) == (len(ODD), len(ODD))
    assert [row[0] for row in events] == list(range(len(ODD)))
    assert sorted(row[3] for row in events) == list(range(1, len(ODD) + 1))


@pytest.mark.usefixtures("either_way")
def test_ids_with_a_zero_inside_are_told_from_those_without(ledger):
    if ledger.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL takes no zero")
    record(ledger, decided("a", "a\0b", "a\0c"))
    ledger.add_outcomes(event("a\0c", "purchased", amount=2.5))
    ledger.add_outcomes(event("a\0b", "sent", decision_id="d-a\0b"))
    decisions, events = read(ledger)
    assert decisions.n_people == 3
    assert [(person, kind, amount, named) for person, kind, _, amount, named in events] == [
        (1, "sent", 0.0, 1),
        (2, "purchased", 2.5, -1),
    ]


@pytest.mark.usefixtures("either_way")
def test_what_is_missing_stays_so_beside_what_is_there(ledger):
    record(ledger, decided("a", "b", "c"))
    ledger.add_outcomes(pd.concat([event("a", "purchased"), event("b", "purchased", amount=-3.25)]))
    ledger.add_outcomes(event("b", "opened"))
    ledger.add_outcomes(pd.concat([event("c", "sent", decision_id="d-c"), event("a", "sent")]))
    _, events = read(ledger)
    assert [(person, kind, amount, decision) for person, kind, _, amount, decision in events] == [
        (0, "purchased", 0.0, -1),
        (0, "sent", 0.0, -1),
        (1, "purchased", -3.25, -1),
        (2, "sent", 0.0, 2),
    ]


def test_in_however_many_parts_a_campaign_is_read_it_is_the_same(ledger, monkeypatch):
    keys = [f"{'long-' * (k % 3)}{k}" for k in range(11)]
    record(ledger, decided(*keys))
    ledger.add_outcomes(pd.concat([event(key, "purchased", amount=float(k)) for k, key in enumerate(keys)]))
    ledger.add_outcomes(pd.concat([event(key, "sent", decision_id=f"d-{key}") for key in keys[::2]]))
    whole, events = read(ledger)
    monkeypatch.setattr(columns, "ROWS_AT_A_TIME", 2)
    monkeypatch.setattr(experiments, "ROWS_TOGETHER", 3)
    parted, again = read(ledger)
    assert again == events
    # each has one decision, which is the one that is named
    assert [x[4] for x in events if x[1] == "sent"] == [x[0] for x in events if x[1] == "sent"]
    for name, values in vars(whole).items():
        np.testing.assert_array_equal(getattr(parted, name), values)


def test_events_are_those_of_the_types_and_times_asked_for(ledger):
    record(ledger, decided("a"))
    second = pd.Timedelta(seconds=1)
    for key, kind, at in (
        ("early", "purchased", AT - second),
        ("first", "purchased", AT),
        ("half", "reactivated", AT + pd.Timedelta(microseconds=500_001)),
        ("last", "purchased", AT + 2 * second),
        ("late", "purchased", AT + 3 * second),
        ("other", "opened", AT + second),
    ):
        ledger.add_outcomes(event("a", kind, at, event_id=key))
    _, events = read(ledger, until=AT + 2 * second)
    assert [(kind, at - microseconds(AT)) for _, kind, at, _, _ in events] == [
        ("purchased", 0),
        ("purchased", 2_000_000),
        ("reactivated", 500_001),
    ]


def test_a_sent_event_names_its_decision_also_of_somebody_else(ledger):
    record(ledger, decided("a", "b"))
    ledger.add_outcomes(event("a", "sent", decision_id="d-b"))
    ledger.add_outcomes(event("b", "sent", decision_id="unknown"))
    decisions, events = read(ledger)
    told = {row[0]: row[4] for row in events}
    assert decisions.person[told[0]] == 1
    assert told[1] == -1


def test_decisions_have_what_was_logged(ledger):
    record(ledger, decided("a", "b"))
    record(ledger, decided("c", action="control", probability=0.25, assignment="holdout"))
    stopped = decided("d", action="control", assignment="suppressed", reason_codes=["opted_out", "cooling_off"])
    record(ledger, stopped)
    decisions, _ = read(ledger)
    assert decisions.chance_actions == ("control", "email")
    chances = decisions.chance_of[decisions.chances]
    assert chances.tolist() == [[0.9, 0.9], [0.9, 0.9], [0.25, 0.25], [0.9, 0.9]]
    # the same text is one row
    assert len(decisions.chance_of) == 2
    assert [decisions.actions[a] for a in decisions.action] == ["email", "email", "control", "control"]
    assert [decisions.assignments[a] for a in decisions.assignment] == ["policy", "policy", "holdout", "suppressed"]
    assert decisions.at.tolist() == [microseconds(AT)] * 4
    assert [decisions.stops[s] if s >= 0 else None for s in decisions.stopped_by] == [
        None,
        None,
        None,
        ("opted_out", "cooling_off"),
    ]


def test_without_logged_chances_there_is_the_one_of_the_action(ledger):
    contacts = pd.DataFrame(
        {"decision_id": ["x"], "customer_id": ["a"], "decided_at": [AT], "campaign": CAMPAIGN, "action": ["email"]}
    )
    ledger.add_contacts(contacts.assign(probability=1 / 3, cost=0.02))
    decisions, _ = read(ledger)
    assert decisions.chances.tolist() == [-1]
    assert decisions.probability[0] == pytest.approx(1 / 3)


def test_several_decisions_of_one_person_stand_in_the_order_of_time(ledger):
    later = decided("a").assign(decision_id="second")
    record(ledger, later, at=AT + pd.Timedelta(days=40))
    record(ledger, decided("a"))
    decisions, _ = read(ledger)
    assert (decisions.n_people, decisions.person.tolist()) == (1, [0, 0])
    assert decisions.at.tolist() == [microseconds(AT), microseconds(AT + pd.Timedelta(days=40))]


@pytest.mark.usefixtures("either_way")
def test_the_erased_stay_with_their_events(ledger):
    record(ledger, decided("a", "b"))
    ledger.add_customers(snapshot("a", plan="x"))
    ledger.add_outcomes(event("a", "purchased", amount=5.0))
    ledger.erase("a")
    decisions, events = read(ledger)
    assert decisions.n_people == 2
    assert [row[3] for row in events] == [5.0]


@pytest.mark.usefixtures("either_way")
def test_snapshots_have_the_columns_that_are_asked_for(ledger):
    record(ledger, decided("a", "b", "c"))
    ledger.add_customers(snapshot("a", plan="x", value=1, trial=True, apart=1.0))
    ledger.add_customers(snapshot("b", plan=None, value=0.5, trial=2.0))
    ledger.add_customers(snapshot("other", plan="y", value=7))
    with experiment(ledger, CAMPAIGN) as record_of:
        parts = list(record_of.snapshots(["plan", "value", "trial", "never"]))
    rows = {}
    for part in parts:
        for i, person in enumerate(part.person):
            rows[int(person)] = {name: part.attributes[name][i].as_py() for name in part.attributes.column_names}
            assert part.churned_at[i] == microseconds(AT - pd.Timedelta(days=60))
    assert rows == {0: {"plan": "x", "value": 1.0, "trial": 1.0}, 1: {"plan": None, "value": 0.5, "trial": 2.0}}


@pytest.mark.usefixtures("either_way")
def test_other_campaigns_are_told_but_for_those_they_left_out(ledger):
    record(ledger, decided("a", "b"))
    for key, name, assignment in (("a", "summer", "policy"), ("b", "winter", "suppressed"), ("z", "summer", "policy")):
        record(ledger, decided(key, campaign=name, assignment=assignment).assign(decision_id=f"{name}-{key}"))
    with experiment(ledger, CAMPAIGN) as record_of:
        found = record_of.elsewhere()
    assert [(int(p), found.campaigns[c]) for p, c in zip(found.person, found.campaign, strict=True)] == [(0, "summer")]


def test_a_campaign_without_decisions_is_empty(ledger):
    decisions, events = read(ledger)
    assert (len(decisions), decisions.n_people, events) == (0, 0, [])
