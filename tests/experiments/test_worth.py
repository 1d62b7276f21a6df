"""What an experiment is worth after costs, and how its people came in, from numbers that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from propensity import playbook
from propensity_experiments.summary import summarise

START = pd.Timestamp("2026-03-02T09:00:00Z")
LATER = pd.Timestamp("2026-06-01T00:00:00Z")
BOOK = playbook.load("hillstrom")
SENDING = BOOK.channels["email"].cost_currency


@pytest.fixture
def book() -> dict:
    offer = BOOK.offers[BOOK.actions["mens_email"].offer]
    costly = offer.model_copy(update={"cost_if_redeemed_currency": 2.0, "redemption_rate": 0.5})
    changed = BOOK.model_copy(
        update={
            "value": BOOK.value.model_copy(update={"margin_share": 0.4, "unsubscribe_cost_currency": 3.0}),
            "offers": {**BOOK.offers, BOOK.actions["mens_email"].offer: costly},
        }
    )
    return changed.model_dump(mode="json")


def test_net_value_is_the_margin_less_all_costs(ledger, record_experiment, book):
    arms = {"control": (400, 20, 5), "mens_email": (400, 80, 30)}
    record_experiment(ledger, arms=arms, playbook=book)
    left = pd.DataFrame({"customer_id": ["spring-399", "spring-401", "spring-402"], "type": "unsubscribed"})
    left = left.assign(event_id=["u0", "u1", "u2"], source="shop", at=START + pd.Timedelta(days=1))
    ledger.add_outcomes(left)
    net = summarise(ledger, "spring", now=LATER).outcome("net_value")
    # each buyer spends 10; half of those who come back redeem an offer of 2
    control = 0.4 * 5 * 10 - 3.0
    mens = 0.4 * 30 * 10 - 400 * SENDING - 80 * 0.5 * 2.0 - 2 * 3.0
    assert [round(x.total, 6) for x in net.totals] == pytest.approx([control, mens])
    (effect,) = net.effects
    assert effect.difference.value == pytest.approx((mens - control) / 400)
    assert effect.difference.low < effect.difference.value < effect.difference.high


def test_without_a_playbook_nobody_knows_what_it_is_worth(ledger, record_experiment):
    record_experiment(ledger)
    summary = summarise(ledger, "spring", now=LATER)
    assert [x.outcome.key for x in summary.outcomes] == ["reactivated", "purchased", "revenue"]


def test_the_pace_is_that_of_the_days_on_which_people_came_in(ledger, record_experiment):
    record_experiment(ledger)
    one_day = summarise(ledger, "spring", now=LATER).pace
    assert (one_day.first, one_day.last, one_day.people_a_day) == (START, START, 1_200.0)
    assert one_day.closes == START + pd.Timedelta(days=14)
    later = ledger.contacts("spring").iloc[:300]
    people = [f"new-{i}" for i in range(len(later))]
    then = START + pd.Timedelta(days=10)
    customers = pd.DataFrame({"customer_id": people, "as_of": then, "churned_at": START, "plan": "x"})
    ledger.add_customers(customers)
    ledger.add_contacts(later.assign(customer_id=people, decision_id=people, decided_at=then))
    pace = summarise(ledger, "spring", now=START + pd.Timedelta(days=20)).pace
    assert (pace.last, pace.people_a_day, pace.running) == (then, 150.0, True)
    assert not summarise(ledger, "spring", now=LATER).pace.running
    assert np.isclose(summarise(ledger, "spring", now=LATER).people, 1_500)
