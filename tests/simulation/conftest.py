"""A simulated program that the tests of this directory share."""

import pytest

from propensity.simulation import simulate


@pytest.fixture(scope="session")
def program():
    return simulate(40_000, seed=1)
