"""Fixtures of the learners' tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from learner_cases import Experiment, draw_experiment, small_learner

from propensity.learners.base import UpliftLearner

Fitted = Callable[[str, bool, int], tuple[UpliftLearner, Experiment]]


@pytest.fixture(scope="session")
def fitted() -> Fitted:
    """Fits each (learner, binary, number of arms) once and keeps it with its experiment."""
    kept: dict[tuple[str, bool, int], tuple[UpliftLearner, Experiment]] = {}

    def get(name: str, binary: bool, n_arms: int) -> tuple[UpliftLearner, Experiment]:
        key = (name, binary, n_arms)
        if key not in kept:
            test = draw_experiment(2000, n_arms, binary)
            kept[key] = (small_learner(name).fit(test.X, test.action, test.y, propensity=test.propensity), test)
        return kept[key]

    return get
