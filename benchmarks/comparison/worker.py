"""Fits one competitor; run by `competitors.run` with the Python that has its library. Needs none of our code for peers.

Reads the halves from a directory, writes the predicted effects, prints the seconds of fitting and predicting. All
libraries get the same people, outcomes and logged probabilities; each in the form that it asks for.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

MODULES = {
    "propensity": ("propensity.learners",),
    "causalml": ("causalml.inference.meta", "causalml.inference.tree", "lightgbm"),
    "econml": ("econml.dml", "econml.dr", "econml.metalearners", "lightgbm"),
    "sklift": ("sklift.models", "lightgbm"),
}
PACKAGES = ("causalml", "econml", "scikit-uplift", "lightgbm", "xgboost", "scikit-learn", "numpy", "pandas")
# fixed here, so that peers stay as they are when our own learners change
OUTCOME_TREES = {
    **{"n_estimators": 150, "num_leaves": 8, "learning_rate": 0.05, "min_child_samples": 100},
    **{"colsample_bytree": 0.8, "reg_lambda": 10.0},
}
EFFECT_TREES = {**OUTCOME_TREES, "n_estimators": 80, "num_leaves": 4, "learning_rate": 0.03, "min_child_samples": 500}
SEED = 0

PairFit = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""From X, treated, y, chance of treatment (all of training) and X of the test half to effects (n test people,)."""


@dataclass(frozen=True)
class Halves:
    """What a competitor gets: frames of both halves, and of the training half arm, outcome and probabilities."""

    train: pd.DataFrame
    test: pd.DataFrame
    arm: np.ndarray
    y: np.ndarray
    propensity: np.ndarray
    actions: list[str]
    factors: pd.DataFrame | None

    @property
    def binary(self) -> bool:
        return bool(np.isin(self.y, (0.0, 1.0)).all())

    @property
    def everybody_could_get_everything(self) -> bool:
        return bool((self.propensity > 0).all())

    def numeric(self) -> tuple[np.ndarray, np.ndarray]:
        """Both halves as numbers: categories one-hot, gaps filled by training's median and flagged."""
        parts: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        for name, values in self.train.items():
            for part, column in zip(parts, (values, self.test[name]), strict=True):
                if isinstance(values.dtype, pd.CategoricalDtype):
                    part += [(column == c).to_numpy(dtype=float) for c in values.cat.categories]
                    continue
                part.append(column.fillna(values.median()).to_numpy(dtype=float))
                if values.isna().any():
                    part.append(column.isna().to_numpy(dtype=float))
        return np.column_stack(parts[0]), np.column_stack(parts[1])


def read(directory: Path) -> Halves:
    served = np.load(directory / "served.npz")
    factors = directory / "factors.parquet"
    return Halves(
        train=pd.read_parquet(directory / "train.parquet"),
        test=pd.read_parquet(directory / "test.parquet"),
        arm=served["arm"],
        y=served["y"],
        propensity=served["propensity"],
        actions=served["actions"].tolist(),
        factors=pd.read_parquet(factors) if factors.is_file() else None,
    )


def each_against_control(halves: Halves, fit: PairFit) -> np.ndarray:
    """Effects (n test people, n actions - 1), one fit an action, on those who got it or control and could get both."""
    X, unseen = halves.numeric()
    effects = []
    for a in range(1, len(halves.actions)):
        chances = halves.propensity[:, [0, a]]
        rows = np.flatnonzero(np.isin(halves.arm, (0, a)) & (chances > 0).all(axis=1))
        chance = chances[rows, 1] / chances[rows].sum(axis=1)
        treated = (halves.arm[rows] == a).astype(int)
        effects.append(np.asarray(fit(X[rows], treated, halves.y[rows], chance, unseen), dtype=float).reshape(-1))
    return np.column_stack(effects)


class Trees:
    """LightGBM models of outcomes and effects for one fit."""

    def __init__(self, trees: str, treated: np.ndarray) -> None:
        self.small = trees == "small"
        # no leaf may want more people than the smaller group has
        self.most = max(1, int(np.bincount(treated).min()) // 20)

    def _settings(self, wanted: dict[str, Any]) -> dict[str, Any]:
        settings = dict(wanted) if self.small else {}
        if self.small:
            settings["min_child_samples"] = min(settings["min_child_samples"], self.most)
        return {**settings, "random_state": SEED, "n_jobs": 1, "verbose": -1}

    def classifier(self) -> Any:
        from lightgbm import LGBMClassifier

        return LGBMClassifier(**self._settings(OUTCOME_TREES))

    def regressor(self) -> Any:
        from lightgbm import LGBMRegressor

        return LGBMRegressor(**self._settings(OUTCOME_TREES))

    def effect(self) -> Any:
        from lightgbm import LGBMRegressor

        return LGBMRegressor(**self._settings(EFFECT_TREES))


def fit_propensity(halves: Halves, kind: str, trees: str) -> np.ndarray:
    from propensity import learners

    learner = getattr(learners, kind)(random_state=0)
    action = np.array(halves.actions, dtype=object)[halves.arm]
    propensity = pd.DataFrame(halves.propensity, columns=halves.actions, index=halves.train.index)
    learner.fit(halves.train, action, halves.y, propensity=propensity, factors=halves.factors)
    effect, priority = (
        table[halves.actions[1:]].to_numpy() for table in (learner.effect(halves.test), learner.priority(halves.test))
    )
    return np.stack([effect, priority])


def fit_causalml(halves: Halves, kind: str, trees: str) -> np.ndarray:
    from causalml.inference import meta, tree

    def forest(X: np.ndarray, treated: np.ndarray, y: np.ndarray, chance: np.ndarray, unseen: np.ndarray) -> np.ndarray:
        if kind == "CausalRandomForest":
            model = tree.CausalRandomForestRegressor(control_name=0, n_jobs=1, random_state=SEED)
            return model.fit(X, treated, y).predict(unseen)
        model = tree.UpliftRandomForestClassifier(control_name="control", n_estimators=100, n_jobs=1, random_state=SEED)
        model.fit(X, np.where(treated == 1, "treated", "control"), y.astype(int))
        return model.predict(unseen)

    def learner(treated: np.ndarray) -> Any:
        made = Trees(trees, treated)
        outcome = made.classifier() if halves.binary else made.regressor()
        if kind == "S":
            return (meta.BaseSClassifier if halves.binary else meta.BaseSRegressor)(outcome)
        if kind == "T":
            return (meta.BaseTClassifier if halves.binary else meta.BaseTRegressor)(outcome)
        if kind == "X":
            if halves.binary:
                return meta.BaseXClassifier(outcome_learner=outcome, effect_learner=made.effect())
            parts = {"control_outcome_learner": outcome, "treatment_outcome_learner": outcome}
            effects = {"control_effect_learner": made.effect(), "treatment_effect_learner": made.effect()}
            return meta.BaseXRegressor(**parts, **effects)
        if kind == "R":
            both = {"outcome_learner": outcome, "effect_learner": made.effect(), "random_state": SEED}
            return (meta.BaseRClassifier if halves.binary else meta.BaseRRegressor)(**both)
        if kind == "DR":
            # its classifier takes hard labels for chances, so that a regressor serves binary outcomes better
            parts = {"control_outcome_learner": made.regressor(), "treatment_outcome_learner": made.regressor()}
            return meta.BaseDRRegressor(**parts, treatment_effect_learner=made.effect())
        if kind == "LRS":
            return meta.LRSRegressor()
        xgboost = {"n_jobs": 1, "random_state": SEED}
        if kind == "XGBT":
            return meta.XGBTClassifier(xgb_kwargs=xgboost) if halves.binary else meta.XGBTRegressor(**xgboost)
        if kind == "XGBR":
            if not halves.binary:
                return meta.XGBRRegressor(random_state=SEED, xgb_kwargs={"n_jobs": 1})
            return meta.XGBRClassifier(
                random_state=SEED, outcome_xgb_kwargs=dict(xgboost), effect_xgb_kwargs=dict(xgboost)
            )
        if kind == "XGBDR":
            return meta.XGBDRRegressor(**xgboost)
        raise ValueError(f"kind: unknown {kind!r}")

    def fit(X: np.ndarray, treated: np.ndarray, y: np.ndarray, chance: np.ndarray, unseen: np.ndarray) -> np.ndarray:
        model = learner(treated)
        if hasattr(model, "cv_n_jobs"):
            model.cv_n_jobs = 1
        seed = {"seed": SEED} if "DR" in kind else {}
        model.fit(X, treated, y, p=chance, **seed)
        if "X" in kind and "XGB" not in kind:
            # its blend of two models wants a chance for the test people, whom it does not know: the mean one
            return model.predict(unseen, p=np.full(len(unseen), chance.mean()))
        return model.predict(unseen)

    return each_against_control(halves, forest if kind.endswith("Forest") else fit)


def fit_econml(halves: Halves, kind: str, trees: str) -> np.ndarray:
    from econml import dml, dr, metalearners
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.dummy import DummyClassifier

    class LoggedPropensity(ClassifierMixin, BaseEstimator):
        """The logged probabilities, which are the last columns of what it is given."""

        def fit(self, X: np.ndarray, y: np.ndarray) -> LoggedPropensity:
            self.classes_ = np.unique(y)
            return self

        def predict_proba(self, X: np.ndarray) -> np.ndarray:
            return X[:, -len(self.classes_) :]

        def predict(self, X: np.ndarray) -> np.ndarray:
            return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def fit(X: np.ndarray, arm: np.ndarray, y: np.ndarray, chances: np.ndarray, unseen: np.ndarray) -> np.ndarray:
        made = Trees(trees, arm)
        outcome = made.classifier() if halves.binary else made.regressor()
        common = {"random_state": SEED, "cv": 3, "discrete_outcome": halves.binary}
        if kind == "XLearner":
            model = metalearners.XLearner(
                models=made.regressor(), cate_models=made.effect(), propensity_model=DummyClassifier(strategy="prior")
            )
            return model.fit(y, arm, X=X).const_marginal_effect(unseen)
        if kind.startswith("CausalForestDML"):
            leaf = {"min_samples_leaf": 100} if kind.endswith("large leaves") else {}
            model = dml.CausalForestDML(
                model_y=outcome,
                model_t=LoggedPropensity(),
                discrete_treatment=True,
                n_estimators=200,
                **leaf,
                inference=False,
                n_jobs=1,
                **common,
            )
            return model.fit(y, arm, X=X, W=chances).const_marginal_effect(unseen)
        nuisances = {"model_propensity": LoggedPropensity(), "model_regression": outcome}
        if kind == "DRLearner":
            model = dr.DRLearner(**nuisances, model_final=made.effect(), **common)
        elif kind == "LinearDRLearner":
            model = dr.LinearDRLearner(**nuisances, **common)
        elif kind == "ForestDRLearner":
            model = dr.ForestDRLearner(**nuisances, n_estimators=200, n_jobs=1, **common)
        else:
            raise ValueError(f"kind: unknown {kind!r}")
        return model.fit(y, arm, X=X, W=chances, inference=None).const_marginal_effect(unseen)

    def fit_pair(
        X: np.ndarray, treated: np.ndarray, y: np.ndarray, chance: np.ndarray, unseen: np.ndarray
    ) -> np.ndarray:
        return fit(X, treated, y, np.column_stack([1 - chance, chance]), unseen)

    if not halves.everybody_could_get_everything:
        return each_against_control(halves, fit_pair)
    X, unseen = halves.numeric()
    return fit(X, halves.arm, halves.y, halves.propensity, unseen).reshape(len(unseen), -1)


def fit_sklift(halves: Halves, kind: str, trees: str) -> np.ndarray:
    from sklift import models

    def fit(X: np.ndarray, treated: np.ndarray, y: np.ndarray, chance: np.ndarray, unseen: np.ndarray) -> np.ndarray:
        made = Trees(trees, treated)
        make = made.classifier if halves.binary else made.regressor
        if kind == "SoloModel":
            return models.SoloModel(make()).fit(X, y, treated).predict(unseen)
        if kind == "TwoModels":
            return models.TwoModels(make(), make()).fit(X, y, treated).predict(unseen)
        # its formula supposes that half are treated; weights restore that
        weight = 0.5 / np.where(treated == 1, chance, 1 - chance)
        model = models.ClassTransformation(make())
        return model.fit(X, y, treated, estimator_fit_params={"sample_weight": weight}).predict(unseen)

    return each_against_control(halves, fit)


FITS = {"propensity": fit_propensity, "causalml": fit_causalml, "econml": fit_econml, "sklift": fit_sklift}


def main() -> None:
    if sys.argv[1:] == ["--versions"]:
        have = {d.metadata["Name"].lower(): d.version for d in importlib.metadata.distributions()}
        print(json.dumps({name: have[name] for name in PACKAGES if name in have}))
        return
    warnings.filterwarnings("ignore")
    halves = read(Path(sys.argv[1]))
    competitor = json.loads(sys.argv[2])
    for module in MODULES[competitor["library"]]:
        importlib.import_module(module)
    np.random.seed(SEED)  # noqa: NPY002 -- some peers draw from the global generator
    start = time.perf_counter()
    effect = FITS[competitor["library"]](halves, competitor["kind"], competitor["trees"])
    seconds = time.perf_counter() - start
    expected = (len(halves.test), len(halves.actions) - 1)
    # ours say what to decide by and what to order people by; peers have one answer to both
    effect_and_priority = np.stack([effect, effect]) if effect.ndim == 2 else effect
    if effect_and_priority.shape != (2, *expected):
        raise ValueError(f"effects: expected {expected}, found {effect.shape}")
    np.save(sys.argv[3], effect_and_priority)
    print(seconds)


if __name__ == "__main__":
    main()
