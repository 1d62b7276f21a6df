"""An experiment in a ledger, of numbers that can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from propensity.assessment import Assessment
from propensity.granting import Gate
from propensity.ledger import Ledger
from propensity.model import PolicyMode

START = pd.Timestamp("2026-03-02T09:00:00Z")
WINDOW_DAYS = 14
CAMPAIGN = "spring"
COMMON = {
    "currency": "USD",
    "window_days": WINDOW_DAYS,
    "reactivated_word": "visit",
    "reactivated_words": "visits",
    "started_at": START.to_pydatetime(),
}
ARMS = {
    # people, of them came back, of them bought for 10 each
    "control": (400, 20, 5),
    "mens_email": (400, 80, 30),
    "womens_email": (400, 25, 6),
}


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}").create()
    yield made
    made.close()


def record(
    ledger: Ledger,
    campaign: str = CAMPAIGN,
    arms: dict[str, tuple[int, int, int]] = ARMS,
    title: str = "Spring mailing",
    **values: object,
) -> None:
    """Write an experiment with equal chances for all arms."""
    ledger.add_campaign(campaign, **{**COMMON, "title": title, "follows": None, **values})
    action = np.repeat(list(arms), [n for n, _, _ in arms.values()])
    people = [f"{campaign}-{i}" for i in range(len(action))]
    customers = pd.DataFrame({"customer_id": people, "as_of": START, "churned_at": START, "plan": "x"})
    contacts = pd.DataFrame(
        {
            "decision_id": [f"d-{p}" for p in people],
            "customer_id": people,
            "decided_at": START,
            "campaign": campaign,
            "action": action,
            "probability": 1 / len(arms),
            "cost": np.where(action == "control", 0.0, 0.02),
        }
    )
    place = contacts.groupby("action").cumcount()
    came_back = contacts[place < contacts["action"].map({a: n for a, (_, n, _) in arms.items()})]
    bought = contacts[place < contacts["action"].map({a: n for a, (_, _, n) in arms.items()})]
    outcomes = pd.concat(
        [
            pd.DataFrame(
                {
                    "event_id": f"{kind}:" + rows["decision_id"],
                    "source": "shop",
                    "customer_id": rows["customer_id"],
                    "decision_id": rows["decision_id"],
                    "at": START + pd.Timedelta(days=3),
                    "type": kind,
                    "amount": amount,
                }
            )
            for kind, rows, amount in (("reactivated", came_back, float("nan")), ("purchased", bought, 10.0))
        ]
    )
    ledger.add_customers(customers)
    ledger.add_contacts(contacts)
    ledger.add_outcomes(outcomes)


@pytest.fixture
def experiment(ledger) -> Ledger:
    record(ledger)
    return ledger


@pytest.fixture(scope="session")
def assessed(trained) -> Callable[[PolicyMode], Assessment]:
    """An assessment that granted the mode."""

    def make(mode: PolicyMode) -> Assessment:
        gate = Gate(proposed="per_person", granted=mode, why=f"It's <granted> {mode}.")
        return replace(trained.assessment, gate=gate)

    return make


@pytest.fixture(scope="session")
def record_experiment() -> Callable[..., None]:
    """The function that writes an experiment."""
    return record


@pytest.fixture
def campaign_columns() -> dict[str, object]:
    """What any campaign has besides its name and title."""
    return COMMON
