"""Does contact do harm? Whether an unwelcome event stays within the margin that is tolerated."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from propensity.errors import InputError
from propensity.evaluation.checks import checked_level
from propensity.evaluation.estimate import Estimate
from propensity.inference.labels import labels_of
from propensity.inference.skewness import unskewed

_STEPS = 45
"""Halvings of the interval in which a bound lies: to 13 digits of a share."""


class NonInferiority(NamedTuple):
    """Whether a share is higher than another by no more than a margin.

    Attributes
    ----------
    share, control_share : float
        Of people to whom the event happened.
    difference : Estimate
        Share minus control share, with a score interval; the standard error is the plain one.
    margin : float
        The most that is tolerated.
    p_value : float
        One-sided, that the difference is the margin or more.
    kept : bool or None
        True: the interval lies below the margin; False: above it; None: cannot be told yet.
    """

    share: float
    control_share: float
    difference: Estimate
    margin: float
    p_value: float
    kept: bool | None


def non_inferiority(
    events: float, people: float, control_events: float, control_people: float, *, margin: float, level: float = 0.95
) -> NonInferiority:
    """Test a share against another one's within a margin, from counts; right for rare events and for none at all.

    Parameters
    ----------
    events, people : float
        Of the arm.
    control_events, control_people : float
    margin : float
        The most by which the arm's share may be higher, share of people (0.002: 2 in 1,000).
    level : float
        Confidence of the two-sided interval; the test is one-sided at (1 - level) / 2.

    Raises
    ------
    InputError
        Fewer than one person, more events than people, or a margin outside [0, 1).

    Notes
    -----
    Miettinen and Nurminen (1985), Comparative analysis of two rates, Statistics in Medicine 4: all differences d that
    (difference - d) / sqrt(V(d) N / (N - 1)) does not exclude, V the variance under the two shares that are likeliest
    among those that differ by d (closed form: Farrington and Manning 1990, Statistics in Medicine 9). Where few events
    are expected that quotient is skewed, and harm would be overlooked in up to 8 % of cases instead of 2.5 %; its
    skewness under these shares is taken out (Gart and Nam 1990, Approximate interval estimation of the difference in
    binomial parameters: correction for skewness, Biometrics 46).
    """
    counts = ((events, people), (control_events, control_people))
    if any(not (n >= 1 and 0 <= x <= n) for x, n in counts):
        raise InputError(f"events and people: expected events from 0 to the number of people, found {counts}")
    if not 0 <= margin < 1:
        raise InputError(f"margin: expected a share from 0 to below 1, found {margin}")
    z = float(stats.norm.ppf(0.5 + checked_level(level) / 2))
    p, q = events / people, control_events / control_people
    difference = p - q
    low = _bound(events, people, control_events, control_people, z)
    high = -_bound(control_events, control_people, events, people, z)
    error = float(np.sqrt(p * (1 - p) / people + q * (1 - q) / control_people))
    n = round(people + control_people)
    return NonInferiority(
        share=p,
        control_share=q,
        difference=Estimate(difference, error, low, high, n, level),
        margin=margin,
        p_value=float(stats.norm.cdf(_score(events, people, control_events, control_people, margin))),
        kept=True if high < margin else False if low > margin else None,
    )


def guardrail(
    happened: object,
    action: object,
    propensity: pd.DataFrame,
    *,
    arm: str,
    margin: float,
    control: str = "control",
    level: float = 0.95,
) -> NonInferiority:
    """`non_inferiority` of an arm against the control from logged probabilities.

    Parameters
    ----------
    happened : array-like (n,) of bool
        Whether the person unsubscribed, complained, ...
    action : array-like (n,)
    propensity : DataFrame (n, n actions)
        Logged probabilities; people who could not have got both arm and control are left out.
    arm, control : str
        See `any_contact` for all arms as one.
    margin, level
        See `non_inferiority`.

    Raises
    ------
    InputError
        Arm or control holds nobody.

    Notes
    -----
    Shares are weighted (Hajek 1971). Each counts as if it came from as many people, at most those who were in the arm,
    as would have given the same error without weights (Korn and Graubard 1998, Survey Methodology 24); where nobody or
    everybody had the event, from Kish's effective number (sum w)^2 / sum w^2. With the same probabilities for everybody
    these are the people themselves.
    """
    event, labels = np.asarray(happened, dtype=float), labels_of(action)
    chances = [propensity[label].to_numpy(dtype=float) for label in (arm, control)]
    possible = (chances[0] > 0) & (chances[1] > 0)
    counts: list[float] = []
    for label, chance in zip((arm, control), chances, strict=True):
        mine = possible & (labels == label)
        if not mine.any():
            raise InputError(f"action: expected people in {label}, found none who could also have got the other arm")
        counts += _effective(event[mine], 1 / chance[mine])
    return non_inferiority(counts[0], counts[1], counts[2], counts[3], margin=margin, level=level)


def _effective(event: np.ndarray, weight: np.ndarray) -> list[float]:
    """Events and people that say as much without weights."""
    total = weight.sum()
    share = min(float(weight @ event / total), 1.0)
    variance = float((weight**2 @ (event - share) ** 2) / total**2)
    people = share * (1 - share) / variance if variance > 0 else float(total**2 / (weight @ weight))
    people = max(min(people, float(len(event))), 1.0)
    return [share * people, people]


def _score(x: float, n: float, y: float, m: float, d: float) -> float:
    """How many standard errors x / n - y / m lies above d, free of skewness; infinite where d allows no error."""
    p, q = _likeliest(x, n, y, m, d)
    first, second = p * (1 - p) / n, q * (1 - q) / m
    gap, variance = x / n - y / m - d, (first + second) * (n + m) / max(n + m - 1, 1)
    if variance <= 0:
        return float(np.sign(gap) * np.inf) if abs(gap) > 1e-12 else 0.0
    skewness = (first * (1 - 2 * p) / n - second * (1 - 2 * q) / m) / variance**1.5
    return unskewed(float(gap / np.sqrt(variance)), skewness)


def _likeliest(x: float, n: float, y: float, m: float, d: float) -> tuple[float, float]:
    """The shares p and p - d under which x of n and y of m are likeliest."""
    ratio, first, second = m / n, x / n, y / m
    a = 1 + ratio
    b = -(1 + ratio + first + ratio * second + d * (ratio + 2))
    c = d**2 + d * (2 * first + ratio + 1) + first + ratio * second
    e = -first * d * (1 + d)
    v = b**3 / (3 * a) ** 3 - b * c / (6 * a**2) + e / (2 * a)
    u = np.copysign(np.sqrt(max(b**2 / (3 * a) ** 2 - c / (3 * a), 0.0)), v)
    angle = 0.0 if u == 0 else float(np.clip(v / u**3, -1.0, 1.0))
    p = 2 * u * np.cos((np.pi + np.arccos(angle)) / 3) - b / (3 * a)
    p = float(np.clip(p, max(0.0, d), min(1.0, 1 + d)))
    return p, float(np.clip(p - d, 0.0, 1.0))


def _bound(x: float, n: float, y: float, m: float, z: float) -> float:
    """The smallest difference that is not excluded, by halving the interval in which it lies."""
    outside, inside = -1.0, x / n - y / m
    for _ in range(_STEPS):
        middle = (outside + inside) / 2
        if _score(x, n, y, m, middle) > z:
            outside = middle
        else:
            inside = middle
    return inside
