"""Amounts are capped for all arms alike, and a difference in revenue is the sum of its parts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from propensity.errors import InputError
from propensity.inference import lift, revenue_parts, winsorised

ARMS = ["control", "mail"]


def shop(
    n: int, rng: np.random.Generator, buyers: tuple[float, float] = (0.1, 0.14), amounts: tuple[float, float] = (30, 36)
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Amounts of people who buy or not, arms by chances that depend on how keen people are."""
    keen = rng.random(n) < 0.5
    chance = np.where(keen, 0.7, 0.3)
    sent = rng.random(n) < chance
    share = np.array(buyers)[sent.astype(int)] * np.where(keen, 1.5, 0.5)
    amount = (rng.random(n) < share) * rng.gamma(2, np.array(amounts)[sent.astype(int)] / 2)
    return amount, np.array(ARMS)[sent.astype(int)], pd.DataFrame({"control": 1 - chance, "mail": chance})


def test_the_cap_is_an_amount_of_those_who_bought():
    amounts = np.r_[np.zeros(900), np.arange(1, 101), [-5.0]]
    found = winsorised(amounts, share=0.95)
    assert (found.cap, found.people) == (95.0, 5)
    assert found.amounts.max() == 95
    assert found.amounts.min() == -5
    # more people who buy nothing change no cap
    assert winsorised(np.r_[amounts, np.zeros(5_000)], share=0.95).cap == 95
    assert winsorised(amounts, share=1).people == 0
    assert winsorised(np.zeros(5)).cap is None
    with pytest.raises(InputError, match="share"):
        winsorised(amounts, share=0)


def test_the_parts_are_the_difference():
    y, action, chances = shop(5_000, np.random.default_rng(0))
    (found,), (whole,) = revenue_parts(y, action, chances), lift(y, action, chances)
    assert found.by_more_buyers.value + found.by_larger_amounts.value == pytest.approx(whole.difference, abs=1e-12)
    assert found.difference.value == pytest.approx(whole.difference)
    assert found.difference.standard_error == pytest.approx(whole.standard_error)


def test_only_what_changed_has_a_part():
    rng = np.random.default_rng(1)
    (amounts,) = revenue_parts(*shop(200_000, rng, buyers=(0.1, 0.1)))
    assert amounts.by_more_buyers.low < 0 < amounts.by_more_buyers.high
    assert amounts.by_larger_amounts.low > 0
    (buyers,) = revenue_parts(*shop(200_000, rng, amounts=(30, 30)))
    assert buyers.by_larger_amounts.low < 0 < buyers.by_larger_amounts.high
    assert buyers.by_more_buyers.low > 0


def test_intervals_of_the_parts_hold_in_95_of_100():
    rng = np.random.default_rng(2)
    # over both kinds of people a tenth or 14 % buy
    truth = np.array([0.04 * 33, 6 * 0.12])
    held = []
    for _ in range(300):
        (found,) = revenue_parts(*shop(4_000, rng))
        held.append([x.low <= t <= x.high for x, t in zip(found[1:3], truth, strict=True)])
    assert np.mean(held, axis=0) == pytest.approx([0.95, 0.95], abs=0.04)


def test_an_arm_without_buyers_has_no_parts():
    y, action, chances = shop(100, np.random.default_rng(3))
    assert revenue_parts(np.where(action == "mail", 0, y), action, chances) == []
    with pytest.raises(InputError, match="same length"):
        revenue_parts(y[:5], action, chances)
