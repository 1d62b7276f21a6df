"""scikit-uplift's approaches behind our signature: baselines and cross-checks.

scikit-uplift knows one action against control. So each action gets a model of its own, fitted on the people who were
served that action or control and could have got either.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NoReturn, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklift import models

from propensity.errors import InputError, JobError
from propensity.learners._typing import Matrix, State, Vector
from propensity.learners.boosting import TreeSettings, fit_booster, predict_booster
from propensity.learners.effect_learner import EffectLearner
from propensity.learners.sample import Sample, derive_seed


class BoostedTrees(BaseEstimator):
    """The learners' boosted trees as the estimator that scikit-uplift asks for.

    Parameters
    ----------
    seed : int
    categorical : tuple of int
        Positions of categorical columns.
    settings : TreeSettings, optional
    """

    def __init__(self, seed: int = 0, categorical: tuple[int, ...] = (), settings: TreeSettings | None = None) -> None:
        self.seed = seed
        self.categorical = categorical
        self.settings = settings

    def fit(self, X: Matrix, y: Vector, sample_weight: Vector | None = None) -> Self:
        """Fit on X (n, d) and y (n,); where y is 0 or 1, predictions are probabilities."""
        y = np.asarray(y, dtype=np.float64)
        self.booster_ = fit_booster(
            X,
            y,
            binary=bool(np.isin(y, (0.0, 1.0)).all()),
            categorical=list(self.categorical),
            settings=self.settings or TreeSettings(),
            seed=self.seed,
            weight=sample_weight,
        )
        return self

    def predict(self, X: Matrix) -> Vector:
        """E[Y | X], (n,)."""
        return predict_booster(self.booster_, X)

    def predict_proba(self, X: Matrix) -> Matrix:
        """Pr[Y = 0 | X] and Pr[Y = 1 | X], (n, 2)."""
        chance = self.predict(X)
        return np.column_stack([1.0 - chance, chance])


class ScikitUpliftLearner(EffectLearner):
    """Base of the adapters: one scikit-uplift model an action, against control.

    People who could not have got the action, or could not have been control, are left out of its fit. Sample weights
    are refused, because not every approach takes them.

    Parameters
    ----------
    random_state : int
    settings : TreeSettings, optional
    control : str
    """

    def __init__(self, random_state: int = 0, settings: TreeSettings | None = None, control: str = "control") -> None:
        self.random_state = random_state
        self.settings = settings
        self.control = control

    @abstractmethod
    def _model(self, trees: BoostedTrees, again: BoostedTrees) -> Any:
        """The unfitted scikit-uplift model; ``again`` is a second estimator, for approaches that need two."""

    def _fit_parameters(self, treated: Vector, chance: Vector) -> dict[str, Vector]:
        """What the estimator's fit is given besides, from who was treated and the chance of that, each (n,)."""
        return {}

    def _trees(self, sample: Sample, *part: object) -> BoostedTrees:
        seed = derive_seed(self.random_state, type(self).__name__, *part)
        return BoostedTrees(seed, tuple(sample.encoder.categorical), self.settings)

    def _fit(self, sample: Sample) -> None:
        if np.ptp(sample.weight) > 0:
            raise InputError(f"sample_weight: {type(self).__name__} takes none; leave it out, or use an SLearner")
        self.models_: list[Any] = []
        for a, label in enumerate(sample.actions[1:], start=1):
            chances = sample.propensity[:, [0, a]]
            rows = np.flatnonzero(np.isin(sample.arm, (0, a)) & (chances > 0).all(axis=1))
            treated = (sample.arm[rows] == a).astype(np.float64)
            if len(np.unique(treated)) < 2:
                raise InputError(f"action: expected controls who could have got {label!r}, found none")
            model = self._model(self._trees(sample, a), self._trees(sample, a, "again"))
            parameters = self._fit_parameters(treated, chances[rows, 1] / chances[rows].sum(axis=1))
            self._fit_model(model, sample.X[rows], sample.y[rows], treated, parameters)
            self.models_.append(model)

    def _fit_model(self, model: Any, X: Matrix, y: Vector, treated: Vector, parameters: dict[str, Vector]) -> None:
        model.fit(X, y, treated, estimator_fit_params=parameters)

    def _effect(self, X: Matrix) -> Matrix:
        return np.column_stack([model.predict(X) for model in self.models_])

    def to_state(self) -> NoReturn:
        """Baselines are not saved.

        Raises
        ------
        JobError
        """
        raise JobError(f"{type(self).__name__} is a baseline and cannot be saved; fit an UpliftStack to save a model")

    def load_state(self, state: State) -> NoReturn:
        """Baselines are not saved.

        Raises
        ------
        JobError
        """
        raise JobError(f"{type(self).__name__} is a baseline and cannot be loaded; load an UpliftStack instead")


class SoloModelLearner(ScikitUpliftLearner):
    """`sklift.models.SoloModel`: the treatment is a feature of one model (Lo 2002)."""

    def _model(self, trees: BoostedTrees, again: BoostedTrees) -> Any:
        return models.SoloModel(trees)


class TwoModelsLearner(ScikitUpliftLearner):
    """`sklift.models.TwoModels`: a model of the treated and one of the others; their difference is the effect."""

    def _model(self, trees: BoostedTrees, again: BoostedTrees) -> Any:
        return models.TwoModels(estimator_trmnt=trees, estimator_ctrl=again)

    def _fit_model(self, model: Any, X: Matrix, y: Vector, treated: Vector, parameters: dict[str, Vector]) -> None:
        model.fit(X, y, treated)


class ClassTransformationLearner(ScikitUpliftLearner):
    """`sklift.models.ClassTransformation`: classify whether y equals the treatment (Jaskowski, Jaroszewicz 2012).

    Its formula, effect = 2 Pr[Z = 1 | X] - 1, holds where treatment and control are equally likely. Elsewhere people
    are weighted by half the inverse of the logged chance of what they were served, which restores that.
    """

    def _model(self, trees: BoostedTrees, again: BoostedTrees) -> Any:
        return models.ClassTransformation(trees)

    def _fit_parameters(self, treated: Vector, chance: Vector) -> dict[str, Vector]:
        return {"sample_weight": 0.5 / np.where(treated == 1, chance, 1.0 - chance)}

    def _fit(self, sample: Sample) -> None:
        if not sample.binary:
            found = sample.y[~np.isin(sample.y, (0.0, 1.0))][0]
            raise InputError(
                f"y: ClassTransformation expects only 0 and 1, found {found:g}; use SoloModelLearner or "
                "TwoModelsLearner for other outcomes"
            )
        super()._fit(sample)
