"""Average effects of the actions, and their shrinkage towards each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from propensity.learners._typing import Flags, Matrix, Vector


@dataclass(frozen=True)
class AverageEffects:
    """Average effect of each action against control.

    Attributes
    ----------
    measured : array (n actions - 1,)
        Mean of the doubly robust scores, in units of the outcome.
    standard_error : array (n actions - 1,)
    shrunk : array (n actions - 1,)
        Empirical Bayes estimate: each average moved towards their precision-weighted mean by as much as their spread
        is explained by noise.
    """

    measured: Vector
    standard_error: Vector
    shrunk: Vector


def average_effects(scores: Matrix, propensity: Matrix) -> AverageEffects:
    """Average effects from doubly robust scores.

    Parameters
    ----------
    scores : array (n, n actions)
        Control in the first column.
    propensity : array (n, n actions)
        People for whom an action (or control) had no chance do not count for that action.
    """
    measured, errors = [], []
    possible = possible_actions(propensity)
    for a in range(1, scores.shape[1]):
        difference = (scores[:, a] - scores[:, 0])[possible[:, a - 1]]
        measured.append(difference.mean())
        errors.append(difference.std(ddof=1) / np.sqrt(len(difference)))
    means, standard_errors = np.array(measured), np.array(errors)
    return AverageEffects(means, standard_errors, shrink(means, standard_errors))


def possible_actions(propensity: Matrix) -> Flags:
    """Who could get which action or control instead, (n, n actions - 1): elsewhere no data tell of the effect."""
    return (propensity[:, 1:] > 0) & (propensity[:, :1] > 0)


def mean_effect(effect: Matrix, possible: Flags) -> Vector:
    """Mean of each action's predicted effect (n, n actions - 1) over the people who could get it; 0 without any."""
    return np.asarray((effect * possible).sum(axis=0) / np.maximum(possible.sum(axis=0), 1))


def shrink(means: Vector, standard_errors: Vector) -> Vector:
    """Empirical Bayes shrinkage of several averages towards their common mean.

    Notes
    -----
    theta_a ~ N(mu, tau^2), mean_a ~ N(theta_a, se_a^2); tau^2 by DerSimonian and Laird (1986), mu by inverse
    variances; the shrunk value is mu + tau^2 / (tau^2 + se_a^2) (mean_a - mu). With a single average, or where an
    error is 0, nothing is shrunk.
    """
    if len(means) < 2 or (standard_errors <= 0).any():
        return means.copy()
    weight = 1.0 / standard_errors**2
    centre = (weight * means).sum() / weight.sum()
    q = (weight * (means - centre) ** 2).sum()
    spread = max(0.0, (q - (len(means) - 1)) / (weight.sum() - (weight**2).sum() / weight.sum()))
    if spread == 0:
        return np.full_like(means, centre)
    precision = 1.0 / (spread + standard_errors**2)
    mu = (precision * means).sum() / precision.sum()
    return mu + spread / (spread + standard_errors**2) * (means - mu)
