"""Totals over other people come from measured groups, and their intervals cover."""

from __future__ import annotations

import json

import numpy as np
import pytest

from propensity.evaluation.expected import GroupEffects

N_ACTIONS = 2


def experiment(rng, n):
    """Scores whose mean is the true effect, and predictions that are the truth plus an error; an action nobody got."""
    truth = rng.normal(0.5, 0.5, (n, N_ACTIONS))
    noise = rng.normal(0, 2, (n, 1 + N_ACTIONS))
    scores = np.column_stack([np.zeros(n), truth]) + noise
    return truth, truth + rng.normal(0, 0.5, truth.shape), scores


def test_the_interval_of_a_total_over_other_people_covers():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        _, predicted, scores = experiment(rng, 600)
        measured = GroupEffects.fit(scores, predicted)
        truth, predicted, _ = experiment(rng, 4000)
        action = predicted.argmax(axis=1)
        action[predicted.max(axis=1) <= 0] = -1
        expected = truth[np.flatnonzero(action >= 0), action[action >= 0]].sum()
        found = measured.total(measured.people(predicted, action))
        held += found.low <= expected <= found.high
    # 95 % of 300, less three standard errors; groups are coarser than people, which costs little here
    assert held / 300 > 0.91


def test_people_are_counted_in_the_group_of_their_own_action():
    predicted = np.column_stack([np.arange(10.0), np.zeros(10)])
    measured = GroupEffects.fit(np.zeros((10, 3)), predicted)
    assert [len(e) + 1 for e in measured.edges] == [5, 1]
    counts = measured.people(np.array([[0.0, 0], [9, 0], [9, 0], [9, 0]]), np.array([0, 0, 1, -1]))
    assert counts.tolist() == [1, 0, 0, 0, 1, 1]


def test_where_an_action_had_no_chance_nothing_is_measured():
    scores = np.array([[0, 1.0], [0, 3.0], [0, 1000.0]])
    measured = GroupEffects.fit(scores, np.array([[0.2], [0.2], [np.nan]]))
    assert measured.total(np.array([10.0])).value == pytest.approx(20)


def test_a_state_is_json_and_gives_the_same_total():
    rng = np.random.default_rng(1)
    _, predicted, scores = experiment(rng, 500)
    measured = GroupEffects.fit(scores, predicted)
    again = GroupEffects.from_state(json.loads(json.dumps(measured.to_state())))
    people = rng.integers(0, 50, len(measured.mean)).astype(float)
    assert again.total(people) == pytest.approx(measured.total(people), rel=1e-4)
