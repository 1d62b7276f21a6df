"""What a policy is worth, on people that no part of its training saw."""

from __future__ import annotations

import numpy as np
import pandas as pd

from propensity.evaluation.estimate import Estimate, mean_estimate


def policy_scores(scores: pd.DataFrame, policy: object) -> np.ndarray:
    """Each person's score under a policy, (n,).

    Parameters
    ----------
    scores : DataFrame (n, n actions)
        Doubly robust scores.
    policy : array-like (n,) of labels | DataFrame (n, n actions) of probabilities

    Raises
    ------
    ValueError
        A label is unknown, shapes differ, or probabilities do not sum to 1.
    """
    if isinstance(policy, pd.DataFrame):
        chances = policy.reindex(columns=scores.columns).to_numpy(dtype=float)
        if chances.shape != scores.shape or not np.allclose(chances.sum(axis=1), 1.0):
            raise ValueError("policy: expected one probability an action and person, summing to 1 a person")
        return (scores.to_numpy() * chances).sum(axis=1)
    labels = np.asarray(policy)
    if labels.shape != (len(scores),):
        raise ValueError(f"policy: expected {len(scores)} labels, found shape {labels.shape}")
    column = scores.columns.get_indexer(pd.Index(labels))
    if (column < 0).any():
        unknown = sorted(set(map(str, labels[column < 0])))
        raise ValueError(f"policy: expected labels among {', '.join(scores.columns)}, found {', '.join(unknown)}")
    return scores.to_numpy()[np.arange(len(scores)), column]


def policy_value(scores: pd.DataFrame, policy: object, baseline: object = None, level: float = 0.95) -> Estimate:
    """Value of a policy per person, or its paired difference from another policy.

    Parameters
    ----------
    scores : DataFrame (n, n actions)
        Doubly robust scores (see `dr_scores`), in the unit of the value.
    policy, baseline : array-like (n,) of labels | DataFrame (n, n actions) of probabilities
        Without a baseline the policy's own value is estimated.
    level : float
        Confidence of the interval.

    Returns
    -------
    Estimate
        In the unit of the scores, per person. Paired: both policies are scored on the same people, so what they
        share cancels.

    References
    ----------
    Dudik, Langford, Li (2011), Doubly robust policy evaluation and learning, ICML.
    """
    values = policy_scores(scores, policy)
    if baseline is not None:
        values = values - policy_scores(scores, baseline)
    return mean_estimate(values, level)
