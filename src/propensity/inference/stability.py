"""Population stability: how far two groups of people differ in a column, and whether chance makes such differences."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

LARGE_CELL = 50
"""With so many people expected in every cell of both groups the chi-square distribution is near enough."""
FIRST_LOOK, SECOND_LOOK = 2_000, 200_000
"""Permutations: few where they show that chance is enough, many where a small chance has to be told."""
_WORTH_A_SECOND_LOOK = 0.05


class Stability(NamedTuple):
    """Result of `population_stability`.

    Attributes
    ----------
    psi : float
        Population stability index; 0 where both groups are alike.
    by_chance : float
        What it is on average for two groups of this size from one population.
    p_value : float
        Chance of one at least this large for such groups.
    exact : bool
        Whether the p-value was counted over permutations, not read from a chi-square distribution.
    """

    psi: float
    by_chance: float
    p_value: float
    exact: bool


def population_stability(before: object, now: object, seed: int = 0) -> Stability:
    """Compare how two groups of people are spread over the same cells.

    Parameters
    ----------
    before, now : array-like (n cells,) of int
        People per cell.
    seed : int
        Of the permutations.

    Raises
    ------
    ValueError
        The cells differ in number, or one group holds nobody.

    Notes
    -----
    PSI = sum_b (q_b - p_b) ln(q_b / p_b), a symmetric Kullback-Leibler divergence, with half a person added to each
    cell so that an empty one has a logarithm. For n and m people from one population it is about
    (1/n + 1/m) chi2_{B-1} (Yurdakul and Naranjo 2020, Statistical properties of the population stability index, J. Risk
    Model Validation 14); where a cell is small, n of all n + m people are drawn at random again and again instead: the
    chance is that of Phipson and Smyth (2010), which is never too small.
    """
    first, second = (np.asarray(x, dtype=np.int64) for x in (before, now))
    if first.shape != second.shape or first.sum() == 0 or second.sum() == 0:
        raise ValueError(
            f"before and now: expected people in the same cells, found {first.tolist()}, {second.tolist()}"
        )
    used = first + second > 0
    first, second = first[used], second[used]
    n, m = int(first.sum()), int(second.sum())
    found, noise = float(_psi(first, second)), 1 / n + 1 / m
    by_chance = noise * (len(first) - 1)
    if len(first) == 1:
        return Stability(0.0, 0.0, 1.0, True)
    pooled = first + second
    if pooled.min() * min(n, m) / (n + m) >= LARGE_CELL:
        return Stability(found, by_chance, float(stats.chi2.sf(found / noise, len(first) - 1)), False)
    rng = np.random.default_rng(seed)
    p_value = _permuted(pooled, m, found, FIRST_LOOK, rng)
    if p_value < _WORTH_A_SECOND_LOOK:
        p_value = _permuted(pooled, m, found, SECOND_LOOK, rng)
    return Stability(found, by_chance, p_value, True)


def _psi(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    p, q = ((x + 0.5) / (x + 0.5).sum(axis=-1, keepdims=True) for x in (before, now))
    return ((q - p) * np.log(q / p)).sum(axis=-1)


def _permuted(pooled: np.ndarray, m: int, found: float, draws: int, rng: np.random.Generator) -> float:
    drawn = rng.multivariate_hypergeometric(pooled, m, size=draws, method="marginals")
    # the observed split counts as one of the draws; rounding must not make an equal one smaller
    as_far = (_psi(pooled - drawn, drawn) >= found * (1 - 1e-9)).sum()
    return float((as_far + 1) / (draws + 1))
