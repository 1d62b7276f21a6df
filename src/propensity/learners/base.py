"""What all learners share: their signature, and how they are written down."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from propensity.learners._typing import Matrix, Propensity, State, Vector
from propensity.learners.sample import FrameEncoder, Sample, as_frame, check_sample, factor_codes


class UpliftLearner(BaseEstimator):
    """Base of the learners: estimates E[Y | X, A=a] - E[Y | X, A=control] for every action a.

    Subclasses store settings in ``__init__`` and implement ``_fit``, ``_effect`` and ``_outcome`` on matrices, and
    ``_fitted_state`` and ``_take_state`` to be saved.

    In a scikit-learn pipeline the second argument of ``fit`` is the action, and the outcome is a parameter of the
    learner's step: ``pipeline.fit(X, action, learner__y=y)``; ``pipeline.predict(X)`` gives the effects.

    Attributes
    ----------
    actions_ : list of str
        Control first, the others sorted.
    n_features_in_ : int
    feature_names_in_ : array of str
    """

    control: str = "control"
    random_state: int = 0
    uses_outcome: ClassVar[bool] = False
    """Whether the learner starts from cross-fitted outcomes, which several learners can share."""

    def fit(
        self,
        X: pd.DataFrame,
        action: object,
        y: object,
        *,
        propensity: Propensity = None,
        factors: pd.DataFrame | None = None,
        sample_weight: object = None,
    ) -> Self:
        """Fit.

        Parameters
        ----------
        X : DataFrame or array (n, d)
            Features; categoricals as pandas categoricals, missing values allowed.
        action : array-like (n,)
            Labels of the served actions, the control among them.
        y : array-like (n,)
            Outcome, in any unit.
        propensity : DataFrame (n, actions with control) | Series by label | None
            Logged probabilities; None for a randomised test. For observational data estimate them first, with
            `estimated_propensity`.
        factors : DataFrame, optional
            Indexed by action label, categorical columns such as archetype, channel and offer.
        sample_weight : array-like (n,), optional
            How much each person counts; at least 0.

        Raises
        ------
        InputError
        """
        sample = check_sample(X, action, y, propensity, control=self.control, sample_weight=sample_weight)
        self.fit_sample(sample, factor_codes(factors, sample.actions))
        self._fit_outcome(sample)
        return self

    def fit_sample(self, sample: Sample, factors: Matrix) -> Self:
        """Fit on checked inputs what ``effect`` needs; ``factors`` (n actions, n factors) are from `factor_codes`."""
        self.actions_ = sample.actions
        self.encoder_ = sample.encoder
        self.n_features_in_ = len(sample.encoder.columns)
        self.feature_names_in_ = np.array(sample.encoder.columns, dtype=object)
        self.factors_ = factors
        self._fit(sample)
        return self

    def effect(self, X: pd.DataFrame) -> pd.DataFrame:
        """Effect of each action against control, DataFrame (n, actions without control), in units of y.

        Categories that training did not have count as missing, with an `UnseenCategoryWarning`.
        """
        return self._by_action(X, self._effect)

    def priority(self, X: pd.DataFrame) -> pd.DataFrame:
        """What to order people by where not everybody can be reached, DataFrame (n, actions without control).

        The effects, unless a learner says otherwise.
        """
        return self._by_action(X, self._priority)

    def predict(self, X: pd.DataFrame) -> pd.DataFrame:
        """`effect`, under the name by which pipelines call it."""
        return self.effect(X)

    def outcome(self, X: pd.DataFrame) -> pd.DataFrame:
        """Expected outcome under each action, DataFrame (n, actions with control), in units of y."""
        self._require_fit()
        X = as_frame(X)
        return pd.DataFrame(self._outcome(self._encoded(X)), columns=self.actions_, index=X.index)

    def _by_action(self, X: pd.DataFrame, compute: Callable[[Matrix], Matrix]) -> pd.DataFrame:
        self._require_fit()
        X = as_frame(X)
        return pd.DataFrame(compute(self._encoded(X)), columns=self.actions_[1:], index=X.index)

    def _encoded(self, X: pd.DataFrame) -> Matrix:
        self.encoder_.warn_of_unseen(X)
        return self.encoder_.transform(X)

    def _fit_outcome(self, sample: Sample) -> None:
        """Fit what ``outcome`` needs beyond ``effect``."""

    @abstractmethod
    def _fit(self, sample: Sample) -> None: ...

    @abstractmethod
    def _effect(self, X: Matrix) -> Matrix: ...

    def _priority(self, X: Matrix) -> Matrix:
        return self._effect(X)

    @abstractmethod
    def _outcome(self, X: Matrix) -> Matrix: ...

    def _outcome_without_contact(self, X: Matrix) -> Vector:
        """Expected outcome (n,) under control."""
        return self._outcome(X)[:, 0]

    @abstractmethod
    def _fitted_state(self) -> State: ...

    @abstractmethod
    def _take_state(self, state: State) -> None: ...

    def to_state(self) -> State:
        """The fitted learner as JSON-ready values and Boosters; see `saved.learner_from_state`."""
        self._require_fit()
        return {
            "learner": type(self).__name__,
            "control": self.control,
            "random_state": self.random_state,
            "actions": self.actions_,
            "encoder": self.encoder_.to_state(),
            "factors": self.factors_.tolist(),
            **self._fitted_state(),
        }

    def load_state(self, state: State) -> Self:
        """Take over a state that `to_state` wrote."""
        self.control = state["control"]
        self.random_state = state["random_state"]
        self.actions_ = list(state["actions"])
        self.encoder_ = FrameEncoder.from_state(state["encoder"])
        self.n_features_in_ = len(self.encoder_.columns)
        self.feature_names_in_ = np.array(self.encoder_.columns, dtype=object)
        self.factors_ = np.asarray(state["factors"], dtype=np.float64).reshape(len(self.actions_), -1)
        self._take_state(state)
        return self

    def _require_fit(self) -> None:
        if not hasattr(self, "actions_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet; call fit first")
