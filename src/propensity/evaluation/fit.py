"""Which of two models' effects come closer to what happened."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from propensity.evaluation.estimate import Estimate, mean_estimate

FIT_LEVEL = 0.5
"""Of the interval by which one model's effects are said to fit better: one in four times they are said so by chance.
Of two that are as good it does no harm to take the later one; one with a part that is wrong is far below."""


def better_fit(
    outcome: np.ndarray,
    action: pd.Series,
    propensity: pd.DataFrame,
    expected: pd.DataFrame,
    effects: Sequence[pd.DataFrame],
) -> Estimate | None:
    """How much smaller the first effects' R-loss is than the second's, per person.

    Parameters
    ----------
    outcome : array (n,)
        Of people whom neither model saw.
    action : Series (n,)
        Served labels.
    propensity, expected : DataFrame (n, actions with control)
        Logged chances, and the outcome expected under each action by a model that favours neither.
    effects : two DataFrames (n, actions without control)
        An action that one does not know has no effect by it.

    Returns
    -------
    Estimate or None
        In squared units of the outcome, at `FIT_LEVEL`; None where both predict the same.

    Notes
    -----
    R-loss: (Y - m(X) - sum_a (1{A=a} - e_a(X)) tau_a(X))^2 with m the mean of ``expected`` over the chances (Nie and
    Wager 2021). The best effects make it smallest, whatever the chances were, and in it two models are told apart by
    far fewer people than in the value of their policies, which rests on the few who happened to get what they would.
    """
    actions = list(propensity.columns)
    served = action.to_numpy(dtype=object)[:, None] == np.array(actions, dtype=object)[None, :]
    chances = propensity.to_numpy()
    treatment = pd.DataFrame(served - chances, columns=actions)
    left = outcome - (chances * expected[actions].to_numpy()).sum(axis=1)
    first, second = (
        (left - (treatment[list(e.columns)].to_numpy() * np.nan_to_num(e.to_numpy())).sum(axis=1)) ** 2 for e in effects
    )
    return None if np.array_equal(first, second) else mean_estimate(second - first, FIT_LEVEL)
