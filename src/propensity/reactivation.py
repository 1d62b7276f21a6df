"""Calibrated chance of coming back, with and without contact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

FLOOR = 1e-4
"""Predicted chances are kept this far from 0 and 1 before taking log-odds."""


@dataclass(frozen=True)
class ReactivationPropensity:
    """Turns the outcome model's chance of returning without contact into a calibrated one.

    Attributes
    ----------
    intercept, slope : float
        Of the log-odds (Platt 1999), fitted on people who were not contacted, predicted out of fold.
    """

    intercept: float
    slope: float

    @classmethod
    def fit(cls, predicted: np.ndarray, reactivated: np.ndarray) -> ReactivationPropensity:
        """Fit on out-of-fold chances (n,) and outcomes (n,) of people who were not contacted."""
        if len(np.unique(reactivated)) < 2:
            return cls(0.0, 1.0)
        model = LogisticRegression(C=np.inf).fit(_log_odds(predicted).reshape(-1, 1), reactivated)
        return cls(float(model.intercept_[0]), float(model.coef_[0, 0]))

    def without_contact(self, predicted: np.ndarray) -> np.ndarray:
        """Calibrated chance (n,) of coming back without contact."""
        return expit(self.intercept + self.slope * _log_odds(predicted))

    def with_contact(self, predicted: np.ndarray, effect: np.ndarray) -> np.ndarray:
        """Chance (n,) of coming back when contacted: the one without contact plus the effect, held to 0..1."""
        return np.clip(self.without_contact(predicted) + effect, 0.0, 1.0)


def _log_odds(chance: np.ndarray) -> np.ndarray:
    return logit(np.clip(chance, FLOOR, 1 - FLOOR))
