"""Regression of scores on one prediction, with errors robust to unequal variances."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from propensity.errors import InputError
from propensity.evaluation.checks import checked_vectors, checked_weight, varying
from propensity.evaluation.estimate import Estimate, estimate_with_error


class BestLinearPredictor(NamedTuple):
    """What predicted effects say of true ones.

    Attributes
    ----------
    mean_effect : Estimate
        Of all people, in units of the outcome.
    heterogeneity : Estimate
        Slope of the true effect on the predicted one: 0 where the prediction tells nobody apart, 1 where it is right
        on average at every value.
    p_value : float
        One-sided, that the slope is not above 0: predictions that order people wrongly are no evidence for them.
    """

    mean_effect: Estimate
    heterogeneity: Estimate
    p_value: float


class Regression(NamedTuple):
    """Least squares on 1 and a centred prediction.

    Attributes
    ----------
    mean, slope : Estimate
    covariance : array (2, 2)
        Of both.
    """

    mean: Estimate
    slope: Estimate
    covariance: np.ndarray


def best_linear_predictor(
    gain: object, predicted: object, level: float = 0.95, weight: object = None
) -> BestLinearPredictor:
    """Test whether predicted effects tell people apart: regress gain on [1, predicted - mean predicted].

    Parameters
    ----------
    gain : array-like (n,)
        Doubly robust score of an action minus that of control.
    predicted : array-like (n,)
        Predicted effect of that action, in the same unit, made by a model that saw none of these people. With
        cross-fitted predictions of the same people the test is not of its size: each fold's prediction is made of the
        other folds' outcomes, which are scored too. Predict people who were not learnt from.
    level : float
        Confidence of the intervals.
    weight : array-like (n,), optional
        Weight of each person.

    Raises
    ------
    InputError
        Lengths differ, a number is missing, all predictions are equal, or a weight is faulty.

    Notes
    -----
    Least squares with errors robust to unequal variances (HC3), as grf's ``test_calibration``. Doubly robust scores
    take the place of the weighted regression of the paper: both have E[gain | x] = effect(x).

    References
    ----------
    Chernozhukov, Demirer, Duflo, Fernandez-Val (2018), Generic machine learning inference on heterogeneous treatment
    effects in randomized experiments, section 3; Econometrica 93 (2025).
    """
    gains, predictions = checked_vectors(gain=gain, predicted=predicted)
    fitted = regress(gains, predictions, weight, level)
    return BestLinearPredictor(fitted.mean, fitted.slope, fitted.slope.p_value_above_0)


def regress(response: np.ndarray, predicted: np.ndarray, weight: object, level: float) -> Regression:
    """Regress on 1 and the prediction minus its mean, with HC3 errors.

    Raises
    ------
    InputError
        All predictions are equal, or a weight is faulty.
    """
    weights = checked_weight(weight, len(response))
    if not varying(predicted[weights > 0]):
        raise InputError("predicted: expected predictions that differ between people, found the same for all")
    total = weights.sum()
    centred = predicted - weights @ predicted / total
    spread = weights @ centred**2
    mean, slope = float(weights @ response / total), float((weights * centred) @ response / spread)
    leverage = weights * (1 / total + centred**2 / spread)
    # somebody who alone decides the slope has no residual and full leverage
    residual = weights * (response - mean - slope * centred) / np.maximum(1 - leverage, 1e-9)
    influence = np.column_stack([residual / total, residual * centred / spread])
    covariance = influence.T @ influence
    n = int(np.count_nonzero(weights))
    errors = np.sqrt(np.diag(covariance))
    return Regression(
        mean=estimate_with_error(mean, float(errors[0]), n, level),
        slope=estimate_with_error(slope, float(errors[1]), n, level),
        covariance=covariance,
    )
