"""A summary of many people: what memory it takes for each, and that working in parts changes nothing."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from propensity import playbook
from propensity.inference import covariates
from propensity.ledger import Ledger, columns, experiments
from propensity_experiments import cuts
from propensity_experiments.contents import Summary
from propensity_experiments.summary import summarise

START = pd.Timestamp("2026-03-02T09:00:00Z")
LATER = pd.Timestamp("2026-12-01T00:00:00Z")
BOOK = playbook.load("default").model_dump(mode="json")
MOST_BYTES = 340
"""In arrays of numpy: of 5 million people 1.7 GB; the rest of 2 GB is what a process has before it reads."""
ARMS = np.array(["control", "better_email_update", "miss_email_none"])


def filled(file, people: int, campaign_columns) -> Ledger:
    """A ledger of an experiment with a snapshot, and two events, of each person."""
    rng, ledger = np.random.default_rng(3), Ledger(f"sqlite:///{file}").create()
    ledger.add_campaign("spring", title="Spring", follows=None, **campaign_columns, playbook=BOOK)
    ids = pd.Series([f"c{k}" for k in range(people)])
    action = ARMS[rng.integers(0, 3, people)]
    known = {
        "annual_value": rng.gamma(2, 100, people),
        "tenure_months": rng.integers(1, 60, people),
        "orders_last_year": rng.poisson(4, people),
        "reason": rng.choice(["price", "product_gap", "disengaged"], people),
        "relationship": rng.choice(["amicable", "neutral"], people),
    }
    left = START - pd.to_timedelta(rng.integers(40, 300, people), unit="D")
    ledger.add_customers(pd.DataFrame({"customer_id": ids, "as_of": START, "churned_at": left, **known}))
    contacts = {"decision_id": "d" + ids, "customer_id": ids, "decided_at": START, "campaign": "spring"}
    ledger.add_contacts(pd.DataFrame({**contacts, "action": action, "probability": 1 / 3, "cost": 0.02}))
    at = START + pd.to_timedelta(rng.integers(1, 10**6, people), unit="s")
    kind = rng.choice(["opened", "clicked", "purchased", "reactivated"], people)
    amount = np.where(kind == "purchased", rng.gamma(2, 10, people), np.nan)
    happened = {"source": "shop", "customer_id": ids, "event_id": "e" + ids, "at": at, "type": kind, "amount": amount}
    ledger.add_outcomes(pd.DataFrame(happened))
    told = {"source": "esp", "customer_id": ids, "event_id": "s" + ids, "at": START, "type": "sent"}
    ledger.add_outcomes(pd.DataFrame({**told, "decision_id": "d" + ids})[action != "control"])
    return ledger


@pytest.fixture
def in_small_parts(monkeypatch):
    """With parts so small that what grows is what is kept of each person."""
    for module, name in (
        (columns, "ROWS_AT_A_TIME"),
        (experiments, "ROWS_TOGETHER"),
        (cuts, "PEOPLE_TOGETHER"),
        (covariates, "BLOCK"),
    ):
        monkeypatch.setattr(module, name, 500)


def peak_bytes(ledger: Ledger) -> int:
    tracemalloc.start()
    try:
        summarise(ledger, "spring", now=LATER)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("in_small_parts")
def test_each_person_takes_so_much_memory_and_no_more(tmp_path, campaign_columns):
    few, many = (filled(tmp_path / f"{n}.db", n, campaign_columns) for n in (2_000, 8_000))
    # what is imported and kept on the first call counts for neither
    summarise(few, "spring", now=LATER)
    each = (peak_bytes(many) - peak_bytes(few)) / 6_000
    few.close()
    many.close()
    assert 100 < each < MOST_BYTES


def test_in_however_many_parts_the_summary_is_the_same(tmp_path, campaign_columns, request):
    ledger = filled(tmp_path / "ledger.db", 2_100, campaign_columns)
    whole = summarise(ledger, "spring", now=LATER)
    request.getfixturevalue("in_small_parts")
    parted = summarise(ledger, "spring", now=LATER)
    ledger.close()
    assert whole.fingerprint == parted.fingerprint
    assert figures(parted) == pytest.approx(figures(whole), rel=1e-9)
    assert len(figures(whole)) > 500


def figures(summary: Summary) -> dict[str, float]:
    """Every number of a summary, by where it stands."""
    found: dict[str, float] = {}

    def go(value: object, path: str) -> None:
        if isinstance(value, dict | list):
            for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
                go(inner, f"{path}.{key}")
        elif isinstance(value, int | float):
            found[path] = float(value)

    go(summary.to_json(), "")
    return found
