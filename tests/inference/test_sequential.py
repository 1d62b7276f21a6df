"""The always-valid band holds on all days together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from propensity.errors import InputError
from propensity.inference import DaySums, always_valid, confidence_sequence, daily_sums, lift

HALVES = {"control": 0.5, "mail": 0.5}


def experiment(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, pd.DataFrame, np.ndarray]:
    """Outcome, action, chances that differ, and day."""
    keen = rng.random(n) < 0.5
    chance = np.where(keen, 0.7, 0.4)
    sent = rng.random(n) < chance
    y = (rng.random(n) < 0.1 + 0.2 * keen + 0.05 * sent).astype(float)
    chances = pd.DataFrame({"control": 1 - chance, "mail": chance})
    return y, np.where(sent, "mail", "control"), chances, rng.integers(0, 20, n)


def test_each_day_has_the_difference_and_error_of_everybody_so_far():
    y, action, chances, day = experiment(4_000, np.random.default_rng(0))
    bands = confidence_sequence(daily_sums(y, action, chances, day, arm="mail"))
    for band in bands:
        so_far = day <= band.day
        (direct,) = lift(y[so_far], action[so_far], chances[so_far])
        assert band.people == so_far.sum()
        assert band.difference.value == pytest.approx(direct.difference)
        assert band.difference.standard_error == pytest.approx(direct.standard_error, rel=0.01)
        # wider than one look's interval, as it pays for all the others
        assert band.difference.low < direct.low < direct.high < band.difference.high


def test_the_width_is_the_formulas_and_least_relative_to_one_look_where_asked():
    rng = np.random.default_rng(1)
    y, sent = rng.normal(size=20_000), rng.random(20_000) < 0.5
    chances = pd.DataFrame(0.5, index=range(20_000), columns=["control", "mail"])
    sums = daily_sums(y, np.where(sent, "mail", "control"), chances, np.arange(20_000) // 100, arm="mail")
    bands = confidence_sequence(sums, tightest_at=5_000)
    n = np.array([b.people for b in bands])
    widths = np.array([(b.difference.high - b.difference.low) / 2 / b.difference.standard_error for b in bands])
    r2 = (-2 * np.log(0.05) + np.log(-2 * np.log(0.05)) + 1) / 5_000
    assert widths == pytest.approx(np.sqrt(2 * (n * r2 + 1) / (n * r2) * np.log(np.sqrt(n * r2 + 1) / 0.05)))
    assert abs(n[widths.argmin()] - 5_000) <= 500


def test_looking_on_sixty_days_finds_nothing_where_there_is_nothing():
    rng = np.random.default_rng(2)
    per_day, base, alarms = 200, 0.02, 0
    for _ in range(400):
        counts = rng.binomial(per_day, base, (60, 2)).astype(float)
        people = np.full((60, 2), float(per_day))
        # with a chance of one half each, w is 2
        sums = np.stack([people, counts, 2 * people, 2 * counts, 4 * people, 4 * counts, 4 * counts], axis=2)
        bands = confidence_sequence(DaySums(range(60), sums), tightest_at=24_000)
        alarms += any(b.difference.low > 0 or b.difference.high < 0 for b in bands)
    assert alarms / 400 <= 0.05


def test_no_band_before_there_is_enough_to_go_by():
    y, action, chances, day = experiment(60, np.random.default_rng(3))
    assert all(
        np.isinf(b.difference.high) for b in confidence_sequence(daily_sums(y, action, chances, day, arm="mail"))
    )


def test_people_of_other_arms_and_without_a_chance_do_not_count():
    y, action, chances, day = experiment(2_000, np.random.default_rng(4))
    alone = daily_sums(y, action, chances, day, arm="mail")
    others = pd.DataFrame({"control": [1.0, 0.2], "mail": [0, 0.2], "call": [0, 0.6]})
    more, actions = pd.concat([chances.assign(call=0.0), others]), np.append(action, ["control", "call"])
    together = daily_sums(np.append(y, [9, 9]), actions, more, np.append(day, [0, 99]), arm="mail")
    assert together.days == alone.days
    assert together.sums == pytest.approx(alone.sums)


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_an_estimate_has_the_bounds_of_its_day(level):
    y, action, chances, day = experiment(2_000, np.random.default_rng(6))
    last = confidence_sequence(daily_sums(y, action, chances, day, arm="mail"), level=level)[-1].difference
    # bounds of a single look make no difference
    found = always_valid(last._replace(low=0.0, high=0.0, level=0.5), level=level)
    assert found == pytest.approx(last)


def test_days_may_be_dates():
    y, action, chances, day = experiment(2_000, np.random.default_rng(5))
    dates = pd.Timestamp("2026-03-01") + pd.to_timedelta(day, unit="D")
    bands = confidence_sequence(daily_sums(y, action, chances, dates, arm="mail"))
    assert bands[0].day == pd.Timestamp("2026-03-01")
    numbered = confidence_sequence(daily_sums(y, action, chances, day, arm="mail"))
    assert [b.difference for b in bands] == [b.difference for b in numbered]


def test_what_cannot_be_is_refused():
    sums = DaySums([0], np.ones((1, 2, 7)))
    with pytest.raises(InputError, match="tightest_at"):
        confidence_sequence(sums, tightest_at=0)
    with pytest.raises(InputError, match="same length"):
        daily_sums([1.0], ["mail"], pd.DataFrame(HALVES, index=[0]), [1, 2], arm="mail")
