"""Figures in words."""

from __future__ import annotations

import pytest

from propensity.evaluation import Estimate
from propensity.pages import words


@pytest.mark.parametrize(
    ("p_value", "said"),
    [(0.9, "90 %"), (0.05, "5.0 %"), (0.0123, "1.2 %"), (0.0, "fewer than 1 in 10,000"), (1.0, "100 %")],
)
def test_chances_in_words(p_value, said):
    assert words.chance(p_value) == said


@pytest.mark.parametrize(("value", "said"), [(0.0, "0.0"), (-0.04, "0.0"), (-0.06, "-0.1"), (1234.5, "+1,234.5")])
def test_signed_numbers(value, said):
    assert words.signed(value) == said


def test_an_interval_says_how_sure_it_is():
    estimate = Estimate(76.06, 4.6, 67.0, 85.2, 500, 0.95)
    assert words.interval(estimate) == "76.1 (95 % sure: 67.0 to 85.2)"
    assert words.interval(estimate._replace(low=-3.0), digits=0, sign=True) == "+76 (95 % sure: -3 to +85)"
