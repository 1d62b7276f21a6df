"""The reason for churn of people who gave none, from what is known about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import pandas as pd

from propensity.learners._typing import Matrix, State
from propensity.learners.boosting import TreeSettings, predict_raw, tree_parameters
from propensity.learners.sample import FrameEncoder, as_frame, derive_seed
from propensity.reasons.calibration import Codes
from propensity.reasons.classifier import ReasonClassifier

REASON_SETTINGS = TreeSettings(n_trees=100, num_leaves=4, learning_rate=0.05, min_data_in_leaf=40, lambda_l2=20.0)
"""Features say little about why people left, and each reason was given by few: trees of three splits."""


@dataclass(frozen=True)
class TreeScorer:
    """Boosted trees of one log-score a reason (multi-class log-loss)."""

    encoder: FrameEncoder
    booster: lgb.Booster

    @classmethod
    def fit(cls, X: pd.DataFrame, code: Codes, n_reasons: int, seed: int) -> TreeScorer:
        """Fit on features (n, d) and positions of reasons (n,)."""
        encoder = FrameEncoder.fit(X)
        parameters = {
            **tree_parameters(REASON_SETTINGS, len(X), seed),
            "objective": "multiclass",
            "num_class": n_reasons,
        }
        data = lgb.Dataset(
            encoder.transform(X), label=code, categorical_feature=encoder.categorical, params={"verbose": -1}
        )
        return cls(encoder, lgb.train(parameters, data, num_boost_round=REASON_SETTINGS.n_trees))

    def log_scores(self, X: pd.DataFrame) -> Matrix:
        """Log-chances (n, reasons) up to a constant a row."""
        return self.log_scores_of(self.encoder.transform(X))

    def log_scores_of(self, encoded: Matrix) -> Matrix:
        """`log_scores` of encoded features (n, d)."""
        return predict_raw(self.booster, encoded)

    def to_state(self) -> State:
        """As JSON-ready values and a Booster."""
        return {"encoder": self.encoder.to_state(), "booster": self.booster}

    @classmethod
    def from_state(cls, state: State) -> TreeScorer:
        """The scorer that `to_state` described."""
        return cls(FrameEncoder.from_state(state["encoder"]), state["booster"])


class ReasonModel(ReasonClassifier[pd.DataFrame]):
    """Pr[reason | features] by boosted trees, calibrated; see `ReasonClassifier`.

    ``X`` is a DataFrame (n, d): categoricals as pandas categoricals or texts, missing values allowed. Categories that
    training did not have count as missing, with an `UnseenCategoryWarning`.
    """

    def probabilities(self, X: pd.DataFrame) -> pd.DataFrame:
        """Chance of each learnt reason, DataFrame (n, reasons); rows sum to 1."""
        chances = super().probabilities(X)
        if isinstance(self.scorer_, TreeScorer):
            self.scorer_.encoder.warn_of_unseen(as_frame(X))
        return chances

    def chances_of(self, features: Mapping[str, Any], n: int) -> Matrix:
        """Chance of each learnt reason, (n, reasons), of n people by columns of the model matrix."""
        scores = None
        if isinstance(self.scorer_, TreeScorer):
            scores = self.scorer_.log_scores_of(self.scorer_.encoder.matrix(features, n))
        return self._calibrated(scores, n)

    def _checked(self, X: pd.DataFrame) -> pd.DataFrame:
        return as_frame(X)

    def _fit_scorer(self, X: pd.DataFrame, code: Codes, n_reasons: int) -> TreeScorer:
        return TreeScorer.fit(X, code, n_reasons, derive_seed(self.random_state, "trees"))

    def _scorer_from_state(self, state: State) -> TreeScorer:
        return TreeScorer.from_state(state)
