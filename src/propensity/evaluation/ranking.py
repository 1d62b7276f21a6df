"""How well predicted effects rank people: Qini curve, TOC, AUTOC, QINI, AUUC.

All take ``gain`` (n,), each person's doubly robust score of the action that they would get minus that of control, and
``priority`` (n,), the prediction that ranks them (highest first). People with equal priority count as one group: their
gains are replaced by the group's mean, so that the order of rows never matters. Where people have weights, a weight
counts as so many equal people.

Every area is an integral over the share u of people treated, sum over groups k of m_k (W(b_k) - W(a_k)): a group lies
at the shares from a_k to b_k, m_k is its mean gain, and W integrates the weight w(u) that the area gives to rank u.
Its error allows for the ranks being estimated too: adding a person moves everybody behind them. The influence of a
person with gain G in group k is

    mean weight of the group x (G - m_k) + m_k w(b_k) + sum over groups l > k of m_l (w(b_l) - w(a_l)),

the sample's version of w(U) G + integral from U to 1 of w'(u) E[G | u] du.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from propensity.errors import InputError
from propensity.evaluation.checks import checked_level, checked_vectors, checked_weight
from propensity.evaluation.estimate import Estimate, normal_estimate

SHARES = tuple(np.arange(1, 21) / 20)
"""Shares at which a TOC curve is drawn unless others are named."""


class Ranking(NamedTuple):
    """People sorted by priority, highest first, in groups of equal priority.

    Attributes
    ----------
    gain, weight : array (n,)
        In sorted order.
    group : int array (n,)
        Group of each, counted from 0.
    edges : array (n groups + 1,)
        Shares of people (of total weight) at which groups begin and end, from 0 to 1.
    means : array (n groups,)
        Mean gain of each.
    """

    gain: np.ndarray
    weight: np.ndarray
    group: np.ndarray
    edges: np.ndarray
    means: np.ndarray

    @property
    def cumulative(self) -> np.ndarray:
        """Gain (n groups + 1,) per person of the whole population of treating each edge's share."""
        return np.concatenate([[0.0], np.cumsum(np.diff(self.edges) * self.means)])


def rank(gain: object, priority: object, weight: object = None) -> Ranking:
    """Sort people by priority.

    Raises
    ------
    InputError
        Lengths differ, a number is missing, there are fewer than 2 people, or a weight is faulty.
    """
    gains, priorities = checked_vectors(gain=gain, priority=priority)
    weights = checked_weight(weight, len(gains))
    order = np.argsort(-priorities, kind="stable")
    order = order[weights[order] > 0]
    gains, weights, priorities = gains[order], weights[order], priorities[order]
    first = np.flatnonzero(np.concatenate([[True], priorities[1:] != priorities[:-1]]))
    group = np.repeat(np.arange(len(first)), np.diff(first, append=len(order)))
    sizes = np.add.reduceat(weights, first)
    cumulative = np.cumsum(sizes)
    edges = np.concatenate([[0.0], cumulative / cumulative[-1]])
    return Ranking(gains, weights, group, edges, np.add.reduceat(weights * gains, first) / sizes)


def qini_curve(gain: object, priority: object, weight: object = None) -> pd.DataFrame:
    """Cumulative gain of treating the first share of people.

    Returns
    -------
    DataFrame (n + 1, 3)
        ``share`` of people treated (0 to 1), ``gain`` per person of the whole population, in units of the outcome,
        and ``random`` the gain of treating the same share at random. People of weight 0 have no row.
    """
    ranking = rank(gain, priority, weight)
    share = np.concatenate([[0.0], np.cumsum(ranking.weight)])
    cumulative = np.concatenate([[0.0], np.cumsum(ranking.weight * ranking.means[ranking.group])]) / share[-1]
    share /= share[-1]
    return pd.DataFrame({"share": share, "gain": cumulative, "random": share * cumulative[-1]})


def qini_points(
    gain: object, priority: object, shares: object = SHARES, level: float = 0.95, weight: object = None
) -> pd.DataFrame:
    """`qini_curve` at some shares of people, with intervals.

    Parameters
    ----------
    gain, priority, weight : array-like (n,)
    shares : array-like (k,)
        Increasing shares of people, above 0 and up to 1.
    level : float
        Confidence of the intervals, each at one share.

    Returns
    -------
    DataFrame (k, 9)
        ``share``, ``gain``, ``standard_error``, ``low``, ``high`` and ``random`` per person of the whole population;
        ``over_random`` is the paired difference of gain and random, with ``_low`` and ``_high``.

    Notes
    -----
    The difference from random is share x TOC. The influence on the gain is 1{U <= q} (G - g) + q g less the gain, with
    g as for `toc_curve`.

    References
    ----------
    Yadlowsky et al. (2025), as for `autoc_score`.
    """
    share = _checked_shares(shares)
    ranking = rank(gain, priority, weight)
    found, all_gain = np.interp(share, ranking.edges, ranking.cumulative), ranking.cumulative[-1]
    errors = {
        of: np.sqrt(np.diag(_covariance(ranking, share, against_random=of == "over_random")))
        for of in ("gain", "over_random")
    }
    half = {of: stats.norm.ppf(0.5 + checked_level(level) / 2) * error for of, error in errors.items()}
    over_random = found - share * all_gain
    return pd.DataFrame(
        {
            "share": share,
            "gain": found,
            "standard_error": errors["gain"],
            "low": found - half["gain"],
            "high": found + half["gain"],
            "random": share * all_gain,
            "over_random": over_random,
            "over_random_low": over_random - half["over_random"],
            "over_random_high": over_random + half["over_random"],
        }
    )


def autoc_score(gain: object, priority: object, level: float = 0.95, weight: object = None) -> Estimate:
    """Area under the targeting operator characteristic.

    AUTOC = integral over q of TOC(q) dq with TOC(q) = mean gain of the first share q minus the mean gain of all.
    It weighs the very first people most: powerful where few respond.

    Notes
    -----
    Its weight is w(u) = -log(u) - 1. The integral is exact; grf sums TOC at each person instead, which differs by terms
    of the order log(n) / n.

    References
    ----------
    Yadlowsky, Fleming, Shah, Brunskill, Wager (2025), Evaluating treatment prioritization rules via rank-weighted
    average treatment effects, JASA 120.
    """
    ranking = rank(gain, priority, weight)
    share = ranking.edges[1:]
    return _area(ranking, np.concatenate([[0.0], -share * np.log(share)]), -np.log(share) - 1, level)


def qini_score(gain: object, priority: object, level: float = 0.95, weight: object = None) -> Estimate:
    """QINI = integral over q of q TOC(q) dq: the area between the Qini curve and random targeting.

    The definition of grf and EconML. Powerful where responses are spread over many people.

    Notes
    -----
    Its weight is w(u) = 1/2 - u.

    References
    ----------
    Yadlowsky et al. (2025), as for `autoc_score`.
    """
    ranking = rank(gain, priority, weight)
    share = ranking.edges
    return _area(ranking, share * (1 - share) / 2, 0.5 - share[1:], level)


def auuc_score(gain: object, priority: object, level: float = 0.95, weight: object = None) -> Estimate:
    """Area under the uplift curve: QINI plus half the mean gain of all.

    AUUC = integral over q of V(q) dq, V(q) = gain per person of the whole population of treating the first share q: the
    mean gain of a policy whose budget is unknown. Unlike QINI it moves with the mean gain. Not normalised.

    Notes
    -----
    Its weight is w(u) = 1 - u.

    References
    ----------
    Gutierrez, Gerardy (2017), Causal inference and uplift modelling: a review of the literature, PMLR 67.
    """
    ranking = rank(gain, priority, weight)
    share = ranking.edges
    return _area(ranking, share * (1 - share / 2), 1 - share[1:], level)


def _area(ranking: Ranking, integral: np.ndarray, weight_at_end: np.ndarray, level: float) -> Estimate:
    """Area with its interval from W at all edges (n groups + 1,) and w at each group's end (n groups,)."""
    inside = np.diff(integral)
    mean_weight = inside / np.diff(ranking.edges)
    # nobody is behind the last group; the first begins where w may be infinite, and is never behind anybody
    behind = np.zeros(len(ranking.means))
    behind[:-1] = np.cumsum((ranking.means[1:] * np.diff(weight_at_end))[::-1])[::-1]
    of_group = ranking.means * (weight_at_end - mean_weight) + behind
    influence = mean_weight[ranking.group] * ranking.gain + of_group[ranking.group]
    influence -= np.average(influence, weights=ranking.weight)
    return normal_estimate(float(ranking.means @ inside), influence, ranking.weight, level)


def toc_curve(
    gain: object,
    priority: object,
    shares: object = SHARES,
    level: float = 0.95,
    weight: object = None,
    random_state: int = 0,
) -> pd.DataFrame:
    """Targeting operator characteristic: how much more the first share of people gain than all, with bands.

    Parameters
    ----------
    gain, priority, weight : array-like (n,)
    shares : array-like (k,)
        Increasing shares of people, above 0 and up to 1.
    level : float
        Confidence of both bands.
    random_state : int
        Of the 20,000 normal draws from which the width of the simultaneous band comes.

    Returns
    -------
    DataFrame (k, 7)
        ``share``, ``toc`` (units of the outcome, per person treated), ``standard_error``; ``low`` and ``high`` hold the
        true value at one share with confidence ``level`` (pointwise); ``low_all`` and ``high_all`` hold the true values
        at all k shares at once with that confidence (simultaneous, sup-t).

    Notes
    -----
    The influence on TOC(q) is [1{U <= q} (G - g) + q g] / q - G, where g is the gain of those at the margin q, taken
    from a window of n^(-1/3) / 2 on either side.

    References
    ----------
    Yadlowsky et al. (2025), as for `autoc_score`. Montiel Olea, Plagborg-Moller (2019), Simultaneous confidence bands,
    Journal of Applied Econometrics 34.
    """
    share = _checked_shares(shares)
    ranking = rank(gain, priority, weight)
    covariance = _covariance(ranking, share, against_random=True) / np.outer(share, share)
    error = np.sqrt(np.diag(covariance))
    toc = np.interp(share, ranking.edges, ranking.cumulative) / share - ranking.cumulative[-1]
    pointwise = stats.norm.ppf(0.5 + level / 2)
    simultaneous = max(pointwise, _sup_t(covariance, level, random_state))
    return pd.DataFrame(
        {
            "share": share,
            "toc": toc,
            "standard_error": error,
            "low": toc - pointwise * error,
            "high": toc + pointwise * error,
            "low_all": toc - simultaneous * error,
            "high_all": toc + simultaneous * error,
        }
    )


def _checked_shares(shares: object) -> np.ndarray:
    (share,) = checked_vectors(shares=shares, minimum=1)
    if share[0] <= 0 or share[-1] > 1 or (np.diff(share) <= 0).any():
        raise InputError("shares: expected increasing numbers above 0 and up to 1")
    return share


def _covariance(ranking: Ranking, share: np.ndarray, *, against_random: bool) -> np.ndarray:
    """Of the gains (k, k) of treating the first shares of people, or of these less those of as many at random."""
    window = len(ranking.gain) ** (-1 / 3) / 2
    around = np.clip([share - window, share + window], 0.0, 1.0)
    below, above = np.interp(around, ranking.edges, ranking.cumulative)
    margin = (above - below) / (around[1] - around[0])
    ends, cumulative = ranking.edges, ranking.cumulative
    level_at = np.interp(share, ends, cumulative)
    products = np.zeros((len(share), len(share)))
    n = len(ranking.gain)
    for start in range(0, n, 50_000):
        rows = slice(start, start + 50_000)
        group, gain = ranking.group[rows], ranking.gain[rows, None]
        begin, end = ends[group, None], ends[group + 1, None]
        treated = np.clip((share - begin) / (end - begin), 0.0, 1.0)
        influence = treated * (gain - margin) + share * margin - level_at
        if against_random:
            influence -= share * (gain - cumulative[-1])
        influence *= ranking.weight[rows, None]
        products += influence.T @ influence
    return products * n / (n - 1) / ranking.weight.sum() ** 2


def _sup_t(covariance: np.ndarray, level: float, random_state: int) -> float:
    """Quantile of the largest absolute t-statistic; shares without error (all people) are left out."""
    error = np.sqrt(np.diag(covariance))
    uncertain = error > 1e-9 * error.max(initial=0.0)
    if not uncertain.any():
        return 0.0
    correlation = covariance[np.ix_(uncertain, uncertain)] / np.outer(error[uncertain], error[uncertain])
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    draws = np.random.default_rng(random_state).normal(size=(20_000, len(root))) @ root.T
    return float(np.quantile(np.abs(draws).max(axis=1), level))
