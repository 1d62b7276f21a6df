"""How many people would tell an effect as large as the one seen from none?"""

from __future__ import annotations

import numpy as np
from scipy import stats

from propensity.errors import InputError
from propensity.evaluation.estimate import Estimate


def people_to_tell(estimate: Estimate, power: float = 0.8) -> float:
    """People with whom an effect as large as an estimate is told from none with a given chance.

    Parameters
    ----------
    estimate : Estimate
        A difference and its error from ``n`` people; more people are taken to come in the same proportions.
    power : float
        Chance that the two-sided test at 1 - ``level`` finds it.

    Returns
    -------
    float
        All people, those seen included; infinite where nothing was seen, NaN where the error is not known.

    Raises
    ------
    InputError
        ``power`` is not between 0 and 1.

    Notes
    -----
    n ((z_{1 - a/2} + z_power) error / value)^2, as errors shrink with the root of n. It takes the effect seen for the
    true one; a true effect that is smaller needs more people. To be used for how long to wait, never for how many
    people a new experiment needs: that follows from the smallest effect worth finding (`required_sample_size`).
    """
    if not 0 < power < 1:
        raise InputError(f"power: expected a chance between 0 and 1, found {power}")
    if estimate.value == 0:
        return float("inf")
    z = stats.norm.ppf(0.5 + estimate.level / 2) + stats.norm.ppf(power)
    return float(np.ceil(estimate.n * (z * estimate.standard_error / estimate.value) ** 2))
