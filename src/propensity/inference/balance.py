"""Were the arms alike in what was known before?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from propensity.errors import InputError
from propensity.inference.covariates import ROUNDING, Covariates, Standardised, blocks
from propensity.inference.labels import labels_of, positions


class ColumnDifference(NamedTuple):
    """A column's mean in an arm minus that in the control, in standard deviations; NaN where an arm has no spread."""

    column: str
    action: str
    difference: float


class Balance(NamedTuple):
    """Result of `balance_test`.

    Attributes
    ----------
    p_value : float
        That everybody got their arm with the logged chances, whatever was known of them.
    statistic : float
        Chi-square.
    degrees_of_freedom : int
    differences : tuple of ColumnDifference
        Of each column and arm, the largest in size first.
    """

    p_value: float
    statistic: float
    degrees_of_freedom: int
    differences: tuple[ColumnDifference, ...]


def balance_test(
    covariates: pd.DataFrame | Covariates, action: object, propensity: pd.DataFrame, *, control: str = "control"
) -> Balance:
    """Compare the arms in what was known before the decision.

    Parameters
    ----------
    covariates : DataFrame (n, n columns) or Covariates
        Numbers or 0/1. A missing one counts as its column's mean.
    action : array-like (n,)
    propensity : DataFrame (n, n actions)
        Logged probabilities.
    control : str

    Returns
    -------
    Balance

    Raises
    ------
    InputError
        The lengths differ, or a label has no column.

    Notes
    -----
    The test is that of a randomisation with known chances (Hansen and Bowers 2008, Covariate balance in simple,
    stratified and clustered comparative studies, Statistical Science 23): D_a = sum_i (1{A_i = a} - p_ia) x_i has mean
    0 and Cov(D_a, D_b) = sum_i (1{a = b} p_ia - p_ia p_ib) x_i x_i' whatever the chances depend on; D' Cov^+ D is
    chi-square with the rank of Cov as degrees of freedom. With x = 1 it is `sample_ratio_test`; here x is centred, so
    that the arms' sizes hardly count. It needs some tens of people an arm for each column.

    The differences are those of means weighted by 1 / logged probability, over those who could have got arm and control
    (Austin and Stuart 2015, Statistics in Medicine 34), divided by the root of the mean of both weighted variances.
    """
    served, covariates = positions(labels_of(action), propensity.columns), Covariates.of(covariates)
    lengths = [len(covariates), len(served), len(propensity)]
    if len(set(lengths)) > 1:
        raise InputError(f"covariates, action and propensity: expected the same length, found {lengths}")
    if (served < 0).any():
        raise InputError(f"action: expected labels among {list(propensity.columns)}, found others")
    known = Standardised(covariates)
    chances = [propensity[label].to_numpy(dtype=float) for label in propensity.columns]
    statistic, degrees = _joint_test(known, served, chances)
    return Balance(
        p_value=float(stats.chi2.sf(statistic, degrees)) if degrees else 1.0,
        statistic=statistic,
        degrees_of_freedom=degrees,
        differences=_differences(known, covariates.names, served, chances, propensity.columns, control),
    )


def _joint_test(known: Standardised, served: np.ndarray, chances: list[np.ndarray]) -> tuple[float, int]:
    """Chi-square and its degrees of freedom."""
    columns, arms = known.covariance.shape[0], len(chances) - 1
    size = arms * columns
    gap, covariance = np.zeros(size), np.zeros((size, size))
    for rows in blocks(np.arange(len(served))):
        x = known[rows]
        # the last arm follows from the others
        p = np.column_stack([chance[rows] for chance in chances[:-1]])
        drawn = served[rows][:, None] == np.arange(arms)
        gap += ((drawn - p).T @ x).ravel()
        if (p == p[0]).all():
            # the same chances for all need the squares of x only
            covariance += np.kron(np.diag(p[0]) - np.outer(p[0], p[0]), x.T @ x)
            continue
        products = (p[:, :, None] * x[:, None, :]).reshape(len(rows), size)
        covariance -= products.T @ products
        for a in range(arms):
            place = slice(a * columns, (a + 1) * columns)
            covariance[place, place] += products[:, place].T @ x
    sizes, directions = np.linalg.eigh(covariance)
    real = sizes > ROUNDING * max(len(served), 1)
    return float(((directions[:, real].T @ gap) ** 2 / sizes[real]).sum()), int(real.sum())


def _differences(
    known: Standardised,
    columns: tuple[str, ...],
    served: np.ndarray,
    chances: list[np.ndarray],
    actions: pd.Index,
    control: str,
) -> tuple[ColumnDifference, ...]:
    first = list(actions).index(control)
    found = []
    for a, label in enumerate(actions):
        possible = (chances[first] > 0) & (chances[a] > 0)
        members = [np.flatnonzero(possible & (served == k)) for k in (a, first)]
        if a == first or min(map(len, members)) == 0:
            continue
        (mean, spread), (base, base_spread) = (
            _weighted(known, rows, 1 / chances[k][rows]) for k, rows in zip((a, first), members, strict=True)
        )
        pooled = (spread + base_spread) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            gaps = np.where(pooled > ROUNDING, (mean - base) / np.sqrt(pooled), np.nan)
        found += [ColumnDifference(c, str(label), float(g)) for c, g in zip(columns, gaps, strict=True)]
    return tuple(sorted(found, key=lambda x: -abs(x.difference) if np.isfinite(x.difference) else 0.0))


def _weighted(known: Standardised, rows: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted means and variances of the columns among these people."""
    total, square = np.zeros(known.covariance.shape[0]), np.zeros(known.covariance.shape[0])
    done = 0
    for block in blocks(rows):
        x, w = known[block], weight[done : done + len(block)]
        total += w @ x
        square += w @ x**2
        done += len(block)
    mean = total / weight.sum()
    return mean, np.maximum(square / weight.sum() - mean**2, 0.0)
