"""Shares and counts now against before, among people who are alike in what was done to them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

_MANY = 1_000
"""From so many expected events on, a normal tail is near enough to the exact one."""


class RateChange(NamedTuple):
    """Result of `rate_change`.

    Attributes
    ----------
    now, before : float
        Shares; the latter of people who were treated as those of now are.
    difference, low, high : float
        Now minus before, and its interval.
    p_value : float
        Two-sided, that nothing changed.
    n_now, n_before : int
        People who can be compared.
    """

    now: float
    before: float
    difference: float
    low: float
    high: float
    p_value: float
    n_now: int
    n_before: int


def rate_change(now: np.ndarray, before: np.ndarray, level: float = 0.95) -> RateChange | None:
    """Change of a share, stratum by stratum.

    Parameters
    ----------
    now, before : int array (n strata, 2)
        People with the outcome, and all people, of each stratum.
    level : float

    Returns
    -------
    RateChange or None
        None where no stratum holds people of both times.

    Notes
    -----
    Cochran-Mantel-Haenszel test (Mantel and Haenszel 1959) without continuity correction. The difference is that of the
    shares of each stratum weighted by the people of now, so that another mix of strata is no change; its interval is
    normal.
    """
    both = (now[:, 1] > 0) & (before[:, 1] > 0)
    if not both.any():
        return None
    (x, n), (y, m) = now[both].T.astype(float), before[both].T.astype(float)
    total, with_it = n + m, x + y
    excess = (x - n * with_it / total).sum()
    variance = (n * m * with_it * (total - with_it) / (total**2 * np.maximum(total - 1, 1))).sum()
    weight = n / n.sum()
    share, earlier = x / n, y / m
    difference = float(weight @ (share - earlier))
    # half a person on either side: a stratum without any outcome still has an error
    spread = [(a + 0.5) * (b - a + 0.5) / (b + 1) ** 2 / b for a, b in ((x, n), (y, m))]
    half = float(stats.norm.ppf(0.5 + level / 2)) * float(np.sqrt(weight**2 @ (spread[0] + spread[1])))
    return RateChange(
        now=float(weight @ share),
        before=float(weight @ earlier),
        difference=difference,
        low=difference - half,
        high=difference + half,
        p_value=float(2 * stats.norm.sf(abs(excess) / np.sqrt(variance))) if variance > 0 else 1.0,
        n_now=int(n.sum()),
        n_before=int(m.sum()),
    )


class Fewer(NamedTuple):
    """Result of `fewer_events`.

    Attributes
    ----------
    observed : int
        Events now.
    expected : float
        By the rates of before.
    p_value : float
        Chance of so few or fewer if the rates are still the same.
    """

    observed: int
    expected: float
    p_value: float


def fewer_events(now: np.ndarray, before: np.ndarray) -> Fewer:
    """Whether events come more rarely than they did, given how many people could have had one.

    Parameters
    ----------
    now, before : array (n strata, 2)
        Events and exposure (people) of each stratum. Strata without exposure before are left out.

    Notes
    -----
    Given how many events a stratum has at both times together, those of now are binomial with the share of its exposure
    that is of now (Przyborowski and Wilenski 1940, Biometrika 31: the exact comparison of Poisson counts); the sum over
    strata has the convolution of these distributions.
    """
    both = (before[:, 1] > 0) & (now[:, 1] > 0)
    (x, n), (y, m) = now[both].T, before[both].T
    observed, total = int(x.sum()), (x + y).astype(int)
    share = n / (n + m)
    mean, variance = float(total @ share), float(total @ (share * (1 - share)))
    if observed >= mean:
        p_value = 1.0
    elif mean > _MANY:
        p_value = float(stats.norm.cdf((observed + 0.5 - mean) / np.sqrt(variance)))
    else:
        p_value = _lower_tail(observed, total, share)
    return Fewer(observed, float((n * y / m).sum()), p_value)


def _lower_tail(observed: int, total: np.ndarray, share: np.ndarray) -> float:
    """Chance that the sum of binomials is at most ``observed``."""
    chances = np.array([1.0])
    counts = np.arange(observed + 1)
    for n, p in zip(total, share, strict=True):
        if n > 0:
            chances = np.convolve(chances, stats.binom.pmf(counts[: n + 1], n, p))[: observed + 1]
    return float(min(1.0, chances.sum()))
