"""AUTOC, QINI and the Qini curve against their definitions, word for word."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from propensity.evaluation import autoc_score, qini_curve, qini_score

N = 7
GAINS = st.lists(st.integers(-20, 20), min_size=N, max_size=N)
PRIORITIES = st.lists(st.integers(0, 3), min_size=N, max_size=N)


def toc(gain, order, k):
    """Mean gain of the first k people minus the mean gain of all."""
    return np.mean(gain[list(order[:k])]) - np.mean(gain)


def over_orders(metric, gain, priority):
    """A metric's mean over all orders that the priority allows: people of equal priority in any order."""
    gain, priority = np.asarray(gain, float), np.asarray(priority, float)
    orders = [o for o in permutations(range(len(gain))) if (np.diff(priority[list(o)]) <= 0).all()]
    return np.mean([metric(gain, o) for o in orders])


def autoc_by_definition(gain, order):
    return np.mean([toc(gain, order, k) for k in range(1, len(gain) + 1)])


def qini_by_definition(gain, order):
    return np.mean([k / len(gain) * toc(gain, order, k) for k in range(1, len(gain) + 1)])


METRICS = [(autoc_score, autoc_by_definition), (qini_score, qini_by_definition)]
both = pytest.mark.parametrize(("score", "definition"), METRICS, ids=["autoc", "qini"])
either = pytest.mark.parametrize("score", [autoc_score, qini_score])


@both
@settings(max_examples=15, deadline=None, derandomize=True)
@given(GAINS, st.permutations(range(N)))
def test_equals_the_definition_without_ties(score, definition, gain, priority):
    assert score(gain, priority).value == pytest.approx(over_orders(definition, gain, priority), abs=1e-12)


@both
@settings(max_examples=15, deadline=None, derandomize=True)
@given(GAINS, PRIORITIES)
def test_equals_the_mean_over_all_orders_with_ties(score, definition, gain, priority):
    assert score(gain, priority).value == pytest.approx(over_orders(definition, gain, priority), abs=1e-12)


@either
def test_constant_priority_is_worth_nothing(score):
    estimate = score(np.arange(50.0) ** 2, np.ones(50))
    assert estimate.value == pytest.approx(0.0, abs=1e-12)
    assert estimate.standard_error == pytest.approx(0.0, abs=1e-12)


@either
def test_perfect_beats_random_beats_reversed(score):
    gain = np.random.default_rng(0).normal(size=400)
    perfect, reverse = score(gain, gain), score(gain, -gain)
    chance = score(gain, np.random.default_rng(1).normal(size=400))
    assert perfect.value > chance.value > reverse.value
    assert perfect.low > 0 > reverse.high
    assert chance.low < 0 < chance.high


@either
def test_only_the_order_of_priorities_matters(score):
    rng = np.random.default_rng(2)
    gain, priority = rng.normal(size=300), rng.integers(0, 40, 300).astype(float)
    first = score(gain, priority)
    assert score(gain, np.exp(priority / 10) - 7) == pytest.approx(first)
    order = rng.permutation(300)
    assert score(gain[order], priority[order]) == pytest.approx(first)


@either
def test_scales_with_the_gain_and_ignores_what_all_gain(score):
    rng = np.random.default_rng(3)
    gain, priority = rng.normal(size=100), rng.normal(size=100)
    first, other = score(gain, priority), score(1000 * gain + 5, priority)
    assert other.value == pytest.approx(1000 * first.value)
    assert other.standard_error == pytest.approx(1000 * first.standard_error)


@either
def test_has_no_finding_where_there_is_nothing_to_find(score):
    rng = np.random.default_rng(4)
    t = [e.value / e.standard_error for e in (score(rng.normal(size=300), rng.normal(size=300)) for _ in range(400))]
    assert abs(np.mean(t)) < 0.2
    assert 0.9 < np.std(t) < 1.1


@pytest.mark.parametrize("measure", [autoc_score, qini_score, qini_curve])
def test_refuses_lengths_that_differ(measure):
    with pytest.raises(ValueError, match="expected the same length, found"):
        measure([1.0, 2.0], [1.0])


@either
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_refuses_what_is_not_a_number(score, bad):
    with pytest.raises(ValueError, match="expected finite numbers"):
        score([1.0, 2.0], [1.0, bad])
    with pytest.raises(ValueError, match="expected finite numbers"):
        score([1.0, bad], [1.0, 2.0])


def test_qini_curve_by_hand():
    curve = qini_curve([4.0, 0.0, -2.0, 2.0], [0.9, 0.5, 0.1, 0.5])
    assert curve["share"].tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    # the two people of equal priority count with their mean gain, 1
    assert curve["gain"].tolist() == [0.0, 1.0, 1.25, 1.5, 1.0]
    assert curve["random"].tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(GAINS, PRIORITIES)
def test_qini_curve_ends_at_the_mean_gain_and_its_area_is_qini(gain, priority):
    curve = qini_curve(gain, priority)
    assert curve["gain"].iloc[-1] == pytest.approx(np.mean(gain), abs=1e-12)
    assert curve["random"].iloc[-1] == pytest.approx(np.mean(gain), abs=1e-12)
    area = (curve["gain"] - curve["random"])[1:].mean()
    assert area == pytest.approx(qini_score(gain, priority).value, abs=1e-12)


def test_qini_curve_does_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(5)
    gain, priority, order = rng.normal(size=60), rng.integers(0, 5, 60), rng.permutation(60)
    first, second = qini_curve(gain, priority), qini_curve(gain[order], priority[order])
    assert np.allclose(first, second)
