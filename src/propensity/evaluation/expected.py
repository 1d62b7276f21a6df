"""What to expect of contacts with other people, by what was measured on people with similar predictions.

A sum of predictions has no honest interval: the errors of people are those of one model. So the measured effects of
people whom the model did not see are put on a line over their predictions, and a total over other people is read off
that line, with the errors of its intercepts and slope. Whoever gets the action that is best for them by prediction may
gain more than others of the same prediction, which is measured too.
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
    """Measured effects as a function of predicted ones: a mean for each action, a slope, and a bonus for the best one.

    Attributes
    ----------
    centre : array (2, k)
        Of each action without control: its mean prediction, and the share of people for whom it is the best.
    coefficients : array (k + 2,)
        Measured mean effect of each action, in units of the outcome; the slope of measured on predicted effects; what
        the action of greatest prediction brings beyond that.
    covariance : array (k + 2, k + 2)
        Of their errors: the same people tell of all actions.
    n : int
        People that were measured.

    Notes
    -----
    score(i, a) = mean_a + slope (prediction(i, a) - centre_a) + bonus (best(i, a) - share_a) + error, by least squares,
    each action weighted by the inverse variance of its scores; errors are those of independent people (sandwich).
    Slope and bonus are common because the models are: their predictions of all actions are too wide or too narrow
    together.
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
        features = _features(predicted)
        centre = features.sum(axis=1) / n_of_action
        x = np.where(there, features - centre[:, None, :], 0.0)
        # where predictions differ by rounding alone there is no slope to be found
        x[0] *= np.ptp(x[0]) > ROUNDING * np.abs(centre[0]).max(initial=0.0)
        mean = effect.sum(axis=0) / n_of_action
        rest = np.where(there, effect - mean, 0.0)
        variance = (rest**2).sum(axis=0) / n_of_action
        weight = np.divide(1.0, variance, out=np.zeros_like(variance), where=variance > 0)
        size = np.sqrt((weight * x**2).sum(axis=(1, 2)))
        x = np.divide(x, size[:, None, None], out=np.zeros_like(x), where=size[:, None, None] > 0)
        inverse = np.linalg.pinv(np.einsum("k,pik,qik->pq", weight, x, x), rcond=ROUNDING)
        slopes = inverse @ np.einsum("k,pik,ik->p", weight, x, rest)
        rest = rest - np.einsum("p,pik->ik", slopes, x)
        of_slopes = np.einsum("k,pik,ik->ip", weight, x, rest) @ inverse
        scale = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)
        influence = np.column_stack([rest / n_of_action, of_slopes * scale])
        covariance = influence.T @ influence * len(predicted) / max(len(predicted) - 1, 1)
        return cls(centre, np.concatenate([mean, slopes * scale]), covariance, len(predicted))

    def people(self, predicted: np.ndarray, action: np.ndarray) -> np.ndarray:
        """What a total needs to know of people, (k + 2,); parts of a wave add up.

        Parameters
        ----------
        predicted : array (m, k)
            Their predicted effects; missing where they may not get an action.
        action : int array (m,)
            Column of the action that each person gets; below 0: none.

        Returns
        -------
        array (k + 2,)
            How many get each action; the sums of their predictions and of whether it is their best one, beyond the
            action's means.
        """
        gets = np.flatnonzero(action >= 0)
        beyond = _features(predicted[gets])[:, np.arange(len(gets)), action[gets]] - self.centre[:, action[gets]]
        return np.concatenate([np.bincount(action[gets], minlength=self.centre.shape[1]), beyond.sum(axis=1)])

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


def _features(predicted: np.ndarray) -> np.ndarray:
    """What effects are told from, (2, n, k): the prediction, and whether it is a person's greatest; 0 where missing."""
    known = np.where(np.isnan(predicted), -np.inf, predicted)
    best = known >= known.max(axis=1, keepdims=True, initial=-np.inf)
    there = np.isfinite(known)
    return np.stack([np.where(there, known, 0.0), best & there])
