"""Did everybody get their arm with the chance that was planned?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from propensity.errors import InputError
from propensity.inference.multiplicity import holm

LEVEL = 0.01
"""Below this p-value the experiment is called unhealthy."""

FEWEST_EXPECTED = 5.0
"""A segment in which fewer people are expected in an arm that had a chance is not tested: chi-square needs them."""

_ROUNDING = 1e-9


class SampleRatio(NamedTuple):
    """Result of the sample-ratio test.

    Attributes
    ----------
    healthy : bool
        Whether the p-value is at least 1 %.
    p_value : float
    statistic : float
        Chi-square; infinite where somebody got an arm that they had no chance of.
    degrees_of_freedom : int
    observed, expected : dict
        People per arm.
    """

    healthy: bool
    p_value: float
    statistic: float
    degrees_of_freedom: int
    observed: dict[str, int]
    expected: dict[str, float]


class SegmentSampleRatio(NamedTuple):
    """The sample-ratio test of one segment; ``p_adjusted`` allows for all segments that were tested (Holm)."""

    segment: str
    value: str
    people: int
    p_value: float
    p_adjusted: float


def sample_ratio_test(action: object, propensity: pd.DataFrame) -> SampleRatio:
    """Test the number of people in each arm against the logged probabilities.

    Parameters
    ----------
    action : array-like (n,) of labels
    propensity : DataFrame (n, n actions)
        Logged probability of each action for each person.

    Raises
    ------
    ValueError
        A label has no column.

    Notes
    -----
    d' C^+ d with d the observed minus the expected counts and C = sum_i diag(p_i) - p_i p_i', the covariance of the
    counts; chi-square with rank(C) degrees of freedom. With the same probabilities for everybody this is Pearson's
    chi-square test (Fabijan et al. 2019, Diagnosing sample ratio mismatch in online controlled experiments, KDD).
    Anybody who got an arm that they had no chance of is proof enough: the p-value is 0.
    """
    labels = np.asarray(action)
    unknown = set(labels) - set(propensity.columns)
    if unknown:
        raise ValueError(f"action: expected labels among {list(propensity.columns)}, found {sorted(unknown)}")
    chances = propensity.to_numpy(dtype=float)
    observed = np.array([(labels == a).sum() for a in propensity.columns])
    expected = chances.sum(axis=0)
    covariance = np.diag(expected) - chances.T @ chances
    difference = observed - expected
    # probabilities sum to 1, so one direction has no variance; rounding must not pass for some
    sizes, directions = np.linalg.eigh(covariance)
    real = sizes > _ROUNDING * len(labels)
    degrees = int(real.sum())
    statistic = float(((directions[:, real].T @ difference) ** 2 / sizes[real]).sum())
    served = chances[np.arange(len(labels)), pd.Index(propensity.columns).get_indexer(pd.Index(labels))]
    if (served <= 0).any():
        # such an arm has no variance, so the statistic does not see it
        statistic = float("inf")
    p_value = float(stats.chi2.sf(statistic, max(degrees, 1))) if statistic > 0 else 1.0
    return SampleRatio(
        healthy=p_value >= LEVEL,
        p_value=p_value,
        statistic=statistic,
        degrees_of_freedom=degrees,
        observed=dict(zip(map(str, propensity.columns), map(int, observed), strict=True)),
        expected=dict(zip(map(str, propensity.columns), map(float, expected), strict=True)),
    )


def sample_ratio_by_segment(
    action: object, propensity: pd.DataFrame, segments: pd.DataFrame
) -> list[SegmentSampleRatio]:
    """`sample_ratio_test` within each segment.

    Parameters
    ----------
    action : array-like (n,) of labels
    propensity : DataFrame (n, n actions)
        Logged probability of each action for each person.
    segments : DataFrame (n, n segments)
        The value of each segment for each person; missing: in none.

    Returns
    -------
    list of SegmentSampleRatio
        The most suspicious first. Segments in which fewer than 5 people are expected in an arm that could be got there
        are left out, unless somebody got what they had no chance of.

    Raises
    ------
    InputError
        The lengths differ.
    """
    labels = np.asarray(action)
    lengths = [len(labels), len(propensity), len(segments)]
    if len(set(lengths)) > 1:
        raise InputError(f"action, propensity and segments: expected the same length, found {lengths}")
    tested = []
    for name in segments.columns:
        codes, values = pd.factorize(segments[name], sort=True)
        for k, value in enumerate(values):
            mine = codes == k
            found = sample_ratio_test(labels[mine], propensity[mine])
            expected = [x for x in found.expected.values() if x > 0]
            if min(expected) >= FEWEST_EXPECTED or np.isinf(found.statistic):
                tested.append((str(name), str(value), int(mine.sum()), found.p_value))
    adjusted = holm([p for *_, p in tested])
    results = [SegmentSampleRatio(*row, p) for row, p in zip(tested, adjusted, strict=True)]
    return sorted(results, key=lambda x: x.p_value)
