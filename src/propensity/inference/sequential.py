"""A difference watched over time: bands that hold on all days at once, so that looking every day does no harm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from propensity.errors import InputError
from propensity.evaluation.checks import checked_level
from propensity.evaluation.estimate import Estimate
from propensity.inference.labels import labels_of

TIGHTEST_AT = 10_000
"""People at which a band is tightest where nobody planned another number."""
FEWEST_EVENTS = 20
"""No band before so many people of each arm have an outcome that is not 0: it rests on a central limit theorem."""


class DaySums(NamedTuple):
    """What a day adds about arm against control; sums of several days add up.

    Attributes
    ----------
    days : sequence (n days,)
        In order, as given; only days with people.
    sums : array (n days, 2, 7)
        Control first, then the arm: people, people whose outcome is not 0, and the sums of w, w y, w^2, w^2 y, w^2 y^2
        with w = 1 / logged probability.
    """

    days: Sequence[Any]
    sums: np.ndarray


class DayBand(NamedTuple):
    """The difference as it stood at the end of a day.

    Attributes
    ----------
    day : object
        As given.
    people : int
        In arm and control together, up to and with this day.
    difference : Estimate
        Arm minus control, units of the outcome. ``low`` and ``high`` are the always-valid band's bounds at ``level``
        (infinite before there is enough to go by), ``standard_error`` that of the difference on this day alone.
    """

    day: Any
    people: int
    difference: Estimate


def daily_sums(
    y: object, action: object, propensity: pd.DataFrame, day: object, *, arm: str, control: str = "control"
) -> DaySums:
    """Sums from which the band is made, day by day.

    Parameters
    ----------
    y : array-like (n,)
        Outcome, 0/1 or an amount.
    action : array-like (n,)
    propensity : DataFrame (n, n actions)
        Logged probabilities; people who could not have got both arm and control are left out.
    day : array-like (n,)
        When the person's outcome became complete (the end of their window): a date, a number; something to sort by.
    arm, control : str
        See `any_contact` for all arms as one.

    Returns
    -------
    DaySums
    """
    outcome, labels, when = np.asarray(y, dtype=float), labels_of(action), np.asarray(day)
    lengths = [len(outcome), len(labels), len(propensity), len(when)]
    if len(set(lengths)) > 1:
        raise InputError(f"y, action, propensity and day: expected the same length, found {lengths}")
    chances = [propensity[label].to_numpy(dtype=float) for label in (control, arm)]
    possible = (chances[0] > 0) & (chances[1] > 0)
    counted = [possible & (labels == label) for label in (control, arm)]
    days = np.unique(when[counted[0] | counted[1]])
    sums = np.zeros((len(days), 2, 7))
    for k, (mine, chance) in enumerate(zip(counted, chances, strict=True)):
        position, values, w = np.searchsorted(days, when[mine]), outcome[mine], 1 / chance[mine]
        for j, term in enumerate(_terms(values, w)):
            sums[:, k, j] = np.bincount(position, weights=term, minlength=len(days))
    return DaySums(days.tolist() if days.dtype.kind != "M" else list(pd.DatetimeIndex(days)), sums)


def _terms(values: np.ndarray, w: np.ndarray) -> Iterator[np.ndarray]:
    """What is summed, see `DaySums`; one after another, as there are millions of each."""
    yield np.ones(len(w))
    yield values != 0
    yield w
    yield w * values
    yield w**2
    yield w**2 * values
    yield (w * values) ** 2


def confidence_sequence(sums: DaySums, *, tightest_at: int = TIGHTEST_AT, level: float = 0.95) -> list[DayBand]:
    """Bands around a difference in means of which, on all days together, one misses the truth in at most 5 % of cases.

    Parameters
    ----------
    sums : DaySums
        What each day added; see `daily_sums`.
    tightest_at : int
        People, arm and control together, at which the band is tightest. Fixed before the experiment starts: at best the
        size that was planned. The promise holds for any number that does not depend on the outcomes.
    level : float
        Chance that the truth is inside on every day.

    Returns
    -------
    list of DayBand
        One a day.

    Raises
    ------
    InputError
        ``tightest_at`` is not above 0 or the level is not between 0 and 1.

    Notes
    -----
    Asymptotic confidence sequence with a normal mixture (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024,
    Time-uniform central limit theory and asymptotic confidence sequences, Annals of Statistics 52, theorem 2.2):

        difference +- sqrt(2 (1 + 1 / (n r^2)) ln(sqrt(n r^2 + 1) / alpha)) standard error,

    n people so far, and r^2 = (-2 ln alpha + ln(-2 ln alpha) + 1) / n*, which makes it tightest at n* people (their
    appendix on tuning). The difference is that of `lift`, the standard error that of its linearisation. The promise is
    exact for many people only, so that the band begins once each arm has 40 people, 20 of whom have an outcome that is
    not 0.
    """
    means, errors, people, enough = running_means(sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        difference, error = means[:, 1] - means[:, 0], np.sqrt((errors**2).sum(axis=1))
        half = np.where(enough, _widths(people, tightest_at, level) * error, np.inf)
    return [
        DayBand(day, int(n), Estimate(float(d), float(e), float(d - h), float(d + h), int(n), level))
        for day, n, d, e, h in zip(sums.days, people, difference, error, half, strict=True)
        if np.isfinite(d)
    ]


def always_valid(estimate: Estimate, *, tightest_at: int = TIGHTEST_AT, level: float = 0.95) -> Estimate:
    """An estimate of a running experiment, with the bounds that it has in its `confidence_sequence`.

    Parameters
    ----------
    estimate : Estimate
        A difference from ``n`` people, adjusted or not, whose experiment may be looked at again and again.
    tightest_at, level
        See `confidence_sequence`; with k differences ``1 - 0.05 / k`` holds for all of them together (Bonferroni).
    """
    half = float(_widths(np.array([estimate.n]), tightest_at, level)[0]) * estimate.standard_error
    return estimate._replace(low=estimate.value - half, high=estimate.value + half, level=level)


def _widths(people: np.ndarray, tightest_at: int, level: float) -> np.ndarray:
    """Half-widths of the band in standard errors, by people so far."""
    if not tightest_at > 0:
        raise InputError(f"tightest_at: expected a number of people above 0, found {tightest_at}")
    alpha = 1 - checked_level(level)
    log = -2 * np.log(alpha)
    spread = people * (log + np.log(log) + 1) / tightest_at
    widths: np.ndarray = np.sqrt(2 * (1 + 1 / spread) * np.log(np.sqrt(spread + 1) / alpha))
    return widths


def running_means(sums: DaySums) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Means (n days, 2) of control and arm, their standard errors, people (n days,), and whether there are enough."""
    people, events, w, wy, w2, w2y, w2y2 = np.moveaxis(np.cumsum(sums.sums, axis=0), 2, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = wy / w
        # the residuals' mean is 0 by construction, for which n / (n - 1) allows
        squares = np.maximum(w2y2 - 2 * mean * w2y + mean**2 * w2, 0) * people / (people - 1)
        error = np.sqrt(squares) / w
    enough = ((events >= FEWEST_EVENTS) & (people >= 2 * FEWEST_EVENTS)).all(axis=1)
    return mean, error, people.sum(axis=1), enough
