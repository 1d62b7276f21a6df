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


def test_the_interval_of_a_total_over_other_people_covers_though_each_gets_their_best():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        _, predicted, scores = experiment(rng, 600)
        measured = MeasuredEffects.fit(scores, predicted, chosen(predicted))
        truth, predicted, _ = experiment(rng, 4000)
        action = chosen(predicted)
        expected = truth[np.flatnonzero(action >= 0), action[action >= 0]].sum()
        found = measured.total(measured.contacts(predicted, action, action))
        held += found.low <= expected <= found.high
    # 95 % of 300, less three standard errors
    assert held / 300 > 0.91


def chosen(predicted):
    best = predicted.argmax(axis=1)
    best[predicted.max(axis=1) <= 0] = -1
    return best


def test_contacts_are_counted_by_prediction_apart_from_those_with_the_best_action():
    predicted = np.column_stack([np.arange(20.0), np.zeros(20)])
    best = np.zeros(20, dtype=int)
    measured = MeasuredEffects.fit(np.zeros((20, 3)), predicted, best)
    assert [len(ends) + 1 for ends in measured.edges] == [10, 1]
    counts = measured.contacts(np.array([[0.0, 0], [19, 0], [19, 0], [19, 0]]), np.array([0, 0, 1, -1]), best[:4])
    assert counts.tolist() == [1, *[0] * 8, 1, 1]


def test_where_an_action_had_no_chance_nothing_is_measured():
    scores = np.array([[0, 1.0], [0, 3.0], [0, 1000.0]])
    measured = MeasuredEffects.fit(scores, np.array([[0.2], [0.2], [np.nan]]), np.array([0, 0, -1]))
    assert measured.total(np.array([10.0, 0.0])).value == pytest.approx(20)


def test_a_state_is_json_and_gives_the_same_total():
    rng = np.random.default_rng(1)
    _, predicted, scores = experiment(rng, 500)
    measured = MeasuredEffects.fit(scores, predicted, chosen(predicted))
    again = MeasuredEffects.from_state(json.loads(json.dumps(measured.to_state())))
    contacts = rng.integers(0, 50, len(measured.mean)).astype(float)
    assert again.total(contacts) == pytest.approx(measured.total(contacts), rel=1e-9)


def test_people_count_by_their_weight():
    rng = np.random.default_rng(2)
    _, predicted, scores = experiment(rng, 500)
    times = rng.integers(1, 3, 500)
    again = np.repeat(np.arange(500), times)
    best = np.zeros(500, dtype=int)
    # one cell each: the same edges for both
    alike = np.tile([0.5, 0.4], (500, 1))
    weighted = MeasuredEffects.fit(scores, alike, best, times)
    repeated = MeasuredEffects.fit(scores[again], alike[again], best[again])
    assert weighted.mean == pytest.approx(repeated.mean)
    plain = MeasuredEffects.fit(scores, predicted, best)
    assert MeasuredEffects.fit(scores, predicted, best, np.ones(500)).covariance == pytest.approx(plain.covariance)


def test_the_error_is_at_least_what_scores_should_vary_by():
    """Scores that are no more than predictions say nothing of how wrong these are."""
    n = 400
    scores, predicted = np.tile([0.1, 0.2, 0.3], (n, 1)), np.tile([0.1, 0.2], (n, 1))
    best = np.ones(n, dtype=int)
    contacts = np.array([100.0, 50.0])
    assert MeasuredEffects.fit(scores, predicted, best).total(contacts).standard_error == pytest.approx(0)
    variance = np.tile([0.5, 2.0, 6.0], (n, 1))
    measured = MeasuredEffects.fit(scores, predicted, best, variance=variance)
    error = np.sqrt((100**2 * 6.5 + 50**2 * 2.5) / n)
    assert measured.total(contacts).standard_error == pytest.approx(error)
    noisy = scores + np.random.default_rng(3).normal(0, 100, scores.shape)
    same = [MeasuredEffects.fit(noisy, predicted, best, variance=v).covariance for v in (None, variance)]
    assert same[0] == pytest.approx(same[1])
