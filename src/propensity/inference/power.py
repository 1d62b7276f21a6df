"""How many people an experiment needs, what it can find, and how many days that takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from propensity.errors import InputError
from propensity.inference.skewness import normalised, skewness_of_difference

_FEW_EVENTS = 1_000
"""Up to so many expected events in either arm all counts are gone through; with more the normal formula is as good."""
_MANY_EVENTS = 20_000
"""From so many in the larger arm on they are too many to go through."""
_STANDARD_DEVIATIONS = 7.0
_STEPS = 14


class SampleSize(NamedTuple):
    """Result of `required_sample_size`.

    Attributes
    ----------
    people : int
        All arms together.
    by_arm : tuple of int
        Control first.
    power : float
        Chance of finding the effect with so many people, in the smallest arm.
    """

    people: int
    by_arm: tuple[int, ...]
    power: float


def detection_power(
    people: int,
    mean: float,
    effect: float,
    *,
    sd: float | None = None,
    shares: Sequence[float] = (0.5, 0.5),
    alpha: float = 0.05,
    sides: int = 2,
    explained: float = 0.0,
) -> float:
    """Chance that `lift` and `holm` find an effect of this size in the smallest arm.

    Parameters
    ----------
    people : int
        All arms together.
    mean : float
        Of the control: a share of people, or currency per person.
    effect : float
        Arm minus control, same unit.
    sd : float, optional
        Standard deviation of an amount, over all people, those with 0 included. None: the outcome is 0/1.
    shares : sequence of float
        Of people, control first, then each arm; they sum to 1.
    alpha : float
        Chance of any false finding among all arms.
    sides : {1, 2}
        1: only an effect in the direction of ``effect`` would be acted on.
    explained : float
        Share of the outcome's variance that covariates explain (R squared), 0 to below 1.

    Raises
    ------
    InputError
        A number is out of its range; the message says which.

    Notes
    -----
    The test of `lift`. Of several arms each is tested at alpha / number of arms: Bonferroni's test, and the first step
    of Holm's, which finds at least as much. Rare 0/1 outcomes: the sum over all counts of both arms of their binomial
    probabilities, where the test rejects. Otherwise the normal formula (Chow, Shao, Wang and Lokhnygina 2017, Sample
    size calculations in clinical research, chapters 3 and 4).
    """
    shares = _checked(mean, effect, sd, shares, alpha, sides, explained)
    z = _quantile(alpha, sides, len(shares) - 1)
    n0, n = people * shares[0], people * min(shares[1:])
    if n0 < 2 or n < 2:
        return 0.0
    if sd is None and explained == 0 and _few(n0 * mean, n * (mean + effect)):
        return _exact(round(n), mean + effect, round(n0), mean, z, sides, effect)
    error = math.sqrt(_unit_variance(mean, effect, sd, shares, explained) / people)
    power = float(stats.norm.sf(z - abs(effect) / error))
    return power + (float(stats.norm.sf(z + abs(effect) / error)) if sides == 2 else 0.0)


def required_sample_size(
    mean: float,
    effect: float,
    *,
    sd: float | None = None,
    shares: Sequence[float] = (0.5, 0.5),
    power: float = 0.8,
    alpha: float = 0.05,
    sides: int = 2,
    explained: float = 0.0,
) -> SampleSize:
    """People that an experiment needs to find an effect.

    Parameters
    ----------
    mean, effect, sd, shares, alpha, sides, explained
        See `detection_power`.
    power : float
        Wanted chance of finding the effect, in the smallest arm.

    Returns
    -------
    SampleSize

    Raises
    ------
    InputError
        A number is out of its range, or the effect is 0.

    Examples
    --------
    Half of the people are contacted; 5 % come back without contact, and one in a hundred more is to be found:

    >>> required_sample_size(0.05, 0.01).by_arm
    (8142, 8142)
    """
    if not 0 < power < 1 or effect == 0:
        raise InputError(f"power and effect: expected a chance between 0 and 1 and not 0, found {power} and {effect}")
    shares = _checked(mean, effect, sd, shares, alpha, sides, explained)
    z = _quantile(alpha, sides, len(shares) - 1) + float(stats.norm.ppf(power))
    people = max(z, 0.1) ** 2 * _unit_variance(mean, effect, sd, shares, explained) / effect**2

    def reached(n: float) -> float:
        return detection_power(
            round(n), mean, effect, sd=sd, shares=shares, alpha=alpha, sides=sides, explained=explained
        )

    # counts are whole, so that power has small steps: halve the interval around the normal formula's number
    low, high = people / 2, people * 2
    while reached(high) < power:
        low, high = high, high * 2
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) >= power else (middle, high)
    by_arm = tuple(math.ceil(high * share) for share in shares)
    return SampleSize(sum(by_arm), by_arm, reached(high))


def minimum_detectable_effect(
    people: int,
    mean: float,
    *,
    sd: float | None = None,
    shares: Sequence[float] = (0.5, 0.5),
    power: float = 0.8,
    alpha: float = 0.05,
    sides: int = 2,
    explained: float = 0.0,
) -> float | None:
    """The smallest increase that so many people find with the wanted chance.

    Parameters
    ----------
    people, mean, sd, shares, alpha, sides, explained
        See `detection_power`.
    power : float
        Wanted chance of finding it, in the smallest arm.

    Returns
    -------
    float or None
        Units of ``mean``. None where even the largest possible increase would be missed too often.
    """
    if not 0 < power < 1:
        raise InputError(f"power: expected a chance between 0 and 1, found {power}")

    def short(effect: float) -> float:
        options = {"sd": sd, "shares": shares, "alpha": alpha, "sides": sides, "explained": explained}
        return detection_power(people, mean, effect, **options) - power  # type: ignore[arg-type]

    # an amount has no largest effect: a hundred standard errors are found by any experiment
    ceiling = (1 - mean) * (1 - 1e-9) if sd is None else 100 * sd / math.sqrt(max(people, 1) * min(shares))
    if short(ceiling) < 0:
        return None
    return float(brentq(short, 1e-9 * ceiling, ceiling, xtol=1e-7 * ceiling, rtol=1e-6))


def days_to_go(required: int, people: int, new_people_a_day: float, *, window_days: float = 0.0) -> int | None:
    """Days until enough people have been decided on and their windows have closed.

    Parameters
    ----------
    required : int
        People that are needed.
    people : int
        Decided on so far, open windows included.
    new_people_a_day : float
    window_days : float
        Days from a decision until its outcome is complete, for those who are still to come.

    Returns
    -------
    int or None
        0 where enough are there already (the newest may still be watched); None where nobody comes any more.
    """
    lacking = required - people
    if lacking <= 0:
        return 0
    if new_people_a_day <= 0:
        return None
    return math.ceil(lacking / new_people_a_day + window_days)


def _checked(
    mean: float,
    effect: float,
    sd: float | None,
    shares: Sequence[float],
    alpha: float,
    sides: int,
    explained: float,
) -> tuple[float, ...]:
    parts = tuple(float(s) for s in shares)
    if len(parts) < 2 or min(parts) <= 0 or abs(sum(parts) - 1) > 1e-6:
        raise InputError(f"shares: expected the control's and at least one arm's, above 0 and 1 in all, found {parts}")
    if sd is None and not (0 < mean < 1 and 0 <= mean + effect <= 1):
        raise InputError(f"mean and effect: expected shares of people between 0 and 1, found {mean} and {effect}")
    if sd is not None and not sd > 0:
        raise InputError(f"sd: expected a standard deviation above 0, found {sd}")
    if not 0 < alpha < 1 or sides not in (1, 2) or not 0 <= explained < 1:
        raise InputError(
            "alpha, sides and explained: expected a chance, 1 or 2, and a share below 1, "
            f"found {alpha}, {sides} and {explained}"
        )
    return parts


def _quantile(alpha: float, sides: int, arms: int) -> float:
    return float(stats.norm.isf(alpha / sides / arms))


def _unit_variance(mean: float, effect: float, sd: float | None, shares: Sequence[float], explained: float) -> float:
    """Variance of the difference times the number of people."""
    if sd is None:
        base, changed = mean * (1 - mean), (mean + effect) * (1 - mean - effect)
    else:
        base = changed = sd**2
    return (base / shares[0] + changed / min(shares[1:])) * (1 - explained)


def _few(*events: float) -> bool:
    return min(events) < _FEW_EVENTS and max(events) < _MANY_EVENTS


def _exact(n: int, p: float, m: int, q: float, z: float, sides: int, effect: float) -> float:
    """Power of `lift`'s test of p against q with n and m people, over all counts that have a chance worth the name."""
    x, y = _counts(n, p), _counts(m, q)
    share, base = x[:, None] / n, y[None, :] / m
    error = np.sqrt(share * (1 - share) / max(n - 1, 1) + base * (1 - base) / max(m - 1, 1))
    t = (share - base) / np.where(error > 0, error, np.inf)
    found = normalised(t, skewness_of_difference(share, base, (1 / n, 1 / m), (1 / n**2, 1 / m**2)))
    rejects = ((found * np.sign(effect) if sides == 1 else np.abs(found)) > z) & (error > 0)
    return float(stats.binom.pmf(x, n, p) @ rejects @ stats.binom.pmf(y, m, q))


def _counts(n: int, p: float) -> np.ndarray:
    spread = _STANDARD_DEVIATIONS * (math.sqrt(n * p * (1 - p)) + 1)
    return np.arange(max(0, math.floor(n * p - spread)), min(n, math.ceil(n * p + spread)) + 1)
