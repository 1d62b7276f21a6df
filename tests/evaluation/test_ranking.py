"""AUTOC, QINI, AUUC and their curves against their definitions, word for word."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from propensity.evaluation import autoc_score, auuc_score, mean_estimate, qini_curve, qini_points, qini_score, toc_curve

N = 7
GAINS = st.lists(st.integers(-20, 20), min_size=N, max_size=N)
PRIORITIES = st.lists(st.integers(0, 3), min_size=N, max_size=N)


def gain_of_treating(gain, order, q):
    """Gain per person of the whole population of treating the first share q, the last person of it in part."""
    return np.interp(q * len(gain), np.arange(len(gain) + 1), np.r_[0, np.cumsum(gain[list(order)])]) / len(gain)


def toc(gain, order, q):
    """Mean gain of the first share q minus the mean gain of all."""
    return gain_of_treating(gain, order, q) / q - np.mean(gain)


def over_orders(metric, gain, priority):
    """A metric's mean over all orders that the priority allows: people of equal priority in any order."""
    gain, priority = np.asarray(gain, float), np.asarray(priority, float)
    orders = [o for o in permutations(range(len(gain))) if (np.diff(priority[list(o)]) <= 0).all()]
    return np.mean([metric(gain, o) for o in orders])


def integral(function, n):
    """From 0 to 1, person by person: the curves bend at each."""
    return sum(quad(function, a / n, b / n)[0] for a, b in pairwise(range(n + 1)))


def autoc_by_definition(gain, order):
    # between two people TOC is (cumulative - slope start) / q + slope - mean; its integral is a logarithm
    n, total = len(gain), 0.0
    for k, person in enumerate(order):
        intercept = (gain[list(order[:k])].sum() - gain[person] * k) / n
        total += (intercept * np.log((k + 1) / k) if k else 0.0) + (gain[person] - gain.mean()) / n
    return total


def qini_by_definition(gain, order):
    return np.mean([k / len(gain) * toc(gain, order, k / len(gain)) for k in range(1, len(gain) + 1)])


def auuc_by_definition(gain, order):
    steps = [gain_of_treating(gain, order, k / len(gain)) for k in range(len(gain) + 1)]
    return np.mean([(a + b) / 2 for a, b in pairwise(steps)])


METRICS = [(autoc_score, autoc_by_definition), (qini_score, qini_by_definition), (auuc_score, auuc_by_definition)]
both = pytest.mark.parametrize(("score", "definition"), METRICS, ids=["autoc", "qini", "auuc"])
every = pytest.mark.parametrize("score", [autoc_score, qini_score, auuc_score])
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


@pytest.mark.parametrize(
    ("score", "weigh"),
    [
        (autoc_score, lambda q, v, mean: v / q - mean),
        (qini_score, lambda q, v, mean: v - q * mean),
        (auuc_score, lambda q, v, _: v),
    ],
    ids=["autoc", "qini", "auuc"],
)
def test_is_the_integral_that_its_definition_names(score, weigh):
    gain = np.random.default_rng(0).normal(size=12)
    order = np.arange(12)
    expected = integral(lambda q: weigh(q, gain_of_treating(gain, order, q), gain.mean()), 12)
    assert score(gain, -order).value == pytest.approx(expected, abs=1e-9)


def test_autoc_is_close_to_the_sum_over_people_of_grf():
    rng = np.random.default_rng(1)
    gain = rng.normal(size=2000)
    sum_over_people = np.mean([toc(gain, np.arange(2000), k / 2000) for k in range(1, 2001)])
    distance = abs(autoc_score(gain, -np.arange(2000)).value - sum_over_people)
    assert 0 < distance < np.log(2000) / 2000


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


@every
@pytest.mark.parametrize("ties", [False, True])
def test_the_error_is_that_of_how_much_the_value_moves_with_each_person(score, ties):
    rng = np.random.default_rng(6)
    n, step = 40, 1e-6
    gain = rng.normal(size=n)
    priority = rng.integers(0, 6, n).astype(float) if ties else rng.normal(size=n)
    moves = []
    for i in range(n):
        more, less = np.ones(n), np.ones(n)
        more[i], less[i] = 1 + step, 1 - step
        moves.append((score(gain, priority, weight=more).value - score(gain, priority, weight=less).value) / (2 * step))
    assert np.sum(moves) == pytest.approx(0.0, abs=1e-8)
    assert score(gain, priority).standard_error == pytest.approx(
        np.sqrt(np.sum(np.square(moves)) * n / (n - 1)), rel=1e-6
    )


@every
def test_weights_count_as_so_many_equal_people(score):
    rng = np.random.default_rng(7)
    gain, priority, times = rng.normal(size=60), rng.integers(0, 30, 60).astype(float), rng.integers(0, 4, 60)
    weighted = score(gain, priority, weight=times)
    repeated = score(np.repeat(gain, times), np.repeat(priority, times))
    assert weighted.value == pytest.approx(repeated.value)
    assert weighted.n == (times > 0).sum()
    # the same people twice tell no more than once: the error does not fall with copies
    assert weighted.standard_error > repeated.standard_error
    assert score(gain, priority, weight=np.ones(60)) == pytest.approx(score(gain, priority))
    assert score(gain, priority, weight=1e-9 * times) == pytest.approx(weighted)


def simulated(rng, n, strength):
    """Gains whose expectation is strength x (u^3 - 1/4) where priority is u: the true curves are known."""
    priority = rng.random(n)
    return strength * (priority**3 - 0.25) + rng.gamma(1.0, size=n) - 1, priority


def true_gain_of_treating(q, strength):
    # integral of strength x (u^3 - 1/4) from 1 - q to 1
    return strength * ((1 - (1 - q) ** 4) / 4 - q / 4)


TRUE_AREAS = [
    (autoc_score, lambda strength: quad(lambda q: true_gain_of_treating(q, strength) / q, 0, 1)[0]),
    (qini_score, lambda strength: quad(lambda q: true_gain_of_treating(q, strength), 0, 1)[0]),
    (auuc_score, lambda strength: quad(lambda q: true_gain_of_treating(q, strength), 0, 1)[0]),
]


@pytest.mark.parametrize(("score", "truth"), TRUE_AREAS, ids=["autoc", "qini", "auuc"])
@pytest.mark.parametrize("strength", [0.0, 10.0])
def test_intervals_hold_the_truth_as_often_as_they_say(score, truth, strength):
    rng = np.random.default_rng(8)
    estimates = [score(*simulated(rng, 600, strength)) for _ in range(500)]
    true = truth(strength)
    assert 0.925 <= np.mean([e.low <= true <= e.high for e in estimates]) <= 0.975
    spread = np.std([e.value for e in estimates], ddof=1)
    assert np.mean([e.standard_error for e in estimates]) == pytest.approx(spread, rel=0.1)


@pytest.mark.parametrize("strength", [0.0, 10.0])
def test_bands_of_the_toc_hold_the_truth_at_each_share_and_at_all_at_once(strength):
    rng = np.random.default_rng(9)
    share = np.arange(1, 11) / 10
    true = true_gain_of_treating(share, strength) / share
    pointwise, simultaneous = [], []
    for _ in range(400):
        curve = toc_curve(*simulated(rng, 800, strength), share)[:-1]
        pointwise.append(((curve["low"] <= true[:-1]) & (true[:-1] <= curve["high"])).mean())
        simultaneous.append(((curve["low_all"] <= true[:-1]) & (true[:-1] <= curve["high_all"])).all())
    assert 0.93 <= np.mean(pointwise) <= 0.97
    assert 0.92 <= np.mean(simultaneous) <= 0.98


def test_toc_is_the_mean_gain_of_the_first_above_that_of_all():
    curve = toc_curve([4.0, 0.0, -2.0, 2.0], [0.9, 0.5, 0.1, 0.5], [0.25, 0.5, 1.0])
    # the second and third have equal priority: the first half holds half of each
    assert curve["toc"].tolist() == [4 - 1, 2.5 - 1, 0.0]
    assert curve["standard_error"].iloc[-1] == pytest.approx(0.0, abs=1e-12)
    assert (curve["low_all"] <= curve["low"]).all()
    assert (curve["high_all"] >= curve["high"]).all()


def test_toc_weights_count_as_people_and_rows_may_come_in_any_order():
    rng = np.random.default_rng(10)
    gain, priority, times = rng.normal(size=80), rng.integers(0, 30, 80), rng.integers(0, 4, 80)
    weighted = toc_curve(gain, priority, weight=times)
    repeated = toc_curve(np.repeat(gain, times), np.repeat(priority, times))
    assert weighted["toc"].tolist() == pytest.approx(repeated["toc"].tolist())
    order = rng.permutation(80)
    assert np.allclose(toc_curve(gain[order], priority[order], weight=times[order]), weighted)
    curve, long = qini_curve(gain, priority, times), qini_curve(np.repeat(gain, times), np.repeat(priority, times))
    assert np.interp(curve["share"], long["share"], long["gain"]).tolist() == pytest.approx(curve["gain"].tolist())


def test_toc_of_constant_priority_is_nothing():
    curve = toc_curve(np.arange(30.0), np.ones(30))
    assert np.allclose(curve[["toc", "standard_error", "low_all", "high_all"]], 0.0, atol=1e-12)


@pytest.mark.parametrize("shares", [[0.0, 0.5], [0.5, 1.1], [0.5, 0.2]])
def test_toc_refuses_shares_that_are_none(shares):
    with pytest.raises(ValueError, match="shares: expected increasing numbers above 0 and up to 1"):
        toc_curve([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], shares)


@every
@pytest.mark.parametrize(
    ("weight", "sentence"),
    [
        ([1.0], r"weight: expected one a person \(3,\), found \(1,\)"),
        ([1.0, -1.0, 1.0], "weight: expected finite numbers from 0 up, found 1 others"),
        ([1.0, np.nan, 1.0], "weight: expected finite numbers from 0 up, found 1 others"),
        ([0.0, 0.0, 0.0], "weight: expected some above 0, found none"),
        ([0.0, 2.0, 0.0], "weight: expected at least 2 people with a weight above 0, found 1"),
    ],
)
def test_refuses_faulty_weights(score, weight, sentence):
    with pytest.raises(ValueError, match=sentence):
        score([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], weight=weight)


# scikit-uplift calls functions that scikit-learn will drop
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_curves_are_those_of_scikit_uplift_where_it_has_any():
    from sklift import metrics

    # one arm, half of the people of each priority treated: shares of those treated and known probabilities agree
    rng = np.random.default_rng(11)
    priority, treated = np.repeat(np.arange(25.0), 40), np.tile([0, 1], 500)
    y = (rng.random(1000) < 0.2 + 0.02 * treated * priority).astype(int)
    gain = y * np.where(treated == 1, 2.0, -2.0)
    curve = qini_curve(gain, priority)
    for people, values, unit in (
        (*metrics.uplift_curve(y, priority, treated), 1000),
        (*metrics.qini_curve(y, priority, treated), 500),
    ):
        assert curve["gain"].to_numpy()[people] == pytest.approx(values / unit)
    people, values = metrics.uplift_curve(y, priority, treated)
    assert auuc_score(gain, priority).value == pytest.approx(np.trapezoid(values, people) / 1000**2)
    people, values = metrics.qini_curve(y, priority, treated)
    area = np.trapezoid(values, people) - values[-1] * 1000 / 2
    assert qini_score(gain, priority).value == pytest.approx(area / (500 * 1000))


@pytest.mark.parametrize("measure", [autoc_score, qini_score, auuc_score, qini_curve, toc_curve])
def test_refuses_lengths_that_differ(measure):
    with pytest.raises(ValueError, match="expected the same length, found"):
        measure([1.0, 2.0], [1.0])


@every
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


# -------------------------------------------------------------------------------------- the Qini curve with intervals


@settings(max_examples=30, deadline=None, derandomize=True)
@given(GAINS, PRIORITIES)
def test_points_of_the_qini_curve_lie_on_it(gain, priority):
    curve = qini_curve(gain, priority)
    points = qini_points(gain, priority, curve["share"][1:])
    assert points["gain"].tolist() == pytest.approx(curve["gain"][1:].tolist(), abs=1e-12)
    assert points["random"].tolist() == pytest.approx(curve["random"][1:].tolist(), abs=1e-12)


def test_points_of_the_qini_curve_agree_with_the_toc_and_end_at_the_mean():
    rng = np.random.default_rng(12)
    gain, priority = rng.normal(size=400), rng.integers(0, 60, 400)
    points, toc = qini_points(gain, priority), toc_curve(gain, priority)
    for name, of_toc in (("", "toc"), ("_low", "low"), ("_high", "high")):
        assert points[f"over_random{name}"].tolist() == pytest.approx((toc["share"] * toc[of_toc]).tolist(), abs=1e-12)
    end, expected = points.iloc[-1], mean_estimate(gain)
    assert (end["gain"], end["low"], end["high"]) == pytest.approx((expected.value, expected.low, expected.high))
    wider = qini_points(gain, priority, level=0.99)
    assert (wider["low"] < points["low"]).all()
    assert (wider["high"] > points["high"]).all()


@pytest.mark.parametrize("strength", [0.0, 10.0])
def test_intervals_of_the_qini_curve_hold_the_truth_at_each_share(strength):
    rng = np.random.default_rng(13)
    share = np.arange(1, 11) / 10
    true = true_gain_of_treating(share, strength)
    held = []
    for _ in range(400):
        points = qini_points(*simulated(rng, 800, strength), share)
        held.append((points["low"] <= true) & (true <= points["high"]))
    assert 0.93 <= np.mean(held) <= 0.97
    assert (np.mean(held, axis=0) > 0.91).all()
