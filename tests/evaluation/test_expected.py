"""Totals over other people come from what was measured at their predictions, and their intervals cover."""

from __future__ import annotations

import json

import numpy as np
import pytest

from propensity.evaluation.expected import MeasuredEffects

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
        measured = MeasuredEffects.fit(scores, predicted)
        truth, predicted, _ = experiment(rng, 4000)
        action = predicted.argmax(axis=1)
        action[predicted.max(axis=1) <= 0] = -1
        expected = truth[np.flatnonzero(action >= 0), action[action >= 0]].sum()
        found = measured.total(measured.people(predicted, action))
        held += found.low <= expected <= found.high
    # 95 % of 300, less three standard errors
    assert held / 300 > 0.91


def test_it_is_a_line_over_the_predictions_with_a_mean_for_each_action_and_a_bonus_for_the_best():
    rng = np.random.default_rng(0)
    predicted = rng.normal([1.0, 2.0], 1.0, (50, 2))
    best = predicted == predicted.max(axis=1, keepdims=True)
    scores = np.column_stack([np.zeros(50), [3.0, 7.0] + 0.5 * predicted + 4.0 * best])
    measured = MeasuredEffects.fit(scores, predicted)
    assert measured.coefficients[2:] == pytest.approx([0.5, 4.0])
    people = measured.people(np.array([[20.0, 0], [2, 1], [9, np.nan], [9, 9]]), np.array([0, 1, 0, -1]))
    assert people[:2].tolist() == [2, 1]
    assert measured.total(people).value == pytest.approx((3 + 10 + 4) + (7 + 0.5) + (3 + 4.5 + 4))
    assert measured.total(people).standard_error == pytest.approx(0, abs=1e-6)


def test_where_predictions_do_not_differ_each_action_has_its_mean():
    scores = np.column_stack([np.zeros(4), [0.0, 1, 2, 3], [5.0, 5, 5, 5]])
    measured = MeasuredEffects.fit(scores, np.tile([0.1 + 0.2, 0.7], (4, 1)))
    assert measured.coefficients == pytest.approx([1.5, 5.0, 0.0, 0.0])


def test_where_an_action_had_no_chance_nothing_is_measured():
    scores = np.array([[0, 1.0], [0, 3.0], [0, 1000.0]])
    measured = MeasuredEffects.fit(scores, np.array([[0.2], [0.2], [np.nan]]))
    assert measured.total(np.array([10.0, 0.0, 0.0])).value == pytest.approx(20)


def test_a_state_is_json_and_gives_the_same_total():
    rng = np.random.default_rng(1)
    _, predicted, scores = experiment(rng, 500)
    measured = MeasuredEffects.fit(scores, predicted)
    again = MeasuredEffects.from_state(json.loads(json.dumps(measured.to_state())))
    people = rng.integers(0, 50, len(measured.coefficients)).astype(float)
    assert again.total(people) == pytest.approx(measured.total(people), rel=1e-4)
