"""Planned power is what the product's own test has."""

from __future__ import annotations

import doctest

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.power import NormalIndPower

from propensity.errors import InputError
from propensity.inference import (
    days_to_go,
    detection_power,
    lift,
    minimum_detectable_effect,
    power,
    required_sample_size,
)
from propensity.inference.skewness import normalised, skewness_of_difference


def test_the_example_holds():
    assert doctest.testmod(power).failed == 0


def test_amounts_are_planned_as_by_statsmodels():
    for ratio in (1.0, 4.0):
        theirs = NormalIndPower().solve_power(effect_size=0.05, power=0.8, alpha=0.05, ratio=ratio)
        ours = required_sample_size(10.0, 2.0, sd=40.0, shares=(1 / (1 + ratio), ratio / (1 + ratio)))
        assert ours.by_arm[0] == pytest.approx(theirs, rel=2e-3)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.1, 0.9), (0.9, 0.1)])
@pytest.mark.parametrize("sides", [1, 2])
def test_rare_outcomes_are_found_as_often_as_planned(shares, sides):
    rng = np.random.default_rng(0)
    base, effect, runs = 0.005, 0.005, 4_000
    n = required_sample_size(base, effect, shares=shares, sides=sides).by_arm
    p0, p1 = rng.binomial(n[0], base, runs) / n[0], rng.binomial(n[1], base + effect, runs) / n[1]
    t = (p1 - p0) / np.sqrt(p0 * (1 - p0) / (n[0] - 1) + p1 * (1 - p1) / (n[1] - 1))
    z = normalised(t, skewness_of_difference(p1, p0, (1 / n[1], 1 / n[0]), (n[1] ** -2.0, n[0] ** -2.0)))
    found = (z > 1.6449).mean() if sides == 1 else (np.abs(z) > 1.96).mean()
    assert found == pytest.approx(0.8, abs=4 * np.sqrt(0.16 / runs))


def test_the_statistic_is_that_of_lift():
    n, base, changed = (100, 900), 4, 60
    y = np.r_[np.ones(base), np.zeros(n[0] - base), np.ones(changed), np.zeros(n[1] - changed)]
    action = np.repeat(["control", "mail"], n)
    (found,) = lift(y, action, pd.DataFrame({"control": np.full(1_000, 0.1), "mail": 0.9}))
    p0, p1 = base / n[0], changed / n[1]
    error = np.sqrt(p0 * (1 - p0) / (n[0] - 1) + p1 * (1 - p1) / (n[1] - 1))
    assert found.standard_error == pytest.approx(error)
    z = normalised(
        np.array((p1 - p0) / error), skewness_of_difference(p1, p0, (1 / n[1], 1 / n[0]), (n[1] ** -2.0, n[0] ** -2.0))
    )
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(z)))


def test_exact_and_normal_power_meet_where_events_are_many(monkeypatch):
    exact = detection_power(30_000, 0.03, 0.005)
    monkeypatch.setattr(power, "_FEW_EVENTS", 0)
    assert detection_power(30_000, 0.03, 0.005) == pytest.approx(exact, abs=0.005)


def test_size_effect_and_power_agree():
    for sd in (None, 3.0):
        size = required_sample_size(0.02, 0.01, sd=sd, shares=(0.2, 0.4, 0.4), power=0.9)
        assert sum(size.by_arm) == size.people
        assert size.power == pytest.approx(0.9, abs=0.003)
        found = minimum_detectable_effect(size.people, 0.02, sd=sd, shares=(0.2, 0.4, 0.4), power=0.9)
        assert found == pytest.approx(0.01, rel=0.02)


def test_more_arms_more_power_and_smaller_effects_need_more_people():
    base = required_sample_size(0.02, 0.01).people
    assert required_sample_size(0.02, 0.01, shares=(0.5, 0.25, 0.25)).people > 1.5 * base
    assert required_sample_size(0.02, 0.01, power=0.9).people > base
    assert required_sample_size(0.02, 0.01, sides=1).people < base
    assert required_sample_size(0.02, 0.005).people > 3 * base
    assert required_sample_size(5, 1, sd=20, explained=0.5).people == pytest.approx(
        required_sample_size(5, 1, sd=20).people / 2, rel=1e-2
    )
    # a decrease is found as well
    assert required_sample_size(0.02, -0.01).people < base


def test_too_few_people_find_nothing():
    assert minimum_detectable_effect(4, 0.5) is None
    assert detection_power(2, 0.1, 0.1) == 0


def test_days_count_the_window_of_those_who_are_still_to_come():
    assert days_to_go(1_000, 1_000, 0) == 0
    assert days_to_go(1_000, 400, 0) is None
    assert days_to_go(1_000, 400, 50) == 12
    assert days_to_go(1_000, 400, 50, window_days=30) == 42


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": 0.1, "effect": 0}, "effect"),
        ({"mean": 0.1, "effect": 0.1, "power": 1}, "power"),
        ({"mean": 0.1, "effect": 0.95}, "shares of people"),
        ({"mean": 0.1, "effect": 0.1, "shares": (0.5, 0.4)}, "1 in all"),
        ({"mean": 0.1, "effect": 0.1, "sides": 3}, "sides"),
        ({"mean": 1, "effect": 0.1, "sd": 0}, "above 0"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        required_sample_size(**options)
