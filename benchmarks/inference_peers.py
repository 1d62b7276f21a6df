"""Do the statistics of experiments agree with tea-tasting and EconML where both compute the same?

Neither is in the lock; they go beside ours without their own dependencies:
`pip install --no-deps -r benchmarks/inference-peers-requirements.txt`, then `python benchmarks/inference_peers.py`. It
fails where figures that should be the same differ by more than one in a million.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import tea_tasting as tt
from econml.dml import LinearDML
from econml.dr import LinearDRLearner
from econml.inference import NormalInferenceResults
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from propensity import datasets
from propensity.evaluation import best_linear_predictor, mean_estimate
from propensity.evaluation.scores import score_matrix
from propensity.frame import all_actions, logged_propensity, training_frame
from propensity.inference import holm, lift, sample_ratio_test
from propensity.inference.covariates import Standardised
from propensity.learners.averages import average_effects
from propensity.learners.heterogeneity import slope_t_statistic

SAME = 1e-6
"""Relative difference up to which figures are the same."""
FOLDS = 2
CHARITY_FILE = "charity_match.csv.gz"


class Figure(NamedTuple):
    """A figure as both compute it; ``method`` says what differs where they are not to be the same."""

    name: str
    ours: float
    theirs: float
    method: str = ""

    @property
    def difference(self) -> float:
        """Relative."""
        return abs(self.ours / self.theirs - 1)


class Trial(NamedTuple):
    """An experiment on real people: arm 0 is the control."""

    name: str
    y: np.ndarray
    arm: np.ndarray
    chances: pd.DataFrame
    known: np.ndarray


def tea_tasting() -> Iterator[Figure]:
    """Simulated shop: share who bought and revenue, with and without past spend."""
    rng = np.random.default_rng(0)
    n = 20_000
    sent, past = rng.random(n) < 0.3, rng.exponential(size=n)
    bought = rng.random(n) < 0.05 + 0.01 * sent
    spent = bought * (past + rng.exponential(30, n))
    data = pd.DataFrame({"variant": sent.astype(int), "bought": bought.astype(int), "spent": spent, "past": past})
    chances = pd.DataFrame({"control": np.full(n, 0.7), "mail": 0.3})
    action = np.where(sent, "mail", "control")
    theirs = tt.Experiment(
        bought=tt.Mean("bought", use_t=False),
        spent=tt.Mean("spent", use_t=False),
        adjusted=tt.Mean("spent", covariate="past", use_t=False),
        ratio=tt.SampleRatio({0: 7, 1: 3}, method="norm", correction=False),
    ).analyze(data)
    one_slope = "one slope for both arms there, one each here"
    for name, key, column, covariates, method in (
        ("share who bought", "bought", "bought", None, ""),
        ("revenue", "spent", "spent", None, ""),
        ("revenue, adjusted", "adjusted", "spent", past[:, None], one_slope),
    ):
        (found,) = lift(data[column], action, chances, covariates=covariates)
        other = theirs[key]
        yield Figure(f"{name}: difference", found.difference, other.effect_size, method)
        yield Figure(f"{name}: lower bound", found.low, other.effect_size_ci_lower, method)
        yield Figure(f"{name}: upper bound", found.high, other.effect_size_ci_upper, method)
        yield Figure(f"{name}: p-value", found.p_value, other.pvalue, method)
        if found.relative is not None:
            low = found.relative.low
            yield Figure(f"{name}: relative, lower", low, other.rel_effect_size_ci_lower, "delta method there")
    yield Figure("sample ratio: p-value", sample_ratio_test(action, chances).p_value, theirs["ratio"].pvalue)
    several = tt.adjust_fwer(theirs, ("bought", "spent"), method="bonferroni", arbitrary_dependence=True).to_dicts()
    for ours, other in zip(holm([x["pvalue"] for x in several]), several, strict=True):
        yield Figure(f"Holm: {other['metric']}", ours, other["pvalue_adj"])


class Chances(ClassifierMixin, BaseEstimator):
    """Stands for a model of the chances and gives known ones, by the row's number in the last column."""

    def __init__(self, table: np.ndarray) -> None:
        self.table = table

    def fit(self, X: np.ndarray, y: np.ndarray) -> Chances:
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return self.table[X[:, -1].astype(int)]

    def predict(self, X: np.ndarray) -> np.ndarray:
        # EconML asks for it for a score that nobody reads
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class Outcomes(RegressorMixin, BaseEstimator):
    """Stands for a model of the outcome and gives known values: of the arm whose indicator is 1 (none: the control)."""

    def __init__(self, table: np.ndarray) -> None:
        self.table = table

    def fit(self, X: np.ndarray, y: np.ndarray) -> Outcomes:
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        arms = self.table.shape[1] - 1
        row, indicator = X[:, X.shape[1] - arms - 1].astype(int), X[:, X.shape[1] - arms :]
        return self.table[row, (indicator @ np.arange(1, arms + 1)).astype(int)]


class Averages(RegressorMixin, BaseEstimator):
    """Stands for a model of the outcome over all arms and gives known values, by the row's number."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def fit(self, X: np.ndarray, y: np.ndarray) -> Averages:
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.values[X[:, -1].astype(int)]


def trials() -> Iterator[Trial]:
    """Hillstrom (three arms) and the charity's letters (two), each with its rare outcome and its amount."""
    places = [directory / CHARITY_FILE for directory, _ in datasets.data_directories()]
    charity = next(place for place in places if place.is_file())
    for name, data, known in (
        ("Hillstrom", datasets.load("hillstrom"), "annual_value"),
        ("charity", datasets.load(str(charity), mapping="charity", quarantine=True), "months_since_gift"),
    ):
        window = data.playbook.program.attribution_window_days
        frame = training_frame(data.customers, data.contacts, data.outcomes, window_days=window)
        chances = logged_propensity(frame, all_actions(data.playbook.labels))
        for outcome in ("reactivated", "revenue"):
            arm = chances.columns.get_indexer(frame["action"])
            values = frame[[known]].to_numpy(dtype=float)
            yield Trial(f"{name}, {outcome}", frame[outcome].to_numpy(dtype=float), arm, chances, values)


def doubly_robust(trial: Trial, outcome: np.ndarray, *, features: bool) -> LinearDRLearner:
    """EconML's doubly robust learner with the known chances and the given outcome predictions (n, n arms)."""
    row = np.arange(len(trial.y), dtype=float)[:, None]
    learner = LinearDRLearner(
        model_propensity=Chances(trial.chances.to_numpy()),
        model_regression=Outcomes(outcome),
        min_propensity=1e-9,
        cv=FOLDS,
        random_state=0,
    )
    centred = trial.known - trial.known.mean(axis=0)
    return learner.fit(trial.y, trial.arm, X=centred if features else None, W=row, inference="auto")


def econml(trial: Trial) -> Iterator[Figure]:
    """Average effects, their errors, the slope on one covariate and the R-loss's slope, from the same predictions."""
    chances, arms = trial.chances.to_numpy(), range(1, trial.chances.shape[1])
    labels = trial.chances.columns
    within = in_sample(trial)
    adjusted = lift(trial.y, labels[trial.arm], trial.chances, covariates=trial.known)
    theirs = doubly_robust(trial, within, features=False)
    shares = "planned shares there, those that came here; HC1 there, HC2 here"
    for a, found in zip(arms, adjusted, strict=True):
        effect, error = one(theirs.intercept__inference(T=a))
        yield Figure(f"{trial.name}, {found.action}: `lift`, adjusted", found.difference, effect)
        yield Figure(f"{trial.name}, {found.action}: its standard error", found.standard_error, error, shares)
    predicted = out_of_fold(trial)
    scores = score_matrix(trial.y, trial.arm, chances, predicted)
    averages = average_effects(scores, chances)
    theirs, with_slope = (doubly_robust(trial, predicted, features=features) for features in (False, True))
    for a in arms:
        name, gain = f"{trial.name}, {labels[a]}", scores[:, a] - scores[:, 0]
        effect, error = one(theirs.intercept__inference(T=a))
        ours = mean_estimate(gain)
        yield Figure(f"{name}: mean of the scores", ours.value, effect)
        yield Figure(f"{name}: its standard error", ours.standard_error, error)
        yield Figure(f"{name}: `average_effects`, standard error", averages.standard_error[a - 1], error)
        line = best_linear_predictor(gain, trial.known[:, 0])
        slope, error = one(with_slope.coef__inference(T=a))
        yield Figure(f"{name}: slope on the covariate", line.heterogeneity.value, slope)
        yield Figure(f"{name}: its standard error", line.heterogeneity.standard_error, error, "HC1 there, HC3 here")
    yield from residual_on_residual(trial, predicted)


def residual_on_residual(trial: Trial, predicted: np.ndarray) -> Iterator[Figure]:
    """The first arm against the control: Y - m(X) on 1{A = 1} - e, as in the test of heterogeneity."""
    pair = trial.arm < 2
    chance = trial.chances.to_numpy()[pair, 1] / trial.chances.to_numpy()[pair][:, :2].sum(axis=1)
    mean = (1 - chance) * predicted[pair, 0] + chance * predicted[pair, 1]
    y, treatment = trial.y[pair] - mean, (trial.arm[pair] == 1) - chance
    learner = LinearDML(
        model_y=Averages(mean),
        model_t=Chances(np.column_stack([1 - chance, chance])),
        discrete_treatment=True,
        cv=FOLDS,
        random_state=0,
    )
    row = np.arange(len(y), dtype=float)[:, None]
    learner.fit(trial.y[pair], trial.arm[pair], W=row, inference="auto")
    effect, error = one(learner.intercept__inference())
    slope = float(treatment @ y / (treatment @ treatment))
    name = f"{trial.name}, {trial.chances.columns[1]}: residual on residual"
    yield Figure(name, slope, effect)
    # HC1 is HC0 times n / (n - 1)
    t = slope_t_statistic(y, treatment, np.ones(len(y))) * np.sqrt(1 - 1 / len(y))
    yield Figure(f"{name}, t", t, effect / error)


def one(found: NormalInferenceResults) -> tuple[float, float]:
    """The one estimate and its standard error."""
    return float(np.squeeze(found.point_estimate)), float(np.squeeze(found.stderr))


def in_sample(trial: Trial) -> np.ndarray:
    """What `lift` predicts by its weighted regressions within arms, (n, n arms)."""
    chances = trial.chances.to_numpy()
    design = np.column_stack([np.ones(len(trial.y)), Standardised(trial.known)[np.arange(len(trial.y))]])
    root = np.sqrt(1 / chances)
    fits = []
    for a in range(chances.shape[1]):
        mine = trial.arm == a
        weight = root[mine, a]
        fits.append(np.linalg.lstsq(design[mine] * weight[:, None], trial.y[mine] * weight, rcond=None)[0])
    return design @ np.column_stack(fits)


def out_of_fold(trial: Trial) -> np.ndarray:
    """Least squares within arms, each half of the people predicted by the other, (n, n arms)."""
    rows = np.arange(len(trial.y))
    design = np.column_stack([np.ones(len(rows)), trial.known])
    predicted = np.empty(trial.chances.shape)
    for fold in range(FOLDS):
        for a in range(predicted.shape[1]):
            others = (rows % FOLDS != fold) & (trial.arm == a)
            slopes = np.linalg.lstsq(design[others], trial.y[others], rcond=None)[0]
            predicted[rows % FOLDS == fold, a] = design[rows % FOLDS == fold] @ slopes
    return predicted


def report(title: str, figures: list[Figure]) -> bool:
    """Print a table; whether all that should be the same are."""
    print(f"| figure | ours | {title} | relative difference | methods differ in |\n|---|---|---|---|---|")
    for x in figures:
        print(f"| {x.name} | {x.ours:.8f} | {x.theirs:.8f} | {x.difference:.1e} | {x.method} |")
    same = [x.difference for x in figures if not x.method]
    print(f"\n{len(same)} figures by the same method, the largest relative difference {max(same):.1e}\n")
    return max(same) <= SAME


def main() -> None:
    warnings.simplefilter("ignore")
    agreed = report("tea-tasting", list(tea_tasting()))
    agreed &= report("EconML", [figure for trial in trials() for figure in econml(trial)])
    sys.exit(0 if agreed else 1)


if __name__ == "__main__":
    main()
