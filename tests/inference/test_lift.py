"""Lift is unbiased under the logged probabilities, and its intervals hold as often as they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from propensity.inference import lift

HALVES = {"control": 0.5, "mail": 0.5}


def constant(shares: dict[str, float], n: int) -> pd.DataFrame:
    return pd.DataFrame(np.tile(list(shares.values()), (n, 1)), columns=list(shares))


def test_equal_chances_give_the_difference_of_plain_means():
    rng = np.random.default_rng(0)
    action = rng.choice(["control", "mail", "call"], 900, p=[0.2, 0.5, 0.3])
    y = rng.exponential(size=900) * (action != "control")
    for found in lift(y, action, constant({"control": 0.2, "mail": 0.5, "call": 0.3}, 900)):
        mine, control = y[action == found.action], y[action == "control"]
        assert found.difference == pytest.approx(mine.mean() - control.mean())
        assert (found.mean, found.control_mean) == (pytest.approx(mine.mean()), pytest.approx(control.mean()))
        assert (found.n, found.n_control) == (len(mine), len(control))


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("outcome", "control", "arms"),
    [
        ("reactivated", 0.1062, {"mens_email": 0.1828, "womens_email": 0.1514}),
        ("revenue", 0.653, {"mens_email": 1.423, "womens_email": 1.077}),
    ],
)
def test_hillstrom_brings_what_was_published(hillstrom_frame, outcome, control, arms):
    thirds = pd.DataFrame(1 / 3, index=hillstrom_frame.index, columns=["control", *arms])
    found = {x.action: x for x in lift(hillstrom_frame[outcome], hillstrom_frame["action"], thirds)}
    for arm, mean in arms.items():
        assert found[arm].mean == pytest.approx(mean, abs=6e-4)
        assert found[arm].difference == pytest.approx(mean - control, abs=1e-3)
        assert found[arm].low > 0
        # the interval of two independent means
        y, a = hillstrom_frame[outcome], hillstrom_frame["action"]
        error = np.sqrt(sum(y[a == x].var() / (a == x).sum() for x in (arm, "control")))
        assert (found[arm].high - found[arm].low) / 2 == pytest.approx(1.96 * error, rel=0.01)


def test_unequal_chances_leave_no_bias_and_intervals_hold_in_95_of_100():
    rng = np.random.default_rng(2)
    n, runs, truth = 1_000, 400, 0.1
    need = rng.random(n)
    # those who would come back anyway are sent more: the plain difference would be far too large
    chance = 0.1 + 0.8 * need
    chances = pd.DataFrame({"control": 1 - chance, "mail": chance})
    found, plain = [], []
    for _ in range(runs):
        sent = rng.random(n) < chance
        y = (rng.random(n) < 0.1 + 0.5 * need + truth * sent).astype(float)
        found.append(lift(y, np.where(sent, "mail", "control"), chances)[0])
        plain.append(y[sent].mean() - y[~sent].mean())
    differences = np.array([x.difference for x in found])
    assert differences.mean() == pytest.approx(truth, abs=4 * differences.std() / np.sqrt(runs))
    assert np.mean(plain) > truth + 0.1
    covered = np.mean([x.low <= truth <= x.high for x in found])
    assert covered == pytest.approx(0.95, abs=0.035)


def test_people_who_could_not_get_the_arm_do_not_count():
    rng = np.random.default_rng(3)
    action = np.where(rng.random(400) < 0.5, "mail", "control")
    y = rng.random(400)
    alone = lift(y, action, constant(HALVES, 400))
    with_others = lift(
        np.r_[y, np.full(100, 99.0)],
        np.r_[action, np.full(100, "control")],
        pd.concat([constant(HALVES, 400), constant({"control": 1.0, "mail": 0.0}, 100)]),
    )
    assert with_others == alone


@pytest.mark.parametrize("people", [0, 1])
def test_an_arm_with_fewer_than_two_people_is_left_out(people):
    action = np.array(["control"] * 10 + ["mail"] * 10 + ["call"] * people)
    shares = {"control": 0.4, "mail": 0.4, "call": 0.2}
    found = lift(np.arange(len(action)), action, constant(shares, len(action)))
    assert [x.action for x in found] == ["mail"]


def test_relative_lift_does_not_exist_where_nobody_came_back_without_contact():
    action = np.array(["control", "mail"] * 5)
    (found,) = lift((action == "mail").astype(float), action, constant(HALVES, 10))
    assert np.isnan(found.relative)
    (nothing,) = lift(np.zeros(10), action, constant(HALVES, 10))
    assert (nothing.difference, nothing.p_value) == (0.0, 1.0)


def test_a_wider_level_is_a_wider_interval():
    action = np.array(["control", "mail"] * 50)
    y = np.random.default_rng(4).random(100)
    widths = [
        x.high - x.low for level in (0.8, 0.95, 0.99) for x in lift(y, action, constant(HALVES, 100), level=level)
    ]
    assert widths == sorted(widths)
    assert len(set(widths)) == 3
