"""Amounts of money: outliers held back, and a difference in revenue taken apart."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from propensity.errors import InputError
from propensity.evaluation.checks import checked_level
from propensity.evaluation.estimate import Estimate, estimate_with_error

SHARE_KEPT = 0.99
"""Of the amounts that are not 0; a larger one counts as the largest of these."""


class Capped(NamedTuple):
    """Result of `winsorised`.

    Attributes
    ----------
    amounts : array (n,)
        None is above ``cap``.
    cap : float or None
        Currency; None where there is no amount above 0.
    people : int
        Whose amount was lowered.
    """

    amounts: np.ndarray
    cap: float | None
    people: int


class RevenueParts(NamedTuple):
    """An arm's difference in revenue from the control, taken apart. All in currency per person.

    Attributes
    ----------
    action : str
    by_more_buyers : Estimate
        As more (or fewer) people buy.
    by_larger_amounts : Estimate
        As those who buy spend more (or less) each.
    difference : Estimate
        The sum of both.
    """

    action: str
    by_more_buyers: Estimate
    by_larger_amounts: Estimate
    difference: Estimate


def winsorised(amounts: object, *, share: float = SHARE_KEPT) -> Capped:
    """Amounts with the few largest ones lowered, so that single orders do not decide an experiment.

    Parameters
    ----------
    amounts : array-like (n,)
        Currency, of all arms together: a cap for each arm would hide differences between them.
    share : float
        Share of the amounts above 0 that stay as they are, above 0 and at most 1.

    Returns
    -------
    Capped

    Raises
    ------
    InputError
        The share is outside (0, 1].

    Notes
    -----
    The cap is the smallest amount that at least this share of the amounts above 0 do not exceed. It is taken from those
    and not from everybody, of whom most have 0 (Tukey 1962 for winsorising; one-sided here). What is estimated is the
    effect on capped amounts.
    """
    if not 0 < share <= 1:
        raise InputError(f"share: expected a share above 0 and at most 1, found {share}")
    values = np.asarray(amounts, dtype=float)
    positive = values[values > 0]
    if len(positive) == 0:
        return Capped(values, None, 0)
    cap = float(np.quantile(positive, share, method="inverted_cdf"))
    return Capped(np.minimum(values, cap), cap, int((values > cap).sum()))


def revenue_parts(
    amount: object, action: object, propensity: pd.DataFrame, *, control: str = "control", level: float = 0.95
) -> list[RevenueParts]:
    """How much of a difference in revenue comes from more buyers and how much from larger amounts.

    Parameters
    ----------
    amount : array-like (n,)
        Currency; 0: bought nothing.
    action : array-like (n,)
    propensity : DataFrame (n, n actions)
        Logged probabilities.
    control : str
    level : float

    Returns
    -------
    list of RevenueParts
        One an action besides control, in the order of the columns; those in which, or in whose control, fewer than two
        people bought are left out. The differences are those of `lift` without covariates.

    Raises
    ------
    InputError
        The lengths differ, or the level is not between 0 and 1.

    Notes
    -----
    With p the share of buyers and m the amount per buyer, p_1 m_1 - p_0 m_0 is exactly

        (p_1 - p_0) (m_1 + m_0) / 2  +  (m_1 - m_0) (p_1 + p_0) / 2

    (Kitagawa 1955, Components of a difference between two rates, JASA 50). Intervals by the delta method from the joint
    error of (p, p m) in each arm. The split says what differs, not why: who buys under contact may be other people.
    """
    checked_level(level)
    values, labels = np.asarray(amount, dtype=float), np.asarray(action)
    if len({len(values), len(labels), len(propensity)}) > 1:
        lengths = [len(values), len(labels), len(propensity)]
        raise InputError(f"amount, action and propensity: expected the same length, found {lengths}")
    left_alone = propensity[control].to_numpy(dtype=float)
    results = []
    for label in propensity.columns.drop(control):
        chance = propensity[label].to_numpy(dtype=float)
        possible = (left_alone > 0) & (chance > 0)
        members = possible & (labels == control), possible & (labels == label)
        if min((values[mine] != 0).sum() for mine in members) < 2:
            continue
        sides = [_side(values[mine], 1 / c[mine]) for mine, c in zip(members, (left_alone, chance), strict=True)]
        results.append(_parts(str(label), sides, int(sum(mine.sum() for mine in members)), level))
    return results


def _side(values: np.ndarray, weight: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Share of buyers and revenue per person of one arm, with their covariance (2, 2)."""
    both = np.column_stack([values != 0, values])
    mean = weight @ both / weight.sum()
    residual = weight[:, None] * (both - mean)
    # as in `arm_means`: each person's leverage is their share of the weight
    residual /= np.sqrt(1 - weight / weight.sum())[:, None]
    return float(mean[0]), float(mean[1]), residual.T @ residual / weight.sum() ** 2


def _parts(label: str, sides: list[tuple[float, float, np.ndarray]], people: int, level: float) -> RevenueParts:
    (p0, r0, v0), (p1, r1, v1) = sides
    m0, m1 = r0 / p0, r1 / p1
    # slopes in (p, r) of each arm, as m = r / p
    more_1 = np.array([(m1 + m0) / 2 - (p1 - p0) * m1 / (2 * p1), (p1 - p0) / (2 * p1)])
    more_0 = np.array([-(m1 + m0) / 2 - (p1 - p0) * m0 / (2 * p0), (p1 - p0) / (2 * p0)])
    whole = np.array([0.0, 1.0])

    def estimate(value: float, slope_1: np.ndarray, slope_0: np.ndarray) -> Estimate:
        # where all amounts are the same, rounding may leave a little less than nothing
        error = float(np.sqrt(max(slope_1 @ v1 @ slope_1 + slope_0 @ v0 @ slope_0, 0.0)))
        return estimate_with_error(value, error, people, level)

    by_more = (p1 - p0) * (m1 + m0) / 2
    return RevenueParts(
        action=label,
        by_more_buyers=estimate(by_more, more_1, more_0),
        by_larger_amounts=estimate((m1 - m0) * (p1 + p0) / 2, whole - more_1, -whole - more_0),
        difference=estimate(r1 - r0, whole, -whole),
    )
