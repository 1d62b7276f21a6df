"""Skewness taken out of a statistic, so that an interval errs above as rarely as below."""

from __future__ import annotations

import numpy as np

NEGLIGIBLE = 0.05
"""Skewness up to which nothing is corrected: 400 events in the smaller arm. It moves a bound by 0.07 errors at most."""


def unskewed(score: float, skewness: float) -> float:
    """A score statistic as a normal one.

    Parameters
    ----------
    score : float
        Difference from a hypothesis over its standard error under that hypothesis.
    skewness : float
        Of the difference, under the hypothesis.

    Notes
    -----
    The z of score = z + skewness (z^2 - 1) / 6 (Cornish and Fisher 1938; Gart and Nam 1990, Biometrics 46).
    """
    slope = skewness / 6
    if abs(slope) < 1e-9:
        return score
    return float((np.sqrt(max(1 + 4 * slope * (score + slope), 0.0)) - 1) / (2 * slope))


def skewness_of_difference(
    share: np.ndarray | float,
    control: np.ndarray | float,
    squares: tuple[float, float],
    cubes: tuple[float, float],
) -> np.ndarray:
    """Skewness of the difference of two shares, were both the same; 0 where it is negligible.

    Parameters
    ----------
    share, control : float or array, any shape
        Of people with the outcome, in the arm and in the control.
    squares, cubes : tuple of two floats, arm and control
        Sums of the squares and cubes of what each person counts in their arm, everybody together 1: of n people who
        count alike 1 / n and 1 / n^2.

    Notes
    -----
    (1 - 2 p) / sqrt(p (1 - p)) (c_1 - c_0) / (s_1 + s_0)^(3/2) at the share p of both together, s the squares and c the
    cubes. Each arm's own share would do no better: where both are of the same size chance alone would make a skewness,
    which measurably costs coverage.
    """
    people = 1 / np.array(squares)
    p = np.clip((people[0] * share + people[1] * control) / people.sum(), 0.0, 1.0)
    spread = np.sqrt(p * (1 - p))
    shape = (1 - 2 * p) / np.where(spread > 0, spread, np.inf)
    skewness = shape * (cubes[0] - cubes[1]) / sum(squares) ** 1.5
    return np.where(np.abs(skewness) > NEGLIGIBLE, skewness, 0.0)


def normalised(t: np.ndarray, skewness: np.ndarray) -> np.ndarray:
    """A studentised difference as a normal statistic.

    Parameters
    ----------
    t : array, any shape
        Difference over its estimated standard error.
    skewness : array, same shape
        Of the difference.

    Notes
    -----
    t + g t^2 / 3 + g^2 t^3 / 27 + g / 6, g the skewness: it rises everywhere (Hall 1992, On the removal of skewness by
    transformation, J. Royal Statistical Society B 54; for two samples Zhou and Dinh 2005, Biostatistics 6).
    """
    return t + skewness / 6 + skewness * t**2 / 3 + skewness**2 * t**3 / 27


def studentised_quantiles(z: float, skewness: float) -> tuple[float, float]:
    """How many standard errors the bounds lie below and above the difference: the inverse of `normalised` at z, -z."""
    if skewness == 0:
        return z, z
    low, high = (3 / skewness * (np.cbrt(1 + skewness * (x - skewness / 6)) - 1) for x in (z, -z))
    return float(low), float(-high)
