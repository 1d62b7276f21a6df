"""Whom contact moves: effects by segment, each against everybody else, corrected for how many were looked at."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from pandas.api import types
from scipy import stats

from propensity.errors import InputError
from propensity.evaluation.checks import checked_level, checked_table, checked_vectors, checked_weight
from propensity.evaluation.groups import group_means, groups_of_equal_size

Correction = Literal["holm", "benjamini-hochberg"]

MISSING = "missing"
"""Level of those whose value is missing."""


def segment_effects(
    gain: object,
    segments: pd.DataFrame,
    *,
    correction: Correction = "holm",
    minimum: int = 100,
    n_groups: int = 5,
    level: float = 0.95,
    weight: object = None,
) -> pd.DataFrame:
    """Effect in each level of each segment column, and whether it differs from that of everybody else.

    Parameters
    ----------
    gain : array-like (n,) | DataFrame (n, n actions)
        Each person's doubly robust score of an action minus that of control; a table holds one column an action.
    segments : DataFrame (n, n segments)
        What was known of people before the contact. A numeric column with more than ``n_groups`` values is cut into
        groups of equal size. Missing values are a level of their own.
    correction : {"holm", "benjamini-hochberg"}
        Over all rows of the result. Holm: the chance of any false difference stays below a threshold put on
        ``p_adjusted``. Benjamini-Hochberg: the expected share of false ones among those declared does.
    minimum : int
        Levels with fewer people, or with fewer people outside them, are listed but not tested.
    n_groups : int
    level : float
        Confidence of the intervals, which are not corrected.
    weight : array-like (n,), optional
        Weight of each person.

    Returns
    -------
    DataFrame
        One row a level (and action): ``action`` (only where ``gain`` is a table), ``segment``, ``level``, ``n``,
        ``share`` of all people, ``effect``, ``standard_error``, ``low``, ``high`` (units of the outcome, per person),
        ``difference`` from everybody else's effect, ``p_value`` (two-sided, that it is 0), ``p_adjusted``. Levels stand
        in their order, missing last. NaN stands for effects of fewer than ``minimum`` people and for tests not made.

    Raises
    ------
    InputError
        Lengths differ, a gain is missing, a setting is unknown, or a weight is faulty.

    Notes
    -----
    Welch's t-test; with levels of ``minimum`` people its distribution is close to that of skewed scores too.

    References
    ----------
    Welch (1947), Biometrika 34. Holm (1979), Scandinavian Journal of Statistics 6. Benjamini, Hochberg (1995), JRSS 57.
    """
    if correction not in ("holm", "benjamini-hochberg"):
        raise InputError(f"correction: expected holm or benjamini-hochberg, found {correction}")
    gains = _columns(gain)
    n = len(next(iter(gains.values())))
    if len(segments) != n:
        raise InputError(f"gain and segments: expected the same length, found {n} and {len(segments)}")
    weights = checked_weight(weight, n)
    parts = []
    for name, column in segments.items():
        group, levels = _levels(column, n_groups, weights)
        for action, values in gains.items():
            rows = _against_the_rest(values, group, len(levels), weights, minimum, checked_level(level))
            parts.append(pd.DataFrame({"action": action, "segment": str(name), "level": levels, **rows}))
    if not parts:
        raise InputError("segments: expected at least one column, found none")
    table = pd.concat(parts, ignore_index=True)
    table["p_adjusted"] = corrected(table["p_value"].to_numpy(), correction)
    return table if isinstance(gain, pd.DataFrame) else table.drop(columns="action")


def _columns(gain: object) -> dict[str, np.ndarray]:
    if isinstance(gain, pd.DataFrame):
        return {str(a): column for a, column in zip(gain.columns, checked_table(gain, "gain").T, strict=True)}
    return {"": checked_vectors(gain=gain)[0]}


def _levels(column: pd.Series, n_groups: int, weight: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Level (n,) of each person, counted from 0 in order, and what the levels are called."""
    missing = column.isna().to_numpy()
    known = column[~missing]
    if types.is_numeric_dtype(column) and not types.is_bool_dtype(column) and known.nunique() > n_groups:
        values = known.to_numpy(dtype=float)
        inside = groups_of_equal_size(values, n_groups, weight[~missing])
        bounds = pd.Series(values).groupby(inside).agg(["min", "max"])
        levels = [f"{low:g}" if low == high else f"{low:g} to {high:g}" for low, high in bounds.itertuples(index=False)]
    else:
        inside, found = pd.factorize(known, sort=True)
        levels = [f"{x:g}" if isinstance(x, float) else str(x) for x in found]
    group = np.full(len(column), len(levels))
    group[~missing] = inside
    return group, [*levels, MISSING] if missing.any() else levels


def _against_the_rest(
    values: np.ndarray, group: np.ndarray, size: int, weight: np.ndarray, minimum: int, level: float
) -> dict[str, np.ndarray]:
    overall = np.average(values, weights=weight)
    # centred, so that the sums of everybody else can be had by subtraction without losing digits
    centred = values - overall
    inside = group_means(centred, group, size, weight)
    moments = [np.bincount(group, weight**2 * centred**k, size) for k in range(3)]
    others = inside.n.sum() - inside.n
    others_weight = weight.sum() - inside.weight
    tested = (inside.n >= minimum) & (others >= minimum)
    shown = (inside.n >= minimum) & (inside.n > 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = -inside.weight * inside.mean / others_weight
        zeroth, first, second = (m.sum() - m for m in moments)
        squares = np.maximum(second - 2 * mean * first + mean**2 * zeroth, 0.0)
        variance = squares * others / (others - 1) / others_weight**2
        own = inside.standard_error**2
        difference = inside.mean - mean
        freedom = (own + variance) ** 2 / (own**2 / (inside.n - 1) + variance**2 / (others - 1))
        p_value = 2 * stats.t.sf(np.abs(difference) / np.sqrt(own + variance), freedom)
    half = stats.t.ppf(0.5 + level / 2, np.maximum(inside.n - 1, 1)) * inside.standard_error
    effect = inside.mean + overall
    return {
        "n": inside.n,
        "share": inside.weight / weight.sum(),
        "effect": np.where(shown, effect, np.nan),
        "standard_error": np.where(shown, inside.standard_error, np.nan),
        "low": np.where(shown, effect - half, np.nan),
        "high": np.where(shown, effect + half, np.nan),
        "difference": np.where(tested, difference, np.nan),
        "p_value": np.where(tested, p_value, np.nan),
    }


def corrected(p_values: np.ndarray, correction: Correction) -> np.ndarray:
    """Adjusted p-values; those not tested stay NaN and do not count."""
    adjusted = np.full(len(p_values), np.nan)
    tested = ~np.isnan(p_values)
    p = p_values[tested]
    if correction == "benjamini-hochberg":
        adjusted[tested] = stats.false_discovery_control(p) if len(p) else p
        return adjusted
    order = np.argsort(p)
    steps = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    ordered = np.empty(len(p))
    ordered[order] = steps
    adjusted[tested] = ordered
    return adjusted
