"""The mean outcome of each arm, had everybody been in it: from logged probabilities, and adjusted where wanted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from propensity.inference.covariates import ROUNDING, Covariates, Standardised, blocks

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
    squares, cubes : array (n arms,)
        Sums of the squares and cubes of the people's shares of their arm's weight; equal chances: 1 / n and 1 / n^2.
    """

    people: np.ndarray
    means: np.ndarray
    covariance: np.ndarray
    own_variance: np.ndarray
    adjusted: bool
    squares: np.ndarray
    cubes: np.ndarray


class Adjustment:
    """Covariates by which the outcomes of an experiment are adjusted; what several comparisons need is worked out once.

    Parameters
    ----------
    covariates : Covariates, DataFrame or array (n, n columns)
        Numbers known before the decision; a missing one counts as its column's mean.
    outcomes : sequence of arrays (n,)
        That will be compared. Others may be, each by itself.
    """

    def __init__(self, covariates: object, outcomes: Sequence[np.ndarray] = ()) -> None:
        self.covariates = Covariates.of(covariates)
        self._outcomes = list(outcomes)
        self._made: list[tuple[np.ndarray, np.ndarray, list[Fit]]] = []

    @classmethod
    def of(cls, covariates: object) -> Adjustment:
        """An adjustment, or one by a table."""
        return covariates if isinstance(covariates, Adjustment) else cls(covariates)

    def __len__(self) -> int:
        return len(self.covariates)

    @cached_property
    def known(self) -> Standardised:
        """The covariates on one scale."""
        return Standardised(self.covariates)

    def of_people(self, people: np.ndarray) -> Adjustment:
        """The same for some people (bool, (n,))."""
        return self if people.all() else Adjustment(self.covariates.of_people(people))

    def fit(self, y: np.ndarray, rows: np.ndarray, weight: np.ndarray) -> Fit:
        """The regression of an outcome within an arm; those of all outcomes are made together."""
        place = next((k for k, other in enumerate(self._outcomes) if np.array_equal(y, other)), None)
        if place is None:
            return _fits([y], rows, weight, self.known)[0]
        # millions of equal weights are kept as one
        key = rows.astype(np.int32), weight[:1] if (weight == weight[0]).all() else weight
        for *before, made in self._made:
            if all(map(np.array_equal, before, key)):
                return made[place]
        made = _fits(self._outcomes, rows, weight, self.known)
        self._made.append((*key, made))
        return made[place]


def arm_means(y: np.ndarray, arm: np.ndarray, chances: Sequence[np.ndarray], covariates: object = None) -> ArmMeans:
    """Means of all arms over the same people, with their joint error.

    Parameters
    ----------
    y : array (n,)
        Outcome, 0/1 or an amount.
    arm : int array (n,)
        Position of the person's arm in ``chances``; any other number: another arm, which does not count.
    chances : sequence of n arms arrays (n,)
        Logged probability of each arm, above 0 for everybody.
    covariates : Adjustment, DataFrame or array (n, n columns), optional
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
    adjustment = None if covariates is None else Adjustment.of(covariates)
    rows = [np.flatnonzero(arm == a) for a in range(len(chances))]
    people = np.array([len(r) for r in rows])
    weights = [1 / chance[r] for r, chance in zip(rows, chances, strict=True)]
    squares, cubes = (np.array([_power_of_shares(w, power) for w in weights]) for power in (2, 3))
    columns = 0 if adjustment is None else len(adjustment.covariates.columns)
    if adjustment is None or columns == 0 or people.min() < PEOPLE_PER_COVARIATE * (columns + 1):
        plain = [_plain(y[r], w) for r, w in zip(rows, weights, strict=True)]
        means, own = (np.array(values) for values in zip(*plain, strict=True))
        return ArmMeans(people, means, np.diag(own), own, False, squares, cubes)
    fits = [adjustment.fit(y, r, w) for r, w in zip(rows, weights, strict=True)]
    slopes, own = np.array([x.coefficients[1:] for x in fits]), np.array([x.variance for x in fits])
    shared = slopes @ adjustment.known.covariance @ slopes.T / len(y)
    means = np.array([x.coefficients[0] for x in fits])
    return ArmMeans(people, means, shared + np.diag(own), own, True, squares, cubes)


def _power_of_shares(weight: np.ndarray, power: int) -> float:
    """Sum of a power of each weight's share of all; of nobody it is not defined."""
    total = float(weight.sum())
    return float((weight**power).sum()) / total**power if total > 0 else float("nan")


class Fit(NamedTuple):
    """Weighted least squares within an arm: coefficients, intercept first, and the intercept's variance."""

    coefficients: np.ndarray
    variance: float


def _plain(y: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Weighted mean and its variance."""
    total = float(weight.sum())
    if total == 0:
        return 0.0, float("nan")
    mean = float(weight @ y) / total
    leverage = np.maximum(1 - weight / total, ROUNDING)
    return mean, float((weight**2 * (y - mean) ** 2 / leverage).sum()) / total**2


def _fits(outcomes: Sequence[np.ndarray], rows: np.ndarray, weight: np.ndarray, known: Standardised) -> list[Fit]:
    """The regressions of several outcomes on the same covariates."""
    size = known.covariance.shape[0] + 1
    gram, product = np.zeros((size, size)), np.zeros((size, len(outcomes)))
    for block, w in zip(blocks(rows), blocks(weight), strict=True):
        design, y = _design(known, block), np.array([outcome[block] for outcome in outcomes], dtype=float)
        weighted = design * w
        gram += weighted @ design.T
        product += weighted @ y.T
    inverse = np.linalg.pinv(gram, rcond=ROUNDING, hermitian=True)
    coefficients, squares = inverse @ product, np.zeros(len(outcomes))
    for block, w in zip(blocks(rows), blocks(weight), strict=True):
        design, y = _design(known, block), np.array([outcome[block] for outcome in outcomes], dtype=float)
        leverage = w * np.einsum("ij,ij->j", inverse @ design, design)
        squares += (y - coefficients.T @ design) ** 2 @ (w**2 / np.maximum(1 - leverage, ROUNDING))
    variances = squares / float(weight.sum()) ** 2
    return [Fit(*x) for x in zip(coefficients.T, variances.tolist(), strict=True)]


def _design(known: Standardised, rows: np.ndarray) -> np.ndarray:
    return np.vstack([np.ones(len(rows)), known.columns(rows)])
