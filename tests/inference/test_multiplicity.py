"""Adjusted p-values keep the chance of any false finding."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from propensity.errors import InputError
from propensity.inference import gatekeeping, holm


def test_holm_is_that_of_statsmodels():
    rng = np.random.default_rng(0)
    for m in (1, 2, 7):
        p = rng.random(m) ** 3
        assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert holm([]) == []


def test_what_was_not_tested_does_not_count():
    assert holm([0.01, np.nan, 0.02]) == pytest.approx([0.02, np.nan, 0.02], nan_ok=True)


def test_a_primary_outcome_that_keeps_its_error_is_tested_as_if_alone():
    p = [0.001, 0.04, 0.03]
    assert gatekeeping(p, [0.0, 0.5]).primary == pytest.approx(holm(p))
    # the gate opens at the level at which the last arm is found
    assert gatekeeping(p, [0.0, 0.5]).secondary == pytest.approx((0.06, 0.5))
    assert gatekeeping([1.0], [0.0]).secondary == (1.0,)


@pytest.mark.parametrize("kept", [0.0, 0.5, 1.0])
def test_the_adjusted_value_is_the_smallest_level_that_rejects(kept):
    rng = np.random.default_rng(1)
    for _ in range(50):
        primary, secondary = rng.random(3) ** 4, rng.random(2) ** 4
        found = gatekeeping(primary, secondary, kept=kept)
        for alpha in (0.01, 0.05, 0.2):
            rejected = _by_hand(primary, secondary, kept, alpha)
            assert [p <= alpha for p in (*found.primary, *found.secondary)] == rejected


def _by_hand(primary: np.ndarray, secondary: np.ndarray, kept: float, alpha: float) -> list[bool]:
    """The procedure's steps at one level."""
    m, first = len(primary), [False] * len(primary)
    for step, j in enumerate(np.argsort(primary)):
        if primary[j] > alpha * (kept / (m - step) + (1 - kept) / m):
            break
        first[j] = True
    left = alpha if all(first) else alpha * (1 - kept) * sum(first) / m
    second = [False] * len(secondary)
    for step, j in enumerate(np.argsort(secondary)):
        if left == 0 or secondary[j] > left / (len(secondary) - step):
            break
        second[j] = True
    return [*first, *second]


@pytest.mark.parametrize("kept", [0.5, 1.0])
@pytest.mark.parametrize("effects", [(0, 0, 0, 0), (9, 0, 0, 0), (9, 9, 0, 0), (9, 0, 9, 0)])
def test_any_false_finding_among_all_outcomes_is_as_rare_as_stated(kept, effects):
    rng = np.random.default_rng(2)
    truth = np.array(effects)
    # the outcomes of one arm go together
    shared = rng.normal(size=(3_000, 2))
    z = np.hstack([shared, 0.7 * shared + np.sqrt(0.51) * rng.normal(size=(3_000, 2))]) + truth
    p = 2 * stats.norm.sf(np.abs(z))
    false = 0
    for row in p:
        found = gatekeeping(row[:2], row[2:], kept=kept)
        false += any(
            x <= 0.05 for x, effect in zip((*found.primary, *found.secondary), truth, strict=True) if not effect
        )
    assert false / len(p) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(p))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: holm([0.5, 1.2]), "from 0 to 1"),
        (lambda: gatekeeping([], [0.1]), "for each arm"),
        (lambda: gatekeeping([np.nan], [0.1]), "for each arm"),
        (lambda: gatekeeping([0.1], [0.1], kept=2), "share from 0 to 1"),
    ],
)
def test_what_is_no_p_value_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
