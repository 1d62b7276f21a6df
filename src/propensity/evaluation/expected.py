"""What to expect of contacts with other people, by what was measured on people with similar predictions.

A sum of predictions has no honest interval: the errors of people are those of one model. So the measured effects of
training people, who were predicted out of fold, are put on a line over their predictions, and a total over other people
is read off that line, with the errors of its intercepts and slope.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from propensity.evaluation.estimate import Estimate, estimate_with_error

ROUNDING = 1e-9
"""Share of their size by which predictions may differ and still be the same."""


@dataclass(frozen=True, eq=False)
class MeasuredEffects:
    """Measured effects as a function of predicted ones: an intercept for each action, and one slope.

    Attributes
    ----------
    centre : array (k,)
        Mean prediction of each action without control.
    coefficients : array (k + 1,)
        Measured mean effect of each action, in units of the outcome, and the slope of measured on predicted effects.
    covariance : array (k + 1, k + 1)
        Of their errors: the same people tell of all actions.
    n : int
        People that were measured.

    Notes
    -----
    score(i, a) = mean_a + slope (prediction(i, a) - centre_a) + error, by least squares, each action weighted by the
    inverse variance of its scores; errors are those of independent people (sandwich). The slope is common because the
    models are: their predictions of all actions are too wide or too narrow together.
    """

    centre: np.ndarray
    coefficients: np.ndarray
    covariance: np.ndarray
    n: int

    @classmethod
    def fit(cls, scores: np.ndarray, predicted: np.ndarray) -> Self:
        """Put measured effects on a line over predictions.

        Parameters
        ----------
        scores : array (n, k + 1)
            Doubly robust, control in the first column.
        predicted : array (n, k)
            Effects predicted by models that did not see the person; missing where an action had no chance.
        """
        there = ~np.isnan(predicted)
        n_of_action = np.maximum(there.sum(axis=0), 1)
        effect = np.where(there, scores[:, 1:] - scores[:, :1], 0.0)
        centre = np.where(there, predicted, 0.0).sum(axis=0) / n_of_action
        x = np.where(there, predicted - centre, 0.0)
        mean = effect.sum(axis=0) / n_of_action
        rest = np.where(there, effect - mean, 0.0)
        variance = (rest**2).sum(axis=0) / n_of_action
        weight = np.divide(1.0, variance, out=np.zeros_like(variance), where=variance > 0)
        square = float((weight * x**2).sum())
        # where predictions differ by rounding alone there is no slope to be found
        there_is_a_slope = square > 0 and bool((np.ptp(x, axis=0) > ROUNDING * np.abs(centre)).any())
        slope = float((weight * x * rest).sum()) / square if there_is_a_slope else 0.0
        rest = rest - slope * x
        of_slope = (weight * x * rest).sum(axis=1) / square if there_is_a_slope else np.zeros(len(x))
        influence = np.column_stack([rest / n_of_action, of_slope])
        covariance = influence.T @ influence * len(x) / max(len(x) - 1, 1)
        return cls(centre, np.append(mean, slope), covariance, len(x))

    def people(self, predicted: np.ndarray, action: np.ndarray) -> np.ndarray:
        """What a total needs to know of people, (k + 1,); parts of a wave add up.

        Parameters
        ----------
        predicted : array (m, k)
            Their predicted effects.
        action : int array (m,)
            Column of the action that each person gets; below 0: none.

        Returns
        -------
        array (k + 1,)
            How many get each action, and the sum of their predictions beyond the action's mean.
        """
        gets = np.flatnonzero(action >= 0)
        beyond = predicted[gets, action[gets]] - self.centre[action[gets]]
        return np.append(np.bincount(action[gets], minlength=len(self.centre)), beyond.sum())

    def total(self, people: np.ndarray, level: float = 0.95) -> Estimate:
        """The effect on people (from `people`) together, in units of the outcome.

        The interval holds the total that is to be expected of people like those in training; what these very people
        do varies besides.
        """
        error = float(np.sqrt(max(0.0, people @ self.covariance @ people)))
        return estimate_with_error(float(people @ self.coefficients), error, self.n, level)

    def to_state(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "centre": self.centre.tolist(),
            "coefficients": self.coefficients.tolist(),
            "covariance": self.covariance.tolist(),
            "n": self.n,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `to_state` described."""
        centre, coefficients, covariance = (np.asarray(state[n]) for n in ("centre", "coefficients", "covariance"))
        return cls(centre, coefficients, covariance, int(state["n"]))
