"""What a policy is worth, on people that no part of its training saw."""

from __future__ import annotations

import numpy as np
import pandas as pd

from propensity.errors import InputError
from propensity.evaluation.checks import checked_table, checked_weight, column_of
from propensity.evaluation.estimate import Estimate, estimate_with_error, mean_estimate, normal_estimate
from propensity.evaluation.scores import dr_scores


def policy_scores(scores: pd.DataFrame, policy: object) -> np.ndarray:
    """Each person's score under a policy, (n,).

    Parameters
    ----------
    scores : DataFrame (n, n actions)
        Doubly robust scores.
    policy : array-like (n,) of labels | DataFrame (n, n actions) of probabilities

    Raises
    ------
    InputError
        A label is unknown, shapes differ, probabilities do not sum to 1, or a score is missing.
    """
    values = checked_table(scores, "scores")
    if isinstance(policy, pd.DataFrame):
        return (values * policy_shares(scores, policy)).sum(axis=1)
    return values[np.arange(len(scores)), _columns(scores, policy)]


def policy_value(
    scores: pd.DataFrame,
    policy: object,
    baseline: object = None,
    level: float = 0.95,
    weight: object = None,
    variance: pd.DataFrame | None = None,
) -> Estimate:
    """Value of a policy per person, or its paired difference from another policy.

    Parameters
    ----------
    scores : DataFrame (n, n actions)
        Doubly robust scores (see `dr_scores`), in the unit of the value.
    policy, baseline : array-like (n,) of labels | DataFrame (n, n actions) of probabilities
        Without a baseline the policy's own value is estimated.
    level : float
        Confidence of the interval.
    weight : array-like (n,), optional
        Weight of each person.
    variance : DataFrame (n, n actions), optional
        That each score has if its outcome model is right, in squared units of the scores: of Y under the action, over
        the chance of the action. The standard error is never below what follows from it.

    Returns
    -------
    Estimate
        In the unit of the scores, per person. Paired: both policies are scored on the same people, so what they
        share cancels.

    Notes
    -----
    People who were decided on by another policy seldom got what this one would give them. Where none of those few came
    back, scores are hardly more than predictions, whose spread is no measure of the error: the interval is then too
    narrow without ``variance``, and most so where the value is most wrong.

    References
    ----------
    Dudik, Langford, Li (2011), Doubly robust policy evaluation and learning, ICML.
    """
    values = policy_scores(scores, policy)
    if baseline is not None:
        values = values - policy_scores(scores, baseline)
    estimate = mean_estimate(values, level, weight)
    if variance is None:
        return estimate
    shares = policy_shares(scores, policy) - (0.0 if baseline is None else policy_shares(scores, baseline))
    return with_least_error(estimate, shares, variance[list(scores.columns)], weight)


def with_least_error(estimate: Estimate, shares: np.ndarray, variance: pd.DataFrame, weight: object = None) -> Estimate:
    """An estimate whose standard error is at least what follows from the variance that scores should have.

    Parameters
    ----------
    estimate : Estimate
        Of the mean over people of a sum of their scores.
    shares : array (n, n actions)
        How much each score counts in a person's sum.
    variance : DataFrame (n, n actions)
        As for `policy_value`.
    weight : array-like (n,), optional
        Weight of each person.
    """
    # of one person's scores at most one differs from what was expected: they do not vary together
    of_person = (shares**2 * checked_table(variance, "variance")).sum(axis=1)
    weights = checked_weight(weight, len(of_person))
    least = float(np.sqrt(weights**2 @ of_person) / weights.sum())
    return estimate_with_error(estimate.value, max(least, estimate.standard_error), estimate.n, estimate.level)


def ips_value(
    y: object,
    action: object,
    propensity: pd.DataFrame,
    policy: object,
    baseline: object = None,
    level: float = 0.95,
    weight: object = None,
) -> Estimate:
    """Value of a policy by inverse propensity scores: needs no model of the outcome, unbiased, and noisiest.

    Parameters
    ----------
    y : array-like (n,)
        Observed outcome.
    action : array-like (n,)
        Label of the served action.
    propensity : DataFrame (n, n actions)
        Logged probability of each action.
    policy, baseline, level, weight
        As for `policy_value`.

    Raises
    ------
    InputError
        As `dr_scores` and `policy_scores`.

    Notes
    -----
    Mean of pi(A_i | x_i) / e(A_i | x_i) Y_i: doubly robust scores whose outcome model says 0 for everybody.

    References
    ----------
    Horvitz, Thompson (1952), JASA 47.
    """
    return policy_value(_inverse_scores(y, action, propensity), policy, baseline, level, weight)


def snips_value(
    y: object,
    action: object,
    propensity: pd.DataFrame,
    policy: object,
    baseline: object = None,
    level: float = 0.95,
    weight: object = None,
) -> Estimate:
    """Value of a policy by self-normalised inverse propensity scores: as `ips_value`, divided by the mean ratio.

    The ratios pi / e have mean 1 in expectation only; dividing by their sample mean removes the noise of how many
    happened to be served what the policy says, at a bias of order 1/n. A constant added to ``y`` is added to the value.

    Parameters
    ----------
    y, action, propensity, policy, baseline, level, weight
        As for `ips_value`.

    Returns
    -------
    Estimate
        Its standard error is linearised (delta method): that of the mean of r_i (Y_i - V) / mean(r), r_i = pi / e.
        Against a baseline both linearisations are subtracted person by person.

    Raises
    ------
    InputError
        As `ips_value`, or nobody was served what the policy says.

    References
    ----------
    Hajek (1971). Swaminathan, Joachims (2015), The self-normalized estimator for counterfactual learning, NeurIPS.
    """
    numerators = _inverse_scores(y, action, propensity)
    ratios = _inverse_scores(np.ones(len(numerators)), action, propensity)
    weights = checked_weight(weight, len(numerators))
    value, influence = _self_normalised(numerators, ratios, policy, weights, "policy")
    if baseline is not None:
        other, its_influence = _self_normalised(numerators, ratios, baseline, weights, "baseline")
        value, influence = value - other, influence - its_influence
    return normal_estimate(value, influence, weights, level)


def _columns(scores: pd.DataFrame, policy: object) -> np.ndarray:
    """The column of each person's label, (n,)."""
    labels = np.asarray(policy)
    if labels.shape != (len(scores),):
        raise InputError(f"policy: expected {len(scores)} labels, found shape {labels.shape}")
    return column_of(labels, scores.columns, "policy")


def policy_shares(scores: pd.DataFrame, policy: object) -> np.ndarray:
    """How likely a policy (see `policy_scores`) gives each action to each person, (n, n actions).

    Raises
    ------
    InputError
        As `policy_scores`, but for scores.
    """
    if isinstance(policy, pd.DataFrame):
        chances = policy.reindex(columns=scores.columns).to_numpy(dtype=float)
        if chances.shape != scores.shape or not np.allclose(chances.sum(axis=1), 1.0) or (chances < 0).any():
            raise InputError("policy: expected one probability an action and person, summing to 1 a person")
        return chances
    return (_columns(scores, policy)[:, None] == np.arange(scores.shape[1])).astype(float)


def _inverse_scores(y: object, action: object, propensity: pd.DataFrame) -> pd.DataFrame:
    nothing = pd.DataFrame(0.0, index=propensity.index, columns=propensity.columns)
    return dr_scores(y, action, propensity, nothing)


def _self_normalised(
    numerators: pd.DataFrame, ratios: pd.DataFrame, policy: object, weight: np.ndarray, name: str
) -> tuple[float, np.ndarray]:
    """Value, and the influence (n,) of each person on it."""
    ratio, product = policy_scores(ratios, policy), policy_scores(numerators, policy)
    total = weight @ ratio
    if total <= 0:
        raise InputError(f"{name}: expected somebody who was served what it says, found nobody")
    value = float(weight @ product / total)
    return value, (product - value * ratio) * (weight.sum() / total)
