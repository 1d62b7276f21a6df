"""What to expect of an arm that was chosen because it looked best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from propensity.errors import InputError
from propensity.inference.lift import Lift


class Shrunk(NamedTuple):
    """Result of `shrunk_effects`.

    Attributes
    ----------
    differences : tuple of float
        In the order given, drawn towards ``centre``.
    centre : float
        Mean effect of the arms, each by its precision.
    between_arms : float
        Standard deviation of the true effects, as estimated; 0: the arms cannot be told from one another, and all
        differences are the centre.
    """

    differences: tuple[float, ...]
    centre: float
    between_arms: float


def shrunk_effects(
    differences: Sequence[float], standard_errors: Sequence[float], control_error: float = 0.0
) -> Shrunk:
    """Effects drawn towards the arms' mean by how much of their spread is chance.

    Parameters
    ----------
    differences : array-like (n arms,)
        Each arm minus control.
    standard_errors : array-like (n arms,)
        Of the differences.
    control_error : float
        Standard error of the control's mean, which all differences share; it moves all arms alike and so is no reason
        to draw them together. 0 where each has its own control.

    Returns
    -------
    Shrunk
        A single arm stays as it is: nothing was picked.

    Raises
    ------
    InputError
        Lengths differ, there is no arm, or an error is missing, negative or smaller than the control's.

    Notes
    -----
    Empirical Bayes of the James-Stein type: true effects are taken to be normal around a common mean with variance
    tau^2, estimates to be normal around the true effects (Efron and Morris 1975, JASA 70; Morris 1983, JASA 78). With
    s_a^2 the variance that arm a's own people bring, the shown effect is m + tau^2 / (tau^2 + s_a^2) (d_a - m), which
    is the posterior mean under the joint normal model with the shared error of the control. tau^2 is that of Paule and
    Mandel (1982): sum (d_a - m)^2 / (tau^2 + s_a^2) equals the number of arms less one, or 0 where it is less even at
    0. It assumes that before looking any arm could have been the best: an arm that is of another kind than the others
    is drawn too far. With two or three arms tau^2 is rough.
    """
    d, errors = np.asarray(differences, dtype=float), np.asarray(standard_errors, dtype=float)
    if d.shape != errors.shape or d.ndim != 1 or len(d) == 0:
        raise InputError(f"differences and standard_errors: expected one each an arm, found {d.shape}, {errors.shape}")
    own = errors**2 - control_error**2
    # rounding may leave an arm a little less than the control's part
    if not (np.isfinite(d).all() and (own >= -1e-12 * errors**2).all() and control_error >= 0):
        raise InputError(
            f"standard_errors: expected numbers from the control's {control_error} up, found {errors.tolist()}"
        )
    own = np.maximum(own, 1e-12 * max(float(np.ptp(d)) ** 2, float((errors**2).max()), 1e-300))
    if len(d) == 1:
        return Shrunk((float(d[0]),), float(d[0]), 0.0)
    tau2 = _between(d, own)
    weight = 1 / (tau2 + own)
    centre = float(weight @ d / weight.sum())
    return Shrunk(tuple((centre + tau2 * weight * (d - centre)).tolist()), centre, float(np.sqrt(tau2)))


def shrunk_lifts(lifts: Sequence[Lift]) -> Shrunk:
    """`shrunk_effects` of what `lift` found.

    Parameters
    ----------
    lifts : sequence of Lift
        The arms of one experiment, one outcome.
    """
    shared = min((x.control_error for x in lifts), default=0.0)
    return shrunk_effects([x.difference for x in lifts], [x.standard_error for x in lifts], shared)


def _between(d: np.ndarray, own: np.ndarray) -> float:
    """Variance of the true effects (Paule and Mandel)."""

    def excess(tau2: float) -> float:
        weight = 1 / (tau2 + own)
        centre = weight @ d / weight.sum()
        return float(weight @ (d - centre) ** 2 - (len(d) - 1))

    if excess(0.0) <= 0:
        return 0.0
    # at this variance the sum is at most half of what it must be
    return float(brentq(excess, 0.0, 2 * float(((d - d.mean()) ** 2).sum())))
