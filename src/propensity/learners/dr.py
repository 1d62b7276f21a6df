"""The doubly robust learner: regress doubly robust scores of the effect on the features, one model an action."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from propensity.evaluation.scores import score_matrix
from propensity.learners._typing import Flags, Matrix, Vector
from propensity.learners.effect_learner import PseudoOutcomeLearner, Rows
from propensity.learners.sample import Sample


class DRLearner(PseudoOutcomeLearner):
    """Regression of cross-fitted doubly robust scores (Kennedy 2023).

    Nuisances: mu(x, a) = E[Y | X=x, A=a], cross-fitted over ``n_folds``, and e(x, a) = Pr[A=a | X=x], as given.
    Pseudo-outcome of action a: G(a) - G(control) with G(a) = mu(x, a) + 1{A=a}/e(x, a) (Y - mu(x, a)).
    The effect is its regression on X.

    Parameters
    ----------
    random_state : int
    n_folds : int
    outcome_settings, effect_settings : TreeSettings, optional
    control : str

    References
    ----------
    Kennedy (2023), Towards optimal doubly robust estimation of heterogeneous causal effects, EJS 17.
    """

    def _pseudo_outcomes(self, sample: Sample, mu: Matrix, possible: Flags) -> Iterator[tuple[Rows, Vector, Vector]]:
        scores = score_matrix(sample.y, sample.arm, sample.propensity, mu)
        for a in range(1, scores.shape[1]):
            rows = np.flatnonzero(possible[:, a - 1])
            yield rows, (scores[:, a] - scores[:, 0])[rows], sample.weight[rows]
