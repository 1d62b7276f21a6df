"""People in groups of similar value, and the means of groups with their errors, without loops over groups."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class GroupMeans(NamedTuple):
    """Means of groups 0, 1, ...; all arrays (n groups,).

    Attributes
    ----------
    n : int array
        People with a weight above 0.
    weight : array
        Their weight together.
    mean : array
        NaN where nobody is in the group.
    standard_error : array
        NaN where fewer than two people are.
    """

    n: np.ndarray
    weight: np.ndarray
    mean: np.ndarray
    standard_error: np.ndarray


def groups_of_equal_size(values: np.ndarray, n_groups: int, weight: np.ndarray) -> np.ndarray:
    """Group (n,) of each value: 0 (lowest) up to ``n_groups`` - 1 of equal weight; equal values stay together.

    Where many values are equal there are fewer groups; their numbers have no gaps.
    """
    distinct, code = np.unique(values, return_inverse=True)
    share = np.cumsum(np.bincount(code, weight, len(distinct))) / weight.sum()
    # a share of 0.3 must end a group although 3 / 10 is not exact
    ends = np.unique(np.searchsorted(share, np.arange(1, n_groups) / n_groups - 1e-9))
    group = np.searchsorted(ends, np.arange(len(distinct)))
    return np.unique(group, return_inverse=True)[1][code]


def group_means(values: np.ndarray, group: np.ndarray, n_groups: int, weight: np.ndarray) -> GroupMeans:
    """Weighted mean of each group (n groups,) and its standard error, as `mean_estimate` has it."""
    n = np.bincount(group[weight > 0], minlength=n_groups)
    total = np.bincount(group, weight, n_groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(group, weight * values, n_groups) / total
        residual = mean[group]
        np.subtract(values, residual, out=residual)
        residual *= weight
        squares = np.bincount(group, np.square(residual, out=residual), n_groups)
        error = np.where(n > 1, np.sqrt(squares * n / (n - 1)) / total, np.nan)
    return GroupMeans(n, total, mean, error)
