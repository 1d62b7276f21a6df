"""More is tried out where it is open what is best."""

from __future__ import annotations

import numpy as np
import pytest

from propensity.playbook import Learning
from propensity.policy.exploration import LEAST, OPEN_SHARE, adapted, open_share

LEARNING = Learning(holdout_share=0.1, explore_share=0.08, salt="s")


def test_nothing_is_open_where_errors_are_nothing_and_all_where_they_are_great():
    value, possible = np.array([[1.0, 2.0]] * 5), np.ones((5, 2), dtype=bool)
    assert open_share(value, np.zeros((5, 2)), possible) == 0
    assert open_share(value, np.full((5, 2), 1e9), possible) == pytest.approx(0.5)
    assert open_share(value, np.ones((5, 2)), ~possible) == 0.5


def test_it_is_the_chance_that_the_runner_up_is_better():
    rng = np.random.default_rng(0)
    true = np.column_stack([rng.normal(1.0, 0.5, 200_000), rng.normal(0.6, 1.0, 200_000)])
    wrong = (true[:, 1] > true[:, 0]).mean()
    assert open_share(np.array([[1.0, 0.6]]), np.array([[0.5, 1.0]]), np.ones((1, 2), bool)) == pytest.approx(
        wrong, abs=0.005
    )
    # no contact is a runner-up like any other, and what nobody may get is none
    lone = open_share(np.array([[1.0, 5.0]]), np.array([[1.0, 9.0]]), np.array([[True, False]]))
    assert lone == pytest.approx(0.1587, abs=1e-3)


@pytest.mark.parametrize(("open_now", "times"), [(0.0, LEAST), (OPEN_SHARE / 2, 0.5), (OPEN_SHARE, 1.0), (0.5, 1.0)])
def test_the_share_follows_up_to_the_playbooks_and_holdouts_stay(open_now, times):
    found = adapted(LEARNING, open_now)
    assert found.explore_share == pytest.approx(0.08 * times)
    assert (found.holdout_share, found.salt) == (LEARNING.holdout_share, LEARNING.salt)
