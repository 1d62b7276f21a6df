"""Average effects of the actions, and their shrinkage towards what actions have in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize

from propensity.learners._typing import Flags, Matrix, Vector
from propensity.learners.components import action_components


@dataclass(frozen=True)
class AverageEffects:
    """Average effect of each action against control.

    Attributes
    ----------
    measured : array (n actions - 1,)
        Mean of the doubly robust scores, in units of the outcome.
    standard_error : array (n actions - 1,)
    shrunk : array (n actions - 1,)
        Empirical Bayes estimate; see `shrink_jointly`.
    """

    measured: Vector
    standard_error: Vector
    shrunk: Vector


def average_effects(
    scores: Matrix, propensity: Matrix, factors: Matrix | None = None, weight: Vector | None = None
) -> AverageEffects:
    """Average effects from doubly robust scores.

    Parameters
    ----------
    scores : array (n, n actions)
        Control in the first column.
    propensity : array (n, n actions)
        People for whom an action (or control) had no chance do not count for that action.
    factors : array (n actions, n factors), optional
        Codes of `factor_codes`: actions with a level in common are drawn together.
    weight : array (n,), optional
        How much each person counts.
    """
    counts = possible_actions(propensity) * (1.0 if weight is None else weight[:, None])
    total = np.maximum(counts.sum(axis=0), np.finfo(float).tiny)
    difference = scores[:, 1:] - scores[:, :1]
    means = (counts * difference).sum(axis=0) / total
    influence = counts * (difference - means) / total
    n = (counts > 0).sum(axis=0)
    covariance = influence.T @ influence * np.sqrt(np.outer(n, n)) / np.maximum(np.sqrt(np.outer(n - 1, n - 1)), 1.0)
    parts = None if factors is None or factors.shape[1] == 0 else factors
    return AverageEffects(means, np.sqrt(np.diag(covariance)), shrink_jointly(means, covariance, parts))


def possible_actions(propensity: Matrix) -> Flags:
    """Who could get which action or control instead, (n, n actions - 1): elsewhere no data tell of the effect."""
    return (propensity[:, 1:] > 0) & (propensity[:, :1] > 0)


def mean_effect(effect: Matrix, possible: Flags, weight: Vector | None = None) -> Vector:
    """Mean of each action's predicted effect (n, n actions - 1) over the people who could get it; 0 without any."""
    counts = possible * (1.0 if weight is None else weight[:, None])
    total = counts.sum(axis=0)
    return np.asarray((effect * counts).sum(axis=0) / np.where(total > 0, total, 1.0))


def shrink_jointly(means: Vector, covariance: Matrix, factors: Matrix | None = None) -> Vector:
    """Empirical Bayes shrinkage of measured averages towards their common mean and their factors' levels.

    Parameters
    ----------
    means : array (k,)
        Of the actions without control.
    covariance : array (k, k)
        Of their errors; averages against the same control share its error.
    factors : array (1 + k, n factors), optional
        Codes of `factor_codes`.

    Notes
    -----
    means ~ N(theta, covariance) and theta ~ N(mu, t^2 I + sum_f t_f^2 Z_f Z_f'), Z_f the levels of factor f. The
    variances maximise the restricted likelihood; the result is the best linear unbiased prediction of theta
    (Henderson 1975; Harville 1977). With a single average, or where an error is 0, nothing is shrunk.
    """
    k = len(means)
    if k < 2 or (np.diag(covariance) <= 0).any():
        return means.copy()
    # in units of the errors, so that the search does not depend on the outcome's unit
    unit = float(np.sqrt(np.diag(covariance).mean()))
    y, S = means / unit, covariance / unit**2
    kinds = [np.eye(k)]
    for codes in [] if factors is None else factors.T:
        levels = action_components(codes[:, None], k + 1)[1:, 1:]
        kinds.append(levels @ levels.T)
    ones = np.ones(k)

    def parts(variances: Vector) -> tuple[Matrix, Vector, float, float]:
        between = np.tensordot(variances, np.stack(kinds), axes=1)
        lower = linalg.cholesky(between + S, lower=True)
        half_ones = linalg.solve_triangular(lower, ones, lower=True)
        half_y = linalg.solve_triangular(lower, y, lower=True)
        information = float(half_ones @ half_ones)
        mu = float(half_ones @ half_y) / information
        rest = half_y - mu * half_ones
        deviance = 2 * np.log(np.diag(lower)).sum() + np.log(information) + rest @ rest
        return between, linalg.solve_triangular(lower, rest, lower=True, trans="T"), mu, float(deviance)

    def loss(variances: Vector) -> float:
        return parts(variances)[3]

    bound = [(0.0, 4.0 * float(y.var() * k) + 1.0)] * len(kinds)
    starts = [np.full(len(kinds), v) for v in (0.01, max(float(y.var()), 0.1) / len(kinds))]
    tries = [optimize.minimize(loss, start, bounds=bound, method="L-BFGS-B") for start in starts]
    between, direction, mu, _ = parts(min(tries, key=lambda t: t.fun).x)
    return unit * (mu + between @ direction)


def shrink(means: Vector, standard_errors: Vector) -> Vector:
    """Empirical Bayes shrinkage of several independent averages towards their common mean.

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
