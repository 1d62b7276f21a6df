"""Several tests at once: how sure is a finding that is one of many looked for?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from propensity.errors import InputError
from propensity.evaluation.segments import corrected


class Gatekeeping(NamedTuple):
    """Result of `gatekeeping`: adjusted p-values, in the order given.

    A hypothesis is rejected at level alpha where its adjusted p-value is at most alpha; the chance of any false
    rejection, of primary and secondary ones together, is then at most alpha.
    """

    primary: tuple[float, ...]
    secondary: tuple[float, ...]


def holm(p_values: Sequence[float] | np.ndarray) -> list[float]:
    """Adjusted p-values: the chance of any false finding among all of them is at most their level.

    Parameters
    ----------
    p_values : array-like (n tests,)
        NaN: not tested.

    Returns
    -------
    list of float
        In the order given; NaN where nothing was tested, which does not count as a test.

    Raises
    ------
    InputError
        A value is not between 0 and 1.

    Notes
    -----
    Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian J. Statistics 6: the i-th
    smallest of m is multiplied by m - i + 1 and is no smaller than those before it.
    """
    return corrected(_checked(p_values), "holm").tolist()


def gatekeeping(
    primary: Sequence[float] | np.ndarray, secondary: Sequence[float] | np.ndarray, *, kept: float = 1.0
) -> Gatekeeping:
    """Adjusted p-values where some outcomes are tested only as far as the error of the primary one allows.

    Parameters
    ----------
    primary : array-like (n arms,)
        Of the primary outcome, one an arm.
    secondary : array-like (n tests,)
        Of all other outcomes and their arms; NaN: not tested.
    kept : float
        Share, 0 to 1, of the error that stays with the primary outcome until all its arms are found. With 1 the primary
        outcome is tested as if there were no other, and the others count only once every arm is found. With less, each
        arm that is found passes error on, and the primary outcome is tested a little more strictly.

    Raises
    ------
    InputError
        A p-value is not between 0 and 1, a primary one is missing or there is none, or ``kept`` is not between 0 and 1.

    Notes
    -----
    Multistage gatekeeping (Dmitrienko, Tamhane and Wiens 2008, General multistage gatekeeping procedures, Biometrical
    J. 50): the truncated Holm test of the m primary hypotheses, which compares the i-th smallest p-value with
    alpha (kept / (m - i + 1) + (1 - kept) / m); then Holm's test of the secondary ones at alpha if all primary ones are
    rejected, at alpha (1 - kept) r / m if r of them are. The adjusted p-value is the smallest alpha that rejects.
    """
    if not 0 <= kept <= 1:
        raise InputError(f"kept: expected a share from 0 to 1, found {kept}")
    primary_values = _checked(primary)
    if len(primary_values) == 0 or np.isnan(primary_values).any():
        raise InputError(f"primary: expected a p-value for each arm, found {primary_values.tolist()}")
    first, second = _truncated_holm(primary_values, kept), holm(secondary)
    opens = np.array([0.0, *sorted(first)])
    passed = (1 - kept) * np.arange(len(opens)) / len(first)
    passed[-1] = 1.0
    usable = passed > 0
    # NaN, not tested, stays NaN
    adjusted = [float(np.minimum(np.maximum(opens[usable], p / passed[usable]).min(), 1.0)) for p in second]
    return Gatekeeping(tuple(first), tuple(adjusted))


def _truncated_holm(values: np.ndarray, kept: float) -> list[float]:
    """Adjusted p-values; with ``kept`` of 1 Holm's, of 0 Bonferroni's."""
    m = len(values)
    order = np.argsort(values, kind="stable")
    level = kept / (m - np.arange(m)) + (1 - kept) / m
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] / level), 1.0)
    return adjusted.tolist()


def _checked(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    values = np.asarray(p_values, dtype=float)
    if ((values < 0) | (values > 1)).any():
        raise InputError(f"p_values: expected numbers from 0 to 1, found {values.tolist()}")
    return values
