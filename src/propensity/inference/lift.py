"""What each arm brought above the control, and whether arms differ from one another, with intervals."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from propensity.errors import InputError
from propensity.evaluation.checks import checked_level
from propensity.evaluation.estimate import Estimate
from propensity.inference.arm_means import Adjustment, ArmMeans, arm_means
from propensity.inference.fieller import relative_change
from propensity.inference.labels import Labels, labels_of, positions
from propensity.inference.skewness import normalised, skewness_of_difference, studentised_quantiles


class Lift(NamedTuple):
    """An arm against the control.

    Attributes
    ----------
    action : str
    n, n_control : int
        People who were in the arm and in the control, among those who could have got either.
    mean, control_mean : float
        Outcome per person, in units of the outcome, adjusted as the difference is.
    difference, low, high : float
        Mean minus control mean and its interval.
    relative : Estimate or None
        Difference over control mean, with Fieller's interval; None where the control mean cannot be told from 0.
    p_value : float
        Two-sided, that there is no difference.
    level : float
        Confidence of the intervals.
    standard_error : float
        Of the difference.
    control_error : float
        Standard error that the people of the control alone give the difference: all arms share it.
    unadjusted : Estimate
        The difference without adjustment for covariates.
    adjusted : bool
        Whether covariates were used.
    """

    action: str
    n: int
    n_control: int
    mean: float
    control_mean: float
    difference: float
    low: float
    high: float
    relative: Estimate | None
    p_value: float
    level: float
    standard_error: float
    control_error: float
    unadjusted: Estimate
    adjusted: bool


class ArmComparison(NamedTuple):
    """Result of `compare_arms`.

    Attributes
    ----------
    p_value : float
        That all arms have the same mean.
    statistic : float
        Wald's, chi-square.
    degrees_of_freedom : int
    best, worst : str
        Arms with the highest and the lowest mean.
    difference : Estimate
        Best minus worst, units of the outcome; its interval allows for their having been picked.
    people : int
        Who could have got any of the arms.
    adjusted : bool
        Whether covariates were used.
    """

    p_value: float
    statistic: float
    degrees_of_freedom: int
    best: str
    worst: str
    difference: Estimate
    people: int
    adjusted: bool


def lift(
    y: object,
    action: object,
    propensity: pd.DataFrame,
    *,
    control: str = "control",
    level: float = 0.95,
    covariates: object = None,
) -> list[Lift]:
    """Difference of each arm from the control.

    Parameters
    ----------
    y : array-like (n,)
        Outcome, 0/1 or an amount.
    action : array-like (n,)
    propensity : DataFrame (n, n actions)
        Logged probabilities.
    control : str
    level : float
        Confidence of the intervals.
    covariates : array-like (n, n columns) or Adjustment, optional
        Numbers or 0/1 that were known before the decision; differences are adjusted by them. A missing one counts as
        its column's mean. One `Adjustment` for several outcomes and comparisons saves most of the time.

    Returns
    -------
    list of Lift
        One an action besides control, in the order of the columns of ``propensity``. Arms with fewer than two people
        are left out, as are all where the control has fewer.

    Raises
    ------
    InputError
        The lengths differ, or the level is not between 0 and 1.

    Notes
    -----
    See `arm_means`: a stabilised inverse-probability estimate (Hajek 1971), or with covariates the doubly robust one
    with linear outcome models within each arm (Lin 2013). Only people for whom arm and control both had a chance count.
    With the same probabilities for everybody and no covariates the difference is that of the arms' plain means. Bounds
    and p-values are normal. Of a rare 0/1 outcome in arms of unequal size the skewness is taken out (`skewness`), or a
    small control would promise too much twice as often as stated; of amounts it is not: few large ones do not tell it.
    """
    checked_level(level)
    outcome, arm, columns, known = _checked(y, action, propensity, covariates)
    labels = list(propensity.columns)
    first = labels.index(control)
    values = _two_values(outcome)
    found: dict[int, Lift] = {}
    for pool, arms in _pools(columns, first):
        enough = [a for a in arms if (arm[pool] == a).sum() >= 2]
        if not enough or (arm[pool] == first).sum() < 2:
            continue
        plain, best = _means(outcome, arm, columns, known, pool, [first, *enough])
        for k, a in enumerate(enough, start=1):
            found[a] = _against_control(str(labels[a]), plain, best, k, level, values)
    return [found[a] for a in sorted(found)]


def compare_arms(
    y: object,
    action: object,
    propensity: pd.DataFrame,
    *,
    control: str = "control",
    level: float = 0.95,
    covariates: object = None,
) -> ArmComparison | None:
    """Whether the contacted arms differ from one another, and by how much the best exceeds the worst.

    Parameters
    ----------
    y, action, propensity, control, level, covariates
        See `lift`. Only people for whom all arms that were used had a chance count.

    Returns
    -------
    ArmComparison or None
        None with fewer than two arms of at least two such people.

    Notes
    -----
    Wald test of equal means. The interval is that of Tukey and Kramer (1956) for all pairs of arms at once, so that it
    holds for the pair that looks best and worst, whichever it is; for unequal groups it is a little too wide (Hayter
    1984, Annals of Statistics 12).
    """
    checked_level(level)
    outcome, arm, columns, known = _checked(y, action, propensity, covariates)
    labels = list(propensity.columns)
    counts = np.bincount(arm[arm >= 0], minlength=len(labels))
    used = [a for a in range(len(labels)) if labels[a] != control and counts[a] >= 2]
    if len(used) < 2:
        return None
    pool = np.logical_and.reduce([columns[a] > 0 for a in used])
    if min((arm[pool] == a).sum() for a in used) < 2:
        return None
    _, means = _means(outcome, arm, columns, known, pool, used)
    statistic = _wald_of_equality(means)
    degrees = len(used) - 1
    best, worst = int(np.argmax(means.means)), int(np.argmin(means.means))
    difference, error = _difference(means, best, worst)
    half = _quantile_of_pairs(level, len(used)) * error
    people = int(means.people[[best, worst]].sum())
    return ArmComparison(
        p_value=float(stats.chi2.sf(statistic, degrees)),
        statistic=statistic,
        degrees_of_freedom=degrees,
        best=str(labels[used[best]]),
        worst=str(labels[used[worst]]),
        difference=Estimate(difference, error, difference - half, difference + half, people, level),
        people=int(pool.sum()),
        adjusted=means.adjusted,
    )


@cache
def _quantile_of_pairs(level: float, arms: int) -> float:
    """Of the largest difference between any two of so many arms, in standard errors."""
    return float(stats.studentized_range.ppf(level, arms, np.inf)) / float(np.sqrt(2))


def any_contact(
    action: object, propensity: pd.DataFrame, *, control: str = "control", name: str = "any_contact"
) -> tuple[Labels, pd.DataFrame]:
    """The same experiment with all contacted arms as one.

    Parameters
    ----------
    action : array-like (n,)
    propensity : DataFrame (n, n actions)
    control : str
    name : str
        Of the one arm.

    Returns
    -------
    action : array (n,), or Categorical where ``action`` is one
    propensity : DataFrame (n, 2)
        What `lift` and the others take. The chance of contact is the sum of the arms' chances, so that each person
        counts by how likely it was that they were contacted at all, whatever they got: the effect is that of contact
        as it was handed out.
    """
    chances = _two_arms(propensity, control, name)
    left_alone = np.asarray(labels_of(action) == control)
    if isinstance(action, pd.Categorical):
        return pd.Categorical.from_codes((~left_alone).astype(np.int64), pd.Index([control, name])), chances
    return np.where(left_alone, control, name), chances


def _two_arms(propensity: pd.DataFrame, control: str, name: str) -> pd.DataFrame:
    """Chance of the control, and of any other arm."""
    if len(propensity) > 1 and propensity.to_numpy().strides[0] == 0:
        # a row that is kept once for everybody
        row = _two_arms(propensity.iloc[:1], control, name).to_numpy()
        pair = np.broadcast_to(row, (len(propensity), 2))
        return pd.DataFrame(pair, columns=[control, name], index=propensity.index, copy=False)
    contacted = propensity.drop(columns=control).sum(axis=1)
    return pd.DataFrame({control: propensity[control], name: contacted}, index=propensity.index)


def contact_gain(y: object, action: object, propensity: pd.DataFrame, *, control: str = "control") -> np.ndarray:
    """What contact of any kind, as it was handed out, brought each person, as scores whose means are effects.

    Parameters
    ----------
    y, action, propensity, control
        See `lift`.

    Returns
    -------
    array (n,)
        The doubly robust score of being contacted minus that of not being, units of the outcome; NaN where only one of
        the two had a chance, and for everybody where fewer than two people were contacted, or were not. A mean over
        people estimates the effect among them; of everybody it is that of `lift` with all arms as one.
    """
    labels, pair = any_contact(action, propensity, control=control)
    outcome, arm, columns, _ = _checked(y, labels, pair, None)
    pool = (columns[0] > 0) & (columns[1] > 0)
    gains = np.full(len(arm), np.nan)
    if min((arm[pool] == a).sum() for a in (0, 1)) < 2:
        return gains
    rows = slice(None) if pool.all() else pool
    y_of, arm_of, chances = outcome[rows], arm[rows], [column[rows] for column in columns]
    base, contacted = arm_means(y_of, arm_of, chances).means
    # the difference of the two columns of `score_matrix`
    left_alone = (base - y_of) / chances[0]
    gains[rows] = contacted - base + np.where(arm_of == 1, (y_of - contacted) / chances[1], left_alone)
    return gains


def _checked(
    y: object, action: object, propensity: pd.DataFrame, covariates: object
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray], Adjustment | None]:
    """Outcome, arm as position of its column (-1: none), columns of chances, covariates."""
    outcome = np.asarray(y, dtype=float)
    arm = positions(labels_of(action), propensity.columns)
    known = None if covariates is None else Adjustment.of(covariates)
    lengths = [len(outcome), len(arm), len(propensity)] + ([] if known is None else [len(known)])
    if len(set(lengths)) > 1:
        raise InputError(f"y, action, propensity and covariates: expected the same length, found {lengths}")
    return outcome, arm, [propensity[label].to_numpy(dtype=float) for label in propensity.columns], known


def _pools(columns: list[np.ndarray], control: int) -> list[tuple[np.ndarray, list[int]]]:
    """Who could have got arm and control, with the arms of which that is true; most experiments have one such group."""
    groups: dict[bytes, tuple[np.ndarray, list[int]]] = {}
    for a, chance in enumerate(columns):
        if a != control:
            pool = (columns[control] > 0) & (chance > 0)
            groups.setdefault(pool.tobytes(), (pool, []))[1].append(a)
    return list(groups.values())


def _means(
    y: np.ndarray,
    arm: np.ndarray,
    columns: list[np.ndarray],
    covariates: Adjustment | None,
    pool: np.ndarray,
    used: list[int],
) -> tuple[ArmMeans, ArmMeans]:
    """Means of these arms over these people: plain, and adjusted where there are covariates."""
    rows = slice(None) if pool.all() else pool
    position = np.full(len(columns) + 1, -1, dtype=np.int16)
    position[used] = np.arange(len(used))
    served, chances = position[arm[rows]], [columns[a][rows] for a in used]
    plain = arm_means(y[rows], served, chances)
    if covariates is None:
        return plain, plain
    return plain, arm_means(y[rows], served, chances, covariates.of_people(pool))


def _difference(found: ArmMeans, a: int, b: int) -> tuple[float, float]:
    """Mean of arm a minus that of arm b, and its standard error."""
    variance = found.covariance[a, a] + found.covariance[b, b] - 2 * found.covariance[a, b]
    return float(found.means[a] - found.means[b]), float(np.sqrt(max(variance, 0.0)))


def _two_values(y: np.ndarray) -> tuple[float, float] | None:
    """The two values that an outcome has (0 and 1); None where it has others or but one."""
    if len(y) == 0:
        return None
    low, high = float(y.min()), float(y.max())
    return (low, high) if low < high and bool(((y == low) | (y == high)).all()) else None


def _skewness(found: ArmMeans, k: int, values: tuple[float, float] | None) -> float:
    """Of the difference of arm k from the first, for an outcome of two values; else 0."""
    if values is None:
        return 0.0
    low, high = values
    share, control = ((found.means[[k, 0]] - low) / (high - low)).tolist()
    squares, cubes = (found.squares[k], found.squares[0]), (found.cubes[k], found.cubes[0])
    return float(skewness_of_difference(share, control, squares, cubes))


def _estimate(value: float, error: float, n: int, level: float, skewness: float) -> Estimate:
    below, above = studentised_quantiles(float(stats.norm.ppf(0.5 + level / 2)), skewness)
    return Estimate(value, error, value - below * error, value + above * error, n, level)


def _p_value(difference: float, error: float, skewness: float) -> float:
    """Two-sided, that there is no difference."""
    if error <= 0:
        return 1.0
    return float(2 * stats.norm.sf(abs(normalised(np.array(difference / error), np.array(skewness)))))


def _against_control(
    label: str, plain: ArmMeans, best: ArmMeans, k: int, level: float, values: tuple[float, float] | None
) -> Lift:
    """Arm k against the first one."""
    n, n_control = int(best.people[k]), int(best.people[0])
    (difference, error), skewness = _difference(best, k, 0), _skewness(best, k, values)
    estimate = _estimate(difference, error, n + n_control, level, skewness)
    simple, simple_error = _difference(plain, k, 0)
    pair = [k, 0]
    return Lift(
        action=label,
        n=n,
        n_control=n_control,
        mean=float(best.means[k]),
        control_mean=float(best.means[0]),
        difference=difference,
        low=estimate.low,
        high=estimate.high,
        relative=relative_change(
            float(best.means[k]),
            float(best.means[0]),
            best.covariance[np.ix_(pair, pair)],
            n + n_control,
            level,
            studentised_quantiles(float(stats.norm.ppf(0.5 + level / 2)), skewness),
        ),
        p_value=_p_value(difference, error, skewness),
        level=level,
        standard_error=error,
        control_error=float(np.sqrt(best.own_variance[0])),
        unadjusted=_estimate(simple, simple_error, n + n_control, level, _skewness(plain, k, values)),
        adjusted=best.adjusted,
    )


def _wald_of_equality(found: ArmMeans) -> float:
    """Chi-square that all means are the same; 0 where nothing varies."""
    contrast = np.column_stack([np.ones(len(found.means) - 1), -np.eye(len(found.means) - 1)])
    gaps, variance = contrast @ found.means, contrast @ found.covariance @ contrast.T
    return float(gaps @ np.linalg.pinv(variance, hermitian=True) @ gaps)
