"""Our learners on the published Hillstrom task, by the published measure.

scikit-uplift's `qini_auc_score` of visits, mean over the ten folds of `StratifiedKFold(10, shuffle=True,
random_state=60)` stratified by arm and outcome, for (a) the women's e-mail against no e-mail and (b) both e-mails as
one treatment: `python benchmarks/published_qini.py`. The best published means are 0.067 and 0.039. Nothing is chosen
on these folds: every learner runs with its defaults. A stack that finds no differences between people ranks nobody,
which scores 0 in that fold.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import lightgbm as lgb
import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold
from sklift.metrics import qini_auc_score
from sklift.models import SoloModel, TwoModels

from propensity import datasets, learners
from propensity.contract import CONTROL
from propensity.features import FeatureBuilder
from propensity.frame import training_frame
from propensity.learners.base import UpliftLearner
from propensity.learners.scikit_uplift import ClassTransformationLearner, SoloModelLearner, TwoModelsLearner

PUBLISHED = {"womens": 6.7, "both": 3.9}
WOMENS, EMAIL = "womens_email", "email"
Ranking = Callable[[pd.DataFrame, np.ndarray, np.ndarray, pd.Series, pd.DataFrame], np.ndarray]


def ours(kind: type[UpliftLearner]) -> Ranking:
    """Ranks people by the effect that one of our learners predicts."""

    def rank(
        X: pd.DataFrame, action: np.ndarray, y: np.ndarray, propensity: pd.Series, unseen: pd.DataFrame
    ) -> np.ndarray:
        return kind(random_state=0).fit(X, action, y, propensity=propensity).effect(unseen).iloc[:, 0].to_numpy()

    return rank


def scikit_uplift(make: Callable[[], SoloModel | TwoModels]) -> Ranking:
    """Ranks people by scikit-uplift called as its tutorials do."""

    def rank(
        X: pd.DataFrame, action: np.ndarray, y: np.ndarray, propensity: pd.Series, unseen: pd.DataFrame
    ) -> np.ndarray:
        # scikit-uplift wants indexes that agree
        treated = pd.Series((action != CONTROL).astype(int), index=X.index)
        return make().fit(X, pd.Series(y, index=X.index).astype(int), treated).predict(unseen)

    return rank


def lightgbm() -> lgb.LGBMClassifier:
    return lgb.LGBMClassifier(random_state=0, n_jobs=1, verbose=-1)


def competitors() -> dict[str, Ranking]:
    own = [getattr(learners, name) for name in learners.__all__]
    own = [kind for kind in own if isinstance(kind, type) and issubclass(kind, UpliftLearner)]
    own.sort(key=lambda kind: (kind.__name__ != "UpliftStack", kind.__name__))
    baselines = [SoloModelLearner, TwoModelsLearner, ClassTransformationLearner]
    return {
        **{kind.__name__: ours(kind) for kind in own},
        **{f"scikit-uplift {kind.__name__.removesuffix('Learner')}, our trees": ours(kind) for kind in baselines},
        "scikit-uplift SoloModel, LightGBM's defaults": scikit_uplift(lambda: SoloModel(lightgbm())),
        "scikit-uplift TwoModels, LightGBM's defaults": scikit_uplift(lambda: TwoModels(lightgbm(), lightgbm())),
    }


def tasks() -> dict[str, tuple[pd.DataFrame, np.ndarray, np.ndarray, pd.Series]]:
    """Features, action, visits and logged probabilities of each task."""
    dataset = datasets.load("hillstrom")
    window = dataset.playbook.program.attribution_window_days
    frame = training_frame(dataset.customers, dataset.contacts, dataset.outcomes, window_days=window)
    X = FeatureBuilder.fit(frame, dataset.playbook).transform(frame, frame["decided_at"])
    action, visit = frame["action"].to_numpy(dtype=object), frame["reactivated"].to_numpy()
    pair = np.isin(action, [CONTROL, WOMENS])
    return {
        "womens": (X[pair], action[pair], visit[pair], pd.Series({CONTROL: 1 / 2, WOMENS: 1 / 2})),
        "both": (X, np.where(action == CONTROL, CONTROL, EMAIL), visit, pd.Series({CONTROL: 1 / 3, EMAIL: 2 / 3})),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=list(PUBLISHED), action="append", help="default: all")
    parser.add_argument("--only", default="", help="part of a learner's name")
    parser.add_argument("--folds", type=int, default=10, help="how many of the ten folds to run")
    options = parser.parse_args()
    # scikit-uplift's metrics use what scikit-learn is about to drop
    warnings.filterwarnings("ignore", category=FutureWarning)
    print("| task | learner | mean of folds x 100 | folds | folds without ranking | best published | seconds |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for task, (X, action, y, propensity) in tasks().items():
        if options.task and task not in options.task:
            continue
        stratum = pd.Series(action).astype(str) + pd.Series(y).astype(int).astype(str)
        folds = list(StratifiedKFold(10, shuffle=True, random_state=60).split(X, stratum))[: options.folds]
        for name, rank in competitors().items():
            if options.only.lower() not in name.lower():
                continue
            start, scores, constant = time.monotonic(), [], 0
            for train, test in folds:
                uplift = rank(X.iloc[train], action[train], y[train], propensity, X.iloc[test])
                constant += np.ptp(uplift) == 0
                scores.append(qini_auc_score(y[test], uplift, (action[test] != CONTROL).astype(int)))
            cells = [task, name, f"{100 * np.mean(scores):.2f}", str(len(folds)), str(constant)]
            print(f"| {' | '.join([*cells, str(PUBLISHED[task]), f'{time.monotonic() - start:.0f}'])} |", flush=True)


if __name__ == "__main__":
    main()
