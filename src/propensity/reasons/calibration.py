"""Scores of reasons made into chances that claim no more than was shown on people the scores had not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize
from scipy.special import log_softmax

from propensity.learners._typing import Matrix, Vector

SLOPE_SPREAD = 1.0
"""Standard deviation of the slope's prior around 1. It only keeps the slope finite where every answer was guessed
right; forty people outweigh it."""

Codes = np.ndarray[tuple[int], np.dtype[np.intp]]


@dataclass(frozen=True)
class ShareCalibration:
    """Turns a tilt t (how much likelier each reason looks than its share, as a log ratio) into chances.

    p = weight x softmax(log shares + slope x t) + (1 - weight) x shares. Temperature scaling (Guo et al. 2017) divides
    all scores, so that a flat temperature ends at equal chances; here it ends at the shares. One slope rather than one
    a reason with levels (vector scaling): reasons that few people gave would set their own by noise. The mix bounds
    the loss from answers that contradict everything. Both are fitted on people whom the scores had not seen, so that
    where these say nothing the slope or the weight is 0 and the chances are the shares.

    Attributes
    ----------
    slope : float
        At least 0.
    weight : float
        From 0 to 1.
    log_loss, share_log_loss : float
        Mean log-loss, in nats, of the chances and of the shares on the people it was fitted on.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger (2017), On calibration of modern neural networks, ICML.
    """

    slope: float
    weight: float
    log_loss: float
    share_log_loss: float

    @classmethod
    def fit(cls, tilt: Matrix, log_shares: Matrix, code: Codes) -> ShareCalibration:
        """Fit the slope first, then the weight.

        Parameters
        ----------
        tilt, log_shares : array (n, reasons)
            From fits that did not see the row.
        code : int array (n,)
            Position of the reason that each person gave.
        """
        row = np.arange(len(code))

        def slope_excess(slope: float) -> float:
            chance = np.exp(log_softmax(log_shares + slope * tilt, axis=1))
            return float(((chance * tilt).sum(axis=1) - tilt[row, code]).sum() + (slope - 1) / SLOPE_SPREAD**2)

        upper = 1.0
        while slope_excess(upper) < 0:
            upper *= 2
        slope = _zero_of_rising(slope_excess, upper)
        share = np.exp(log_shares[row, code])
        excess = np.exp(log_softmax(log_shares + slope * tilt, axis=1)[row, code]) - share

        def weight_excess(weight: float) -> float:
            return float(-(excess / (share + weight * excess)).sum())

        weight = _zero_of_rising(weight_excess, 1.0)
        loss = -np.log(share + weight * excess)
        return cls(slope, weight, float(loss.mean()), float(-np.log(share).mean()))

    @property
    def says_nothing(self) -> bool:
        """Whether the chances are the shares, whatever the scores."""
        return self.slope == 0 or self.weight == 0

    def probabilities(self, tilt: Matrix, shares: Vector) -> Matrix:
        """Chances (n, reasons) of a tilt (n, reasons) around shares (reasons,)."""
        tilted = np.exp(log_softmax(np.log(shares) + self.slope * tilt, axis=1))
        return self.weight * tilted + (1 - self.weight) * shares


def _zero_of_rising(function: Callable[[float], float], upper: float) -> float:
    """Where a function that does not fall meets 0 between 0 and ``upper``; the nearer bound where it does not."""
    if function(0.0) >= 0:
        return 0.0
    if function(upper) <= 0:
        return upper
    return float(optimize.brentq(function, 0.0, upper))
