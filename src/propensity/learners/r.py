"""The R-learner: regress the residual of the outcome on the residual of the action, one model an action."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from propensity.learners._typing import Flags, Matrix, Vector
from propensity.learners.effect_learner import PseudoOutcomeLearner, Rows
from propensity.learners.sample import Sample


class RLearner(PseudoOutcomeLearner):
    """Minimises the R-loss (Nie and Wager 2021, equation 4), each action against control.

    Among the people who were served action a or control, with e = Pr[A=a | X, A in {a, control}] from the given
    propensities and m(x) = e mu(x, a) + (1 - e) mu(x, control), cross-fitted: (Y - m(X)) / (1{A=a} - e) is regressed
    on X with weights (1{A=a} - e)^2.

    Parameters
    ----------
    random_state : int
    n_folds : int
    outcome_settings, effect_settings : TreeSettings, optional
    control : str

    References
    ----------
    Nie, Wager (2021), Quasi-oracle estimation of heterogeneous treatment effects, Biometrika 108.
    """

    def _pseudo_outcomes(self, sample: Sample, mu: Matrix, possible: Flags) -> Iterator[tuple[Rows, Vector, Vector]]:
        for a in range(1, mu.shape[1]):
            pair = np.flatnonzero(possible[:, a - 1] & np.isin(sample.arm, (0, a)))
            e = sample.propensity[pair, a] / (sample.propensity[pair, a] + sample.propensity[pair, 0])
            treatment = (sample.arm[pair] == a) - e
            residual = sample.y[pair] - e * mu[pair, a] - (1 - e) * mu[pair, 0]
            yield pair, residual / treatment, sample.weight[pair] * treatment**2
