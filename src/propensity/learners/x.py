"""The X-learner: impute each person's effect by the other arm's model, and regress it."""

from __future__ import annotations

import lightgbm as lgb
import numpy as np

from propensity.learners._typing import Matrix, State, Vector
from propensity.learners.boosting import EFFECT_SETTINGS, TreeSettings, fit_booster, predict_booster
from propensity.learners.effect_learner import EffectLearner
from propensity.learners.sample import Sample, derive_seed
from propensity.learners.t import TLearner


class XLearner(EffectLearner):
    """Regression of imputed effects, each action against control (Kunzel et al. 2019).

    Nuisances: mu_a(x) = E[Y | X=x, A=a] for each arm. Served a: D = Y - mu_control(X); control: D = mu_a(X) - Y.
    tau_1 and tau_0 are the regressions of D on X among the one and the other, and the effect is
    g tau_0 + (1 - g) tau_1 with g the share of a among those who were served a or control.

    Parameters
    ----------
    random_state : int
    outcome_settings, effect_settings : TreeSettings, optional
    control : str

    References
    ----------
    Kunzel, Sekhon, Bickel, Yu (2019), Metalearners for estimating heterogeneous treatment effects, PNAS 116.
    """

    def __init__(
        self,
        random_state: int = 0,
        outcome_settings: TreeSettings | None = None,
        effect_settings: TreeSettings | None = None,
        control: str = "control",
    ) -> None:
        self.random_state = random_state
        self.outcome_settings = outcome_settings
        self.effect_settings = effect_settings
        self.control = control

    def _fit(self, sample: Sample) -> None:
        seed = derive_seed(self.random_state, "x")
        models = TLearner(seed, self.outcome_settings, self.control).fit_sample(sample, self.factors_).boosters_
        untreated = np.flatnonzero(sample.arm == 0)
        self.pairs_: list[tuple[float, lgb.Booster, lgb.Booster]] = []
        for a in range(1, len(self.actions_)):
            treated = np.flatnonzero(sample.arm == a)
            gained = sample.y[treated] - predict_booster(models[0], sample.X[treated])
            missed = predict_booster(models[a], sample.X[untreated]) - sample.y[untreated]
            self.pairs_.append(
                (
                    len(treated) / (len(treated) + len(untreated)),
                    self._regression(sample, treated, gained, derive_seed(seed, a, "treated")),
                    self._regression(sample, untreated, missed, derive_seed(seed, a, "untreated")),
                )
            )

    def _regression(
        self, sample: Sample, rows: np.ndarray[tuple[int], np.dtype[np.intp]], imputed: Vector, seed: int
    ) -> lgb.Booster:
        return fit_booster(
            sample.X[rows],
            imputed,
            binary=False,
            categorical=sample.encoder.categorical,
            settings=self.effect_settings or EFFECT_SETTINGS,
            seed=seed,
            weight=sample.weight[rows],
        )

    def _effect(self, X: Matrix) -> Matrix:
        return np.column_stack(
            [
                g * predict_booster(by_control, X) + (1 - g) * predict_booster(by_action, X)
                for g, by_action, by_control in self.pairs_
            ]
        )

    def _fitted_state(self) -> State:
        return {"pairs": [list(pair) for pair in self.pairs_]}

    def _take_state(self, state: State) -> None:
        self.pairs_ = [(g, by_action, by_control) for g, by_action, by_control in state["pairs"]]
