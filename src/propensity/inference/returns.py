"""When people come back: the share who did, by days since the decision, though some are still being watched."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from propensity.errors import InputError
from propensity.evaluation.checks import checked_level, checked_vectors, checked_weight


class Returns(NamedTuple):
    """Result of `return_curve`; arrays (n days + 1,), from day 0 on.

    Attributes
    ----------
    days : int array
        Whole days since the decision.
    share, low, high : array
        Who came back by the end of that day, and its interval.
    standard_error : array
        Of the share.
    watched : int array
        People who had not come back before that day and were watched on it.
    level : float
        Confidence of the interval, for each day.
    """

    days: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray
    standard_error: np.ndarray
    watched: np.ndarray
    level: float


def return_curve(
    days: object, returned: object, *, horizon: int | None = None, weight: object = None, level: float = 0.95
) -> Returns:
    """Share of people who came back by day, with open windows counted for as long as they were watched.

    Parameters
    ----------
    days : array-like (n,)
        Days from the decision to the return, or to the last moment of watching; whole days count, so 0.7 is day 0.
    returned : array-like (n,) of bool
        Whether the person came back then.
    horizon : int, optional
        Last day of the curve; everybody still away is watched no longer. By default the last day of watching.
    weight : array-like (n,), optional
        1 / logged probability of the person's arm, where these differ between people.
    level : float

    Returns
    -------
    Returns
        The curve ends on the last day on which anybody was watched.

    Raises
    ------
    InputError
        Nobody, lengths differ, or a number of days is below 0 or missing.

    Notes
    -----
    Kaplan and Meier (1958) by whole days; who stops being watched on a day is watched that day. Greenwood's variance,
    and bounds on the scale of log(-log(share still away)), which stay within 0 and 1 (Borgan and Liestol 1990,
    Scandinavian J. Statistics 17). With weights, the estimate of Xie and Liu (2005, Statistics in Medicine 24), in
    whose variance (sum w)^2 / sum w^2 of those at risk takes the place of their number. Where nobody has come back yet
    the upper bound is 1 - (alpha / 2)^(1 / n), n those watched so far (exact without open windows: Clopper and Pearson
    1934).
    """
    elapsed, came = checked_vectors(minimum=1, days=days, returned=np.asarray(returned, dtype=float))
    checked_level(level)
    if (elapsed < 0).any():
        raise InputError(f"days: expected numbers from 0 up, found {int((elapsed < 0).sum()):,} below")
    weights = checked_weight(weight, len(elapsed))
    day = elapsed.astype(np.int64)
    last = int(day.max()) if horizon is None else min(int(day.max()), horizon)
    came_by_then = (came > 0) & (day <= last)
    day = np.minimum(day, last)
    # from each day on: those who had not left before it
    at_risk, square, watched = (
        np.bincount(day, weights=w, minlength=last + 1)[::-1].cumsum()[::-1] for w in (weights, weights**2, None)
    )
    events = np.bincount(day[came_by_then], weights=weights[came_by_then], minlength=last + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard = np.clip(np.where(at_risk > 0, events / at_risk, 0.0), 0.0, 1.0)
        away = np.cumprod(1 - hazard)
        effective = at_risk**2 / square
        greenwood = np.cumsum(hazard / (effective * (1 - hazard)))
    low, high = _bounds(away, greenwood, effective, level)
    with np.errstate(invalid="ignore"):
        error = np.where(away > 0, away * np.sqrt(greenwood), 0.0)
    return Returns(np.arange(last + 1), 1 - away, low, high, error, watched.astype(np.int64), level)


def _bounds(
    away: np.ndarray, greenwood: np.ndarray, effective: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the share who came back."""
    z = float(stats.norm.ppf(0.5 + level / 2))
    inner = (away > 0) & (away < 1)
    log = np.log(np.where(inner, away, 0.5))
    spread = np.exp(z * np.sqrt(np.where(inner, greenwood, 0.0)) / -log)
    low = np.where(inner, 1 - np.exp(log / spread), 1 - away)
    high = np.where(inner, 1 - np.exp(log * spread), 1 - away)
    # nobody yet: the largest share under which that is not too surprising
    none = away == 1
    high[none] = 1 - ((1 - level) / 2) ** (1 / effective[none])
    return low, high
