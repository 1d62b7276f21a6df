"""Learners of effects that add up from parts: contact itself, its archetype, its channel, its offer."""

from __future__ import annotations

from typing import ClassVar

import lightgbm as lgb
import numpy as np

from propensity.learners._typing import Matrix, State, Vector
from propensity.learners.basis import LinearBasis
from propensity.learners.boosting import TreeSettings, fit_components, predict_components
from propensity.learners.components import action_components, row_products, sum_of_parts
from propensity.learners.effect_learner import EffectLearner
from propensity.learners.nuisance import N_FOLDS, cross_fitted_outcome, mean_outcome
from propensity.learners.sample import Sample, derive_seed

ROWS_AT_ONCE = 4096
PENALTIES = np.logspace(-1, 6, 29)
INTERCEPT_SCALE = 10.0
"""How much larger a part's average effect may be, before it is held back, than what a feature adds to it."""


class _FactoredLearner(EffectLearner):
    """Fits tau(x, a) = sum over the parts c of action a of g_c(x) by the multi-arm R-loss."""

    uses_outcome: ClassVar[bool] = True

    def __init__(self, random_state: int = 0, n_folds: int = N_FOLDS, control: str = "control") -> None:
        self.random_state = random_state
        self.n_folds = n_folds
        self.control = control

    def _residuals(self, sample: Sample) -> tuple[Vector, Matrix]:
        """Residual of the outcome (n,), and of the parts that were served (n, parts)."""
        seed = derive_seed(self.random_state, "factored")
        mu = cross_fitted_outcome(sample, self.factors_, seed, self.n_folds)
        self.components_ = action_components(self.factors_, len(self.actions_))
        served = self.components_[sample.arm] - sample.propensity @ self.components_
        return sample.y - mean_outcome(mu, sample.propensity), served

    def _fitted_state(self) -> State:
        return {"components": self.components_.tolist()}

    def _take_state(self, state: State) -> None:
        self.components_ = np.asarray(state["components"], dtype=float)


class FactoredLinearLearner(_FactoredLearner):
    """Effects linear in the features and additive in the parts of an action, with one ridge penalty.

    tau(x, a) = sum_c Z[a, c] beta_c' phi(x), with Z from `action_components` and phi the columns of `LinearBasis`, is
    fitted to the multi-arm R-loss: (Y - m(X) - sum_a (1{A=a} - e_a(X)) tau(X, a))^2. The penalty is the one of
    greatest marginal likelihood under normal errors and coefficients (MacKay 1992).

    Nuisances: m(x) = E[Y | X=x], cross-fitted, and e_a(x) = Pr[A=a | X=x], as given.

    Parameters
    ----------
    random_state : int
    n_folds : int
    control : str

    References
    ----------
    Nie, Wager (2021), Biometrika 108. MacKay (1992), Bayesian interpolation, Neural Computation 4.
    """

    def _fit(self, sample: Sample) -> None:
        residual, served = self._residuals(sample)
        self.basis_ = LinearBasis.fit(sample.X, sample.encoder.categorical)
        p = self.components_.shape[1] * (1 + len(self.basis_.mean))
        gram, moment, square = np.zeros((p, p)), np.zeros(p), 0.0
        for start in range(0, len(residual), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            design = self._design(self.basis_.transform(sample.X[rows]), served[rows])
            weighted = design * sample.weight[rows, None]
            gram += weighted.T @ design
            moment += weighted.T @ residual[rows]
            square += float(sample.weight[rows] @ residual[rows] ** 2)
        n_counted = sample.weight.sum() ** 2 / (sample.weight**2).sum()
        # weights have mean 1 in the likelihood
        scale = n_counted / sample.weight.sum()
        coefficients = ridge_by_evidence(gram * scale, moment * scale, square * scale, n_counted)
        self.coefficients_ = coefficients.reshape(self.components_.shape[1], -1)

    @staticmethod
    def _design(phi: Matrix, served: Matrix) -> Matrix:
        phi = phi.copy()
        phi[:, 0] *= INTERCEPT_SCALE
        return (served[:, :, None] * phi[:, None, :]).reshape(len(phi), -1)

    def _effect(self, X: Matrix) -> Matrix:
        phi = self.basis_.transform(X)
        phi[:, 0] *= INTERCEPT_SCALE
        return sum_of_parts(row_products(phi, self.coefficients_), self.components_[1:])

    def _fitted_state(self) -> State:
        return {
            **super()._fitted_state(),
            "basis": self.basis_.to_state(),
            "coefficients": self.coefficients_.tolist(),
        }

    def _take_state(self, state: State) -> None:
        super()._take_state(state)
        self.basis_ = LinearBasis.from_state(state["basis"])
        self.coefficients_ = np.asarray(state["coefficients"], dtype=float)


class FactoredBoostedLearner(_FactoredLearner):
    """Effects of boosted trees, additive in the parts of an action.

    tau(x, a) = sum_c Z[a, c] g_c(x), with Z from `action_components`; each round adds one tree to every g_c along the
    gradient of the multi-arm R-loss (see `FactoredLinearLearner`).

    Parameters
    ----------
    random_state : int
    n_folds : int
    settings : TreeSettings, optional
    control : str

    References
    ----------
    Nie, Wager (2021), Biometrika 108. Friedman (2001), Greedy function approximation, Annals of Statistics 29.
    """

    def __init__(
        self,
        random_state: int = 0,
        n_folds: int = N_FOLDS,
        settings: TreeSettings | None = None,
        control: str = "control",
    ) -> None:
        super().__init__(random_state, n_folds, control)
        self.settings = settings

    def _fit(self, sample: Sample) -> None:
        residual, served = self._residuals(sample)
        self.booster_: lgb.Booster = fit_components(
            sample.X,
            residual,
            served,
            weight=sample.weight,
            categorical=sample.encoder.categorical,
            settings=self.settings,
            seed=derive_seed(self.random_state, "boosted"),
        )

    def _effect(self, X: Matrix) -> Matrix:
        return sum_of_parts(predict_components(self.booster_, X, self.components_.shape[1]), self.components_[1:])

    def _fitted_state(self) -> State:
        return {**super()._fitted_state(), "booster": self.booster_}

    def _take_state(self, state: State) -> None:
        super()._take_state(state)
        self.booster_ = state["booster"]


def ridge_by_evidence(gram: Matrix, moment: Vector, square: float, n: float) -> Vector:
    """Ridge coefficients (p,) with the penalty of greatest marginal likelihood.

    Parameters
    ----------
    gram : array (p, p)
        D'D of the design D (n, p).
    moment : array (p,)
        D'r of the response r.
    square : float
        r'r.
    n : float
        Number of rows.

    Notes
    -----
    With r ~ N(D b, s^2 I) and b ~ N(0, s^2 / k I), the evidence of k is, up to a constant and with s^2 integrated out,
    -n/2 log(r'r - r'D (D'D + k)^-1 D'r) - 1/2 sum_j log(1 + d_j / k), d_j the eigenvalues of D'D.
    """
    values, vectors = np.linalg.eigh(gram)
    values = np.maximum(values, 0.0)
    rotated = vectors.T @ moment
    # penalties are tried relative to the mean squared length of the columns
    penalties = PENALTIES * max(values.mean(), np.finfo(float).tiny) / 100
    misfit = square - (rotated**2 / (values + penalties[:, None])).sum(axis=1)
    evidence = -n / 2 * np.log(np.maximum(misfit, 1e-12 * square)) - 0.5 * np.log1p(values / penalties[:, None]).sum(
        axis=1
    )
    best = penalties[int(evidence.argmax())]
    return vectors @ (rotated / (values + best))
