"""Randomised experiments with known effects, and learners small enough to be fitted dozens of times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from propensity.learners import (
    ConstantLearner,
    DRLearner,
    FactoredBoostedLearner,
    FactoredLinearLearner,
    RLearner,
    SLearner,
    TLearner,
    UpliftStack,
    WinsorisedLearner,
    XLearner,
)
from propensity.learners.base import UpliftLearner
from propensity.learners.boosting import TreeSettings

OUTCOME_TREES = TreeSettings(n_trees=40, num_leaves=6, learning_rate=0.15, min_data_in_leaf=20, lambda_l2=1.0)
EFFECT_TREES = TreeSettings(n_trees=30, num_leaves=4, learning_rate=0.1, min_data_in_leaf=40, lambda_l2=1.0)
COMPONENT_TREES = TreeSettings(n_trees=60, num_leaves=4, learning_rate=0.1, min_data_in_leaf=40, lambda_l2=1.0)
LEARNERS = (
    "SLearner",
    "TLearner",
    "XLearner",
    "RLearner",
    "DRLearner",
    "FactoredLinearLearner",
    "FactoredBoostedLearner",
    "WinsorisedLearner",
    "UpliftStack",
)


@dataclass(frozen=True)
class Experiment:
    """A randomised test; ``effect`` (n, actions without control) is the truth, in units of ``y``."""

    X: pd.DataFrame
    action: np.ndarray
    y: np.ndarray
    effect: pd.DataFrame
    propensity: pd.Series


def draw_experiment(n: int, n_arms: int, binary: bool, seed: int = 0, strength: float = 1.0) -> Experiment:
    """The first action works on people whose ``taste`` is positive, the second on the others."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "taste": rng.normal(size=n),
            "age": rng.normal(size=n),
            "plan": pd.Categorical(rng.choice(["basic", "plus", "pro"], n)),
        },
        index=[f"person-{i}" for i in range(n)],
    )
    labels = ["control", "call", "mail"][:n_arms]
    propensity = pd.Series([0.4, 0.6] if n_arms == 2 else [0.3, 0.3, 0.4], index=labels)
    likes = (X["taste"] > 0).to_numpy(float)
    size = strength * (0.4 if binary else 2.0)
    effect = pd.DataFrame({"call": size * likes, "mail": size * (1 - likes)}, index=X.index)[labels[1:]]
    action = rng.choice(labels, n, p=propensity)
    gain = np.column_stack([np.zeros(n), effect])[np.arange(n), pd.Index(labels).get_indexer(action)]
    if binary:
        chance = 0.2 + 0.1 * (X["age"] > 0) + 0.1 * (X["plan"] == "pro")
        y = (rng.random(n) < chance + gain).astype(float)
    else:
        y = X["age"].to_numpy() + (X["plan"] == "pro") + gain + rng.normal(size=n)
    X.loc[rng.random(n) < 0.05, "age"] = np.nan
    return Experiment(X, action, np.asarray(y, dtype=float), effect, propensity)


def small_learner(name: str, seed: int = 0) -> UpliftLearner:
    s = SLearner(seed, OUTCOME_TREES)
    trees = {"outcome_settings": OUTCOME_TREES, "effect_settings": EFFECT_TREES}
    dr = DRLearner(seed, n_folds=3, **trees)
    learners: dict[str, UpliftLearner] = {
        "SLearner": s,
        "TLearner": TLearner(seed, OUTCOME_TREES),
        "XLearner": XLearner(seed, **trees),
        "RLearner": RLearner(seed, n_folds=3, **trees),
        "DRLearner": dr,
        "ConstantLearner": ConstantLearner(seed),
        "FactoredLinearLearner": FactoredLinearLearner(seed),
        "FactoredBoostedLearner": FactoredBoostedLearner(seed, settings=COMPONENT_TREES),
        "WinsorisedLearner": WinsorisedLearner(s, seed),
        "UpliftStack": UpliftStack(seed, [s, dr], n_folds=4),
    }
    return learners[name]
