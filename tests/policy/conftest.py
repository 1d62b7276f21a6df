"""The default playbook and people who may get everything."""

from __future__ import annotations

import pandas as pd
import pytest

from propensity import playbook
from propensity.contract import CONSENT_PREFIX

AT = pd.Timestamp("2026-03-02T09:00Z")


@pytest.fixture(scope="session")
def book():
    return playbook.load("default")


@pytest.fixture
def people(book):
    """Four customers who left 80 days ago, agreed to every channel and can log in."""
    consents = {CONSENT_PREFIX + c: pd.array([True] * 4, dtype="boolean") for c in book.consent_channels}
    return pd.DataFrame(
        {
            "customer_id": ["a", "b", "c", "d"],
            "churned_at": pd.Series([AT - pd.Timedelta(days=80)] * 4),
            "reason": ["internal_change", "fit_problem", "disengaged", None],
            "account_access": pd.array([True] * 4, dtype="boolean"),
            **consents,
        },
        index=[3, 1, 4, 2],
    )


@pytest.fixture(scope="session")
def at():
    return AT
