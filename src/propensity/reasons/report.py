"""Can the reasons for churn be told from what is known of people? Measured on people whom the model did not see."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from scipy import stats

from propensity.errors import InputError
from propensity.evaluation.calibration import calibration_table
from propensity.evaluation.estimate import Estimate, mean_estimate, normal_estimate
from propensity.learners._typing import Matrix, State, Vector
from propensity.learners.folds import stratified_folds
from propensity.learners.sample import derive_seed
from propensity.reasons.calibration import Codes
from propensity.reasons.classifier import MIN_PEOPLE, People, ReasonClassifier, checked_reasons, people_with_reason

N_FOLDS = 5
SHARED_ERROR = math.sqrt(2)
"""How much wider than for a given model the intervals of AUC and gain are. Each fold's model learnt from the others, so
that what is noise counts for a pair of people in both directions; where nothing but noise is left (features that say
little) the spread of a cross-validated difference is up to this much larger (`heterogeneity_test` has the same in
effects). Elsewhere the intervals are too wide, which harms less."""
LITTLE = 0.1
"""A model that removes less than this share of the uncertainty says little, however surely it says it."""
MINIMUMS = (0.4, 0.5, 0.6, 0.7, 0.8)
"""Least chances that a playbook may ask for."""
CALIBRATION_GROUPS = 5


class Sureness(NamedTuple):
    """What asking for a least chance would do to the evaluated people, had they given no reason.

    Attributes
    ----------
    minimum : float
    share : float
        Of people who would be given a reason: the likeliest one, if its chance is at least ``minimum`` and above the
        share of people who left for it.
    claimed, right : float
        Mean chance of the given reasons, and the share of them that had been stated; None where nobody is given one.
    """

    minimum: float
    share: float
    claimed: float | None
    right: float | None


@dataclass(frozen=True)
class ReasonReport:
    """How well reasons are told, by people scored by a model that had not seen them.

    Every estimate is of the mean performance of the folds' models on new people (the test error of cross-validation;
    Bayle et al. 2020), with a normal interval by person; those of AUC and gain are widened (see `SHARED_ERROR`).

    Attributes
    ----------
    told_from : str
        "features" or "exit answers".
    counts : dict
        People by reason, as evaluated.
    left_out : dict
        People by reason, of reasons that too few gave.
    auc : Estimate
        Mean over reasons of `auc_by_reason`. The class shares have 0.5: they rank nobody.
    auc_by_reason : dict of Estimate
        Chance that a person who left for the reason is given more of it than a person who left for another one;
        ties count half. Only people scored by the same model are compared.
    log_loss, share_log_loss : Estimate
        Mean of minus the log of the chance given to what was stated, in nats: by the model, and by the shares of the
        reasons among the people that the model learnt from.
    gain : Estimate
        ``share_log_loss`` minus ``log_loss``, paired by person: above 0 where the model says more than the shares.
    calibration : tuple of dict
        For each ``reason`` the rows of `calibration_table`: fifths of people by its chance, what the chances say and
        how many did state it.
    sureness : tuple of Sureness
        By least chance.

    References
    ----------
    Bayle, Bayle, Janson, Mackey (2020), Cross-validation confidence intervals for test error, NeurIPS.
    DeLong, DeLong, Clarke-Pearson (1988), Comparing the areas under two or more correlated receiver operating
    characteristic curves, Biometrics 44.
    """

    told_from: str
    counts: dict[str, int]
    left_out: dict[str, int]
    auc: Estimate
    auc_by_reason: dict[str, Estimate]
    log_loss: Estimate
    share_log_loss: Estimate
    gain: Estimate
    calibration: tuple[dict[str, Any], ...] = field(repr=False)
    sureness: tuple[Sureness, ...]

    @property
    def n(self) -> int:
        """People evaluated."""
        return sum(self.counts.values())

    @property
    def shown(self) -> bool:
        """Whether the model is shown to say more than the shares of the reasons do."""
        return self.gain.low > 0

    @property
    def sentence(self) -> str:
        """Whether the reasons can be told at all, for people."""
        from propensity.pages.words import interval

        what = self.told_from
        removed = self.gain.times(100 / self.share_log_loss.value)
        figures = f"of the uncertainty that the shares of the reasons leave it removes {interval(removed)} per cent"
        if removed.low > 0:
            much = "a little" if removed.value < 100 * LITTLE else "something"
            return f"The {what} say {much} about why people left. A model of them predicts better: {figures}."
        if removed.high < 0:
            return f"The model misleads about why people left. The shares alone predict better: {figures}."
        return (
            f"The {what} say next to nothing about why people left. A model of them is not shown to predict better: "
            f"{figures}."
        )

    @property
    def consequence(self) -> str:
        """What decisions make of it, for people."""
        if self.shown:
            return "Decisions use it for people who stated no reason."
        return "So decisions do not use it."

    def to_state(self) -> State:
        """As JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """The report that `to_state` described."""
        return cls(
            told_from=state["told_from"],
            counts=state["counts"],
            left_out=state["left_out"],
            auc=Estimate(*state["auc"]),
            log_loss=Estimate(*state["log_loss"]),
            share_log_loss=Estimate(*state["share_log_loss"]),
            gain=Estimate(*state["gain"]),
            auc_by_reason={reason: Estimate(*area) for reason, area in state["auc_by_reason"].items()},
            calibration=tuple(state["calibration"]),
            sureness=tuple(Sureness(*row) for row in state["sureness"]),
        )


def least_people(n_folds: int = N_FOLDS) -> int:
    """How many people must have given a reason: so many that every fold has one, and its model `MIN_PEOPLE`."""
    return max(n_folds, math.ceil(MIN_PEOPLE * n_folds / (n_folds - 1)))


def reason_report(
    model_factory: Callable[[], ReasonClassifier[People]],
    X: People,
    reason: pd.Series,
    random_state: int = 0,
    *,
    n_folds: int = N_FOLDS,
    level: float = 0.95,
    told_from: str = "features",
    minimums: Sequence[float] = MINIMUMS,
) -> ReasonReport:
    """Cross-validate a model of reasons; all of its fitting, calibration included, happens inside the folds.

    Parameters
    ----------
    model_factory : callable
        Makes a fresh model for each fold, e.g. ``lambda: ReasonModel(random_state=0)``.
    X : DataFrame (n, d), or Series (n,) of texts
    reason : Series (n,)
        Stated reasons; people with a missing one are ignored. Reasons that too few people gave for a fold's model to
        learn are left out, with a `RareReasonWarning`.
    random_state : int
        Of the folds.
    n_folds : int
        At least 2.
    level : float
        Confidence of the intervals.
    told_from : str
        What ``X`` is, for people: "features" or "exit answers".
    minimums : sequence of float
        Least chances of ``sureness``.

    Raises
    ------
    InputError
        Faulty reasons, fewer than two that can be evaluated, or a model that ruled out what was stated.
    """
    found = out_of_fold(model_factory, X, reason, random_state, n_folds)
    chance, share, code, fold = found.chance, found.share, found.code, found.fold
    loss, share_loss = (-np.log(_of_stated(table, code)) for table in (chance, share))
    areas = [_area(chance[:, j], code == j, fold) for j in range(len(found.reasons))]
    auc = float(np.mean([area for area, _ in areas])), np.mean([influence for _, influence in areas], axis=0)
    gain = share_loss - loss
    given = checked_reasons(pd.Series(reason)).value_counts()
    return ReasonReport(
        told_from=told_from,
        counts={name: int(n) for name, n in zip(found.reasons, np.bincount(code), strict=True)},
        left_out={str(name): int(n) for name, n in given.items() if name not in found.reasons},
        auc=_widened(*auc, level),
        auc_by_reason={name: _widened(*area, level) for name, area in zip(found.reasons, areas, strict=True)},
        log_loss=mean_estimate(loss, level),
        share_log_loss=mean_estimate(share_loss, level),
        gain=_widened(float(gain.mean()), gain - gain.mean(), level),
        calibration=tuple(_calibration(chance, code, found.reasons)),
        sureness=tuple(_sureness(chance, share, code, minimum) for minimum in minimums),
    )


class OutOfFold(NamedTuple):
    """Chances of people's reasons by models that had not seen them.

    Attributes
    ----------
    reasons : list of str
    rows, code, fold : int array (people,)
        Rows of ``X`` that were evaluated, the position of what was stated among ``reasons``, and the fold.
    chance, share : array (people, reasons)
        By the model, and the shares of those whom it learnt from.
    """

    reasons: list[str]
    rows: Codes
    code: Codes
    fold: Codes
    chance: Matrix
    share: Matrix


def out_of_fold(
    model_factory: Callable[[], ReasonClassifier[People]],
    X: People,
    reason: pd.Series,
    random_state: int = 0,
    n_folds: int = N_FOLDS,
) -> OutOfFold:
    """What `reason_report` is computed from; arguments and errors are the same."""
    if n_folds < 2:
        raise InputError(f"n_folds: expected at least 2, found {n_folds}")
    rows, code, reasons = people_with_reason(reason, len(X), least_people(n_folds))
    known, stated = X.iloc[rows], pd.Series(np.array(reasons, dtype=object)[code])
    fold = stratified_folds(code, np.zeros(len(code)), n_folds, derive_seed(random_state, "report"))
    chance, share = np.empty((2, len(code), len(reasons)))
    for k in range(n_folds):
        seen, unseen = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        model = model_factory().fit(known.iloc[seen], stated.iloc[seen])
        chance[unseen] = model.probabilities(known.iloc[unseen])[reasons].to_numpy()
        share[unseen] = np.bincount(code[seen], minlength=len(reasons)) / len(seen)
    return OutOfFold(reasons, rows, code, fold, chance, share)


def _calibration(chance: Matrix, code: Codes, reasons: list[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for j, reason in enumerate(reasons):
        table = calibration_table(chance[:, j], (code == j).astype(float), CALIBRATION_GROUPS)
        rows += [{"reason": reason, **{str(k): v for k, v in row.items()}} for row in table.to_dict(orient="records")]
    return rows


def _sureness(chance: Matrix, share: Matrix, code: Codes, minimum: float) -> Sureness:
    row, likeliest = np.arange(len(code)), chance.argmax(axis=1)
    best = chance[row, likeliest]
    given = (best >= minimum) & (best > share[row, likeliest])
    if not given.any():
        return Sureness(minimum, 0.0, None, None)
    return Sureness(minimum, float(given.mean()), float(best[given].mean()), float((likeliest == code)[given].mean()))


def _widened(value: float, influence: Vector, level: float) -> Estimate:
    return normal_estimate(value, SHARED_ERROR * influence, np.ones(len(influence)), level)


def _of_stated(chance: Matrix, code: Codes) -> Vector:
    """The chance (n,) that was given to what each person stated."""
    given = chance[np.arange(len(code)), code]
    if (given <= 0).any():
        raise InputError(
            f"model: expected a chance above 0 for every reason, found 0 for {int((given <= 0).sum())} people"
        )
    return given


def _area(score: Vector, positive: np.ndarray, fold: Codes) -> tuple[float, Vector]:
    """AUC over pairs within folds, and each person's influence (n,) on it (DeLong et al. 1988).

    Pairs across folds are left out: their models differ in level, and a fold with more of a reason leaves less of it to
    learn from, so that even a model that says nothing would rank people, backwards.
    """
    wins, rivals = np.empty((2, len(score)))
    for k in np.unique(fold):
        ahead, behind = np.flatnonzero((fold == k) & positive), np.flatnonzero((fold == k) & ~positive)
        ranks = stats.rankdata(score[np.r_[ahead, behind]])
        # in how many pairs of theirs the order is right, ties half
        wins[ahead] = ranks[: len(ahead)] - stats.rankdata(score[ahead])
        wins[behind] = len(ahead) - (ranks[len(ahead) :] - stats.rankdata(score[behind]))
        rivals[ahead], rivals[behind] = len(behind), len(ahead)
    n_pairs = rivals[positive].sum()
    area = float(wins[positive].sum() / n_pairs)
    # about the mean of all folds: about each fold's own it would be too small where a fold has few of a reason
    return area, (wins - area * rivals) * len(score) / n_pairs
