"""What a model was trained on and how it did on people whom it had not seen: what `monitor` compares with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.evaluation import Estimate, calibration_slope, calibration_test, mean_estimate
from propensity.features import FeatureBuilder
from propensity.monitoring.cells import Cells
from propensity.monitoring.early import Early

if TYPE_CHECKING:
    from propensity.predictions import Predictions

SCORES = ("propensity", "best_uplift", "best_net_value")
"""The chance of coming back without contact, and the largest effect and net value (currency) of any learnt action."""
MIN_PEOPLE, MIN_OUTCOMES = 200, 30
"""Fewer people, or fewer returns among them, tell nothing of calibration."""


@dataclass(frozen=True)
class Calibration:
    """How what was observed of people follows what was predicted.

    Attributes
    ----------
    predicted : float
        Mean.
    difference : Estimate
        Mean of observed minus mean of predicted.
    slope : Estimate or None
        Of observed on predicted; None where predictions do not vary.
    outcomes : int
        People who came back.
    """

    predicted: float
    difference: Estimate
    slope: Estimate | None
    outcomes: int

    @classmethod
    def of(cls, predicted: np.ndarray, observed: np.ndarray, came_back: np.ndarray) -> Calibration | None:
        """Of people (n,), with outcomes or doubly robust scores as observed; None of too few.

        Parameters
        ----------
        predicted, observed : array (n,)
        came_back : array (n,) of 0 and 1
        """
        outcomes = int(came_back.sum())
        if len(predicted) < MIN_PEOPLE or outcomes < MIN_OUTCOMES:
            return None
        mean = float(predicted.mean())
        if np.isnan(calibration_slope(predicted, observed)):
            return cls(mean, mean_estimate(observed - predicted), None, outcomes)
        tested = calibration_test(predicted, observed)
        return cls(mean, tested.difference, tested.slope, outcomes)

    def to_state(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "predicted": self.predicted,
            "difference": self.difference._asdict(),
            "slope": None if self.slope is None else self.slope._asdict(),
            "outcomes": self.outcomes,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `to_state` described."""
        slope = None if state["slope"] is None else Estimate(**state["slope"])
        return cls(state["predicted"], Estimate(**state["difference"]), slope, state["outcomes"])


@dataclass(frozen=True)
class Reference:
    """What later people are compared with. It is counts and sums: of single people it holds nothing.

    Attributes
    ----------
    until : Timestamp
        When the last window of training closed: outcomes of decisions from then on are new to the model.
    features : dict of Cells
        Of what the model reads, over the people of training.
    scores : dict of Cells
        `SCORES` over people whom no fit saw; empty where nobody was held out.
    calibration : dict of Calibration
        ``propensity`` (people without contact) and ``effect`` (of each person's most effective action) of the same
        people; without those of which there were too few.
    early : Early
        How soon they came back, and what contact did by then.
    """

    until: pd.Timestamp
    features: dict[str, Cells]
    scores: dict[str, Cells] = field(default_factory=dict)
    calibration: dict[str, Calibration] = field(default_factory=dict)
    early: Early = field(default_factory=Early)

    @classmethod
    def fit(cls, frame: pd.DataFrame, features: FeatureBuilder, window_days: float) -> Self:
        """From the people of a training frame, each once, as they last were."""
        people = frame.sort_values("decided_at", kind="stable").drop_duplicates("customer_id", keep="last")
        values = features.values(people, people["decided_at"])
        until = frame["decided_at"].max() + pd.Timedelta(days=window_days)
        return cls(until, {str(name): Cells.fit(values[name]) for name in values})

    def with_held_out(
        self, predictions: Predictions, calibration: Mapping[str, Calibration | None], early: Early
    ) -> Self:
        """The same with the scores of people whom no fit saw, and how these came true."""
        table = score_table(predictions)
        known = {name: found for name, found in calibration.items() if found is not None}
        return replace(self, scores={name: Cells.fit(table[name]) for name in SCORES}, calibration=known, early=early)

    def to_state(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "until": self.until.isoformat(),
            **{part: {k: v.to_state() for k, v in getattr(self, part).items()} for part in ("features", "scores")},
            "calibration": {k: v.to_state() for k, v in self.calibration.items()},
            "early": self.early.to_state(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `to_state` described."""
        features, scores = ({k: Cells.from_state(v) for k, v in state[part].items()} for part in ("features", "scores"))
        calibration = {k: Calibration.from_state(v) for k, v in state["calibration"].items()}
        return cls(pd.Timestamp(state["until"]), features, scores, calibration, Early.from_state(state["early"]))


def score_table(predictions: Predictions) -> pd.DataFrame:
    """The `SCORES` (n, 3) of people, whatever they may get."""
    table = [predictions.reactivated[CONTROL], predictions.effect.max(axis=1), predictions.net_value.max(axis=1)]
    return pd.DataFrame(dict(zip(SCORES, table, strict=True)))
