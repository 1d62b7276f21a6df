"""The mean outcome of each arm, had everybody been in it: from logged probabilities, and adjusted where wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from propensity.inference.covariates import BLOCK, ROUNDING, Standardised, blocks

PEOPLE_PER_COVARIATE = 20
"""With fewer people in an arm for each column, nothing is adjusted: the fit would follow chance."""


class ArmMeans(NamedTuple):
    """Result of `arm_means`, in the order of the arms.

    Attributes
    ----------
    people : int array (n arms,)
        Who were in the arm.
    means : array (n arms,)
        Units of the outcome.
    covariance : array (n arms, n arms)
        Of the means.
    own_variance : array (n arms,)
        The part of each mean's variance that comes from the people of this arm alone.
    adjusted : bool
        Whether the covariates were used.
    """

    people: np.ndarray
    means: np.ndarray
    covariance: np.ndarray
    own_variance: np.ndarray
    adjusted: bool


def arm_means(
    y: np.ndarray, arm: np.ndarray, chances: Sequence[np.ndarray], covariates: np.ndarray | None = None
) -> ArmMeans:
    """Means of all arms over the same people, with their joint error.

    Parameters
    ----------
    y : array (n,)
        Outcome, 0/1 or an amount.
    arm : int array (n,)
        Position of the person's arm in ``chances``; any other number: another arm, which does not count.
    chances : sequence of n arms arrays (n,)
        Logged probability of each arm, above 0 for everybody.
    covariates : array (n, n columns), optional
        Numbers known before the decision; a missing one counts as its column's mean. Ignored where an arm has fewer
        than 20 people a column.

    Returns
    -------
    ArmMeans

    Notes
    -----
    Within each arm y is regressed on the centred covariates with weights w = 1 / e_a(x) (Lin 2013, Annals of Applied
    Statistics 7, for equal probabilities; with one covariate, the outcome of before, it is CUPED: Deng et al. 2013,
    WSDM). Since the weighted residuals sum to 0, the doubly robust (AIPW) mean with these outcome models is each
    regression's value at everybody's mean covariates: mu_a = alpha_a. Its linearisation is
    beta_a'(x_i - x_mean) + w_i r_i / mean(w), so that

        Cov(mu_a, mu_b) = beta_a' S beta_b / n + 1{a = b} sum_i w_i^2 r_i^2 / (1 - h_i) / (sum_i w_i)^2,

    S the covariance of x and h_i the leverage (HC2: MacKinnon and White 1985). Without covariates the means are those
    of Hajek (1971); with the same probabilities for everybody the variances are then s_a^2 / n_a, those of Welch.
    """
    rows = [np.flatnonzero(arm == a) for a in range(len(chances))]
    people = np.array([len(r) for r in rows])
    columns = 0 if covariates is None else covariates.shape[1]
    adjusted = columns > 0 and bool(people.min() >= PEOPLE_PER_COVARIATE * (columns + 1))
    known = Standardised(covariates if adjusted and covariates is not None else np.empty((len(y), 0)))
    fits = [_fit(y, r, 1 / chance[r], known) for r, chance in zip(rows, chances, strict=True)]
    slopes = np.array([coefficients[1:] for coefficients, _ in fits])
    own = np.array([variance for _, variance in fits])
    shared = slopes @ known.covariance @ slopes.T / len(y)
    return ArmMeans(people, np.array([c[0] for c, _ in fits]), shared + np.diag(own), own, adjusted)


def _fit(y: np.ndarray, rows: np.ndarray, weight: np.ndarray, known: Standardised) -> tuple[np.ndarray, float]:
    """Weighted least squares within an arm: coefficients, intercept first, and the intercept's variance."""
    size = known.covariance.shape[0] + 1
    gram, product = np.zeros((size, size)), np.zeros(size)
    for start, block in zip(range(0, len(rows), BLOCK), blocks(rows), strict=True):
        design, w = _design(known, block), weight[start : start + len(block)]
        weighted = design * w[:, None]
        gram += weighted.T @ design
        product += weighted.T @ y[block]
    inverse = np.linalg.pinv(gram, rcond=ROUNDING, hermitian=True)
    coefficients, squares = inverse @ product, 0.0
    for start, block in zip(range(0, len(rows), BLOCK), blocks(rows), strict=True):
        design, w = _design(known, block), weight[start : start + len(block)]
        leverage = w * np.einsum("ij,ij->i", design @ inverse, design)
        residual = y[block] - design @ coefficients
        squares += float((w**2 * residual**2 / np.maximum(1 - leverage, ROUNDING)).sum())
    return coefficients, squares / float(weight.sum()) ** 2


def _design(known: Standardised, rows: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(rows)), known[rows]])
