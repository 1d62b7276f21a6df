"""Calibrated chance of coming back, with and without contact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize
from scipy.special import expit, logit

FLOOR = 1e-4
"""Predicted chances are kept this far from 0 and 1 before taking log-odds."""
SLOPE_SPREAD = 0.25
"""Standard deviation of the slope's prior around 1. A holdout group may hold a dozen returns, from which a free slope
can come out negative and turn the order of people around."""


@dataclass(frozen=True)
class ReactivationPropensity:
    """Turns the outcome model's chance of returning without contact into a calibrated one.

    Attributes
    ----------
    intercept, slope : float
        Of the log-odds (Platt 1999), fitted on people who were not contacted, predicted out of fold. The slope is
        held to at least 0 and drawn towards 1 where returns are few.
    """

    intercept: float
    slope: float

    @classmethod
    def fit(cls, predicted: np.ndarray, reactivated: np.ndarray) -> ReactivationPropensity:
        """Fit on out-of-fold chances (n,) and outcomes (n,) of people who were not contacted."""
        if len(np.unique(reactivated)) < 2:
            return cls(0.0, 1.0)
        log_odds = _log_odds(predicted)
        centre = float(log_odds.mean())
        centred = log_odds - centre

        def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
            level, slope = at
            fitted = level + slope * centred
            excess = expit(fitted) - reactivated
            pull = (slope - 1) / SLOPE_SPREAD**2
            value = (np.logaddexp(0, fitted) - reactivated * fitted).sum() + pull * (slope - 1) / 2
            return float(value), np.array([excess.sum(), excess @ centred + pull])

        start = np.array([logit(reactivated.mean()), 1.0])
        best = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(None, None), (0, None)])
        level, slope = map(float, best.x)
        return cls(level - slope * centre, slope)

    def without_contact(self, predicted: np.ndarray) -> np.ndarray:
        """Calibrated chance (n,) of coming back without contact."""
        return expit(self.intercept + self.slope * _log_odds(predicted))

    def with_contact(self, predicted: np.ndarray, effect: np.ndarray) -> np.ndarray:
        """Chance (n,) of coming back when contacted: the one without contact plus the effect, held to 0..1."""
        return np.clip(self.without_contact(predicted) + effect, 0.0, 1.0)


def _log_odds(chance: np.ndarray) -> np.ndarray:
    return logit(np.clip(chance, FLOOR, 1 - FLOOR))
