"""The service's tests do not depend on how fast the machine is."""

from __future__ import annotations

import pytest

from propensity_serving.answering import BUDGET_VARIABLE


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    monkeypatch.setenv(BUDGET_VARIABLE, "60")
