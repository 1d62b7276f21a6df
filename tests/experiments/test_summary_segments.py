"""Whom contact moves: a summary cuts its people by the segments that features and playbooks use."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from propensity import playbook
from propensity.inference import contact_gain, lift
from propensity.segments import SEGMENTS
from propensity_experiments import page
from propensity_experiments.summary import summarise
from propensity_experiments.verdict import verdict

LATER = pd.Timestamp("2026-06-01T00:00:00Z")
START = pd.Timestamp("2026-03-02T09:00:00Z")
BOOK = playbook.load("default").model_dump(mode="json")
PEOPLE, CAME_BACK = 400, {("amicable", "control"): 20, ("amicable", "email"): 140}
CAME_BACK |= {("after_service_failure", "control"): 20, ("after_service_failure", "email"): 24}
"""Of each 400 people."""


def record_by_relationship(ledger, campaign_columns, **about) -> None:
    """An experiment in which contact moves those who parted as friends, and hardly the others."""
    ledger.add_campaign("spring", title="Spring", follows=None, **campaign_columns, **about)
    people, contacts, events = [], [], []
    for (relationship, action), n_back in CAME_BACK.items():
        for i in range(PEOPLE):
            key = f"{relationship}-{action}-{i}"
            left = START - pd.Timedelta(days=90)
            people.append({"customer_id": key, "as_of": START, "churned_at": left, "relationship": relationship})
            contacts.append(
                {"decision_id": f"d-{key}", "customer_id": key, "decided_at": START, "campaign": "spring"}
                | {"action": action, "probability": 0.5, "cost": 0.0}
            )
            if i < n_back:
                events.append({"event_id": key, "source": "shop", "customer_id": key, "type": "reactivated"})
    ledger.add_customers(pd.DataFrame(people))
    ledger.add_contacts(pd.DataFrame(contacts))
    ledger.add_outcomes(pd.DataFrame(events).assign(at=START + pd.Timedelta(days=2)))


def test_effects_by_segment_are_those_of_the_data(ledger, campaign_columns):
    record_by_relationship(ledger, campaign_columns, playbook=BOOK)
    found = {(s.segment, s.value): s for s in summarise(ledger, "spring", now=LATER).segments}
    # everybody left on the same day and nothing else is known of them: no other segment parts them
    assert set(found) == {("relationship", "amicable"), ("relationship", "after_service_failure")}
    friends, others = found.values()
    assert (friends.people, others.people) == (800, 800)
    assert friends.reactivations.value == pytest.approx(1000 * (140 - 20) / PEOPLE)
    assert others.reactivations.value == pytest.approx(1000 * (24 - 20) / PEOPLE)
    assert friends.reactivations.low < friends.reactivations.value < friends.reactivations.high
    assert friends.differs
    assert others.differs
    assert {s.segment for s in found.values()} <= set(SEGMENTS)


def test_words_page_and_json_say_the_same(ledger, campaign_columns):
    record_by_relationship(ledger, campaign_columns, playbook=BOOK)
    summary = summarise(ledger, "spring", now=LATER)
    sentence = next(s for s in verdict(summary).sentences if s.startswith("Contact brought clearly"))
    assert "more among relationship: amicable (+300.0); " in sentence
    assert "less among relationship: after service failure (+10.0)" in sentence
    html = page.render(summary)
    assert all(text in html for text in ("Who responds", SEGMENTS["relationship"].description, "+300.0"))
    rows = json.loads(json.dumps(summary.to_json(), allow_nan=False))["segments"]
    assert [round(row["reactivations"]["value"]) for row in rows] == [300, 10]
    assert "playbook" not in summary.to_json()["campaign"]


def test_without_a_difference_none_is_told(ledger, record_experiment):
    record_experiment(ledger, playbook=BOOK)
    summary = summarise(ledger, "spring", now=LATER)
    assert not any(s.differs for s in summary.segments)
    assert not any("clearly" in s for s in verdict(summary).sentences)


def test_without_a_known_playbook_there_are_no_segments(ledger, campaign_columns):
    record_by_relationship(ledger, campaign_columns)
    summary = summarise(ledger, "spring", now=LATER)
    assert summary.segments == ()
    assert "Who responds" not in page.render(summary)


def test_people_of_an_unhealthy_split_are_not_cut(ledger, record_experiment):
    record_experiment(ledger, arms={"control": (400, 20, 5), "mens_email": (300, 80, 30)}, playbook=BOOK)
    summary = summarise(ledger, "spring", now=LATER)
    assert not summary.health.healthy
    assert "Who responds" not in page.render(summary)


def test_contact_of_any_kind_is_the_lift_of_all_arms_as_one():
    rng = np.random.default_rng(4)
    n = 2_000
    chances = pd.DataFrame(rng.dirichlet([4, 2, 2], n), columns=["control", "a", "b"])
    chances.iloc[:50] = [0.0, 0.5, 0.5]  # these could not have been left alone
    action = np.array([rng.choice(chances.columns, p=row) for row in chances.to_numpy()])
    y = rng.binomial(1, 0.2 + 0.1 * (action != "control"))
    gain = contact_gain(y, action, chances)
    assert np.isnan(gain[:50]).all()
    assert not np.isnan(gain[50:]).any()
    one = pd.DataFrame({"control": chances["control"], "contact": chances["a"] + chances["b"]})
    (whole,) = lift(y, np.where(action == "control", "control", "contact"), one)
    assert np.nanmean(gain) == pytest.approx(whole.difference)
    assert np.isnan(contact_gain(y, np.full(n, "a"), chances)).all()
