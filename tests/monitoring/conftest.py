"""A program in which nothing is wrong."""

from __future__ import annotations

import pytest
from monitored_weeks import weeks

from propensity.monitoring.monitor import Observed


@pytest.fixture(scope="session")
def observed(trained) -> Observed:
    """Seven weeks in which nothing is wrong. Tests must not change it."""
    return weeks(trained.model)
