"""What the two models of reasons share: who is learnt from, calibration on unseen people, and how they are saved."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from dataclasses import asdict
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
import pandas as pd
from scipy.special import log_softmax
from sklearn.exceptions import NotFittedError

from propensity.contract import REASONS, as_text
from propensity.errors import InputError
from propensity.learners._typing import Matrix, State, Vector
from propensity.learners.folds import stratified_folds
from propensity.learners.sample import derive_seed
from propensity.reasons.calibration import Codes, ShareCalibration
from propensity.threads import in_parallel

MIN_PEOPLE = 20
"""A fit leaves out reasons that fewer people gave. What is also judged out of fold needs some more, so that the fits
inside the folds have as many (`report.least_people`)."""
N_FOLDS = 5

People = TypeVar("People", pd.DataFrame, pd.Series)
Scored = TypeVar("Scored", contravariant=True)


class RareReasonWarning(UserWarning):
    """Too few people gave a reason, and it is left out."""


class Scorer(Protocol[Scored]):
    """A fit that is not calibrated yet."""

    def log_scores(self, X: Scored) -> Matrix:
        """Log-chances (n, reasons) up to a constant a row; NaN in rows of which nothing can be said."""
        ...

    def to_state(self) -> State:
        """As JSON-ready values and Boosters."""
        ...


class ReasonClassifier(ABC, Generic[People]):
    """Pr[reason | X], calibrated out of fold and drawn towards the shares of the reasons.

    The scores of five folds, each from the other four, decide how far to go from the shares (see `ShareCalibration`);
    then one fit on everybody makes the scores.

    Parameters
    ----------
    random_state : int

    Attributes
    ----------
    reasons_ : list of str
        The learnt ones, in the order of the taxonomy.
    shares_ : array (reasons,)
        Of the people learnt from.
    calibration_ : ShareCalibration
    """

    def __init__(self, random_state: int = 0) -> None:
        self.random_state = random_state

    def fit(self, X: People, reason: pd.Series) -> Self:
        """Fit on the people whose reason is known.

        Parameters
        ----------
        X : (n, ...)
        reason : Series (n,)
            A reason of the taxonomy, in the order of ``X``; people with a missing one are ignored. So are reasons
            that fewer than `MIN_PEOPLE` gave, with a `RareReasonWarning`.

        Raises
        ------
        InputError
            Rows do not match, a reason is not in the taxonomy, or fewer than two can be learnt.
        """
        X = self._checked(X)
        rows, code, self.reasons_ = people_with_reason(reason, len(X))
        known = X.iloc[rows]
        self.shares_: Vector = np.bincount(code, minlength=len(self.reasons_)) / len(code)
        self.calibration_ = self._calibration(known, code)
        # a scorer that is given no weight need not be kept
        self.scorer_: Scorer[People] | None = None
        if not self.calibration_.says_nothing:
            self.scorer_ = self._fit_scorer(known, code, len(self.reasons_))
        return self

    def _calibration(self, X: People, code: Codes) -> ShareCalibration:
        n_reasons = len(self.reasons_)
        fold = stratified_folds(code, np.zeros(len(code)), N_FOLDS, derive_seed(self.random_state, "reasons"))
        tilt, log_shares = np.empty((2, len(code), n_reasons))

        def score(k: int) -> tuple[Matrix, Vector]:
            seen, unseen = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
            log_share = np.log(np.bincount(code[seen], minlength=n_reasons) / len(seen))
            scorer = self._fit_scorer(X.iloc[seen], code[seen], n_reasons)
            return _tilt(scorer.log_scores(X.iloc[unseen]), log_share), log_share

        for k, (tilted, log_share) in enumerate(in_parallel(score, range(N_FOLDS), len(code))):
            tilt[fold == k], log_shares[fold == k] = tilted, log_share
        return ShareCalibration.fit(tilt, log_shares, code)

    def probabilities(self, X: People) -> pd.DataFrame:
        """Chance of each learnt reason, DataFrame (n, reasons); rows sum to 1."""
        if not hasattr(self, "reasons_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet; call fit first")
        X = self._checked(X)
        scores = None if self.scorer_ is None else self.scorer_.log_scores(X)
        return pd.DataFrame(self._calibrated(scores, len(X)), columns=self.reasons_, index=X.index)

    def _calibrated(self, log_scores: Matrix | None, n: int) -> Matrix:
        """Chances (n, reasons) of scores; the shares where there are none."""
        if log_scores is None:
            return np.tile(self.shares_, (n, 1))
        return self.calibration_.probabilities(_tilt(log_scores, np.log(self.shares_)), self.shares_)

    @property
    def shares(self) -> dict[str, float]:
        """`shares_` by reason."""
        return dict(zip(self.reasons_, map(float, self.shares_), strict=True))

    @abstractmethod
    def _checked(self, X: People) -> People: ...

    @abstractmethod
    def _fit_scorer(self, X: People, code: Codes, n_reasons: int) -> Scorer[People]: ...

    @abstractmethod
    def _scorer_from_state(self, state: State) -> Scorer[People]: ...

    def to_state(self) -> State:
        """The fitted model as JSON-ready values and Boosters (see `persistence.save_state`)."""
        return {
            "random_state": self.random_state,
            "reasons": self.reasons_,
            "shares": self.shares_.tolist(),
            "calibration": asdict(self.calibration_),
            "scorer": None if self.scorer_ is None else self.scorer_.to_state(),
        }

    def load_state(self, state: State) -> Self:
        """Take over a state that `to_state` wrote."""
        self.random_state = state["random_state"]
        self.reasons_ = list(state["reasons"])
        self.shares_ = np.asarray(state["shares"], dtype=np.float64)
        self.calibration_ = ShareCalibration(**state["calibration"])
        self.scorer_ = None if state["scorer"] is None else self._scorer_from_state(state["scorer"])
        return self


def _tilt(log_scores: Matrix, log_shares: np.ndarray) -> Matrix:
    # a row of which nothing can be said keeps the shares
    return np.nan_to_num(log_softmax(log_scores, axis=1) - log_shares)


def people_with_reason(reason: object, n: int, smallest: int = MIN_PEOPLE) -> tuple[Codes, Codes, list[str]]:
    """Who can be learnt from, and what.

    Parameters
    ----------
    reason : array-like (n,)
        Missing where unknown.
    n : int
        Rows of X.
    smallest : int
        People that a reason needs; others are left out with a `RareReasonWarning`.

    Returns
    -------
    rows, code : int array (people,)
        Their rows, and the position of their reason among the kept ones.
    reasons : list of str
        The kept ones, in the order of the taxonomy.

    Raises
    ------
    InputError
        Rows do not match, a reason is not in the taxonomy, or fewer than two are left.
    """
    stated = checked_reasons(pd.Series(reason))
    if len(stated) != n:
        raise InputError(f"reason: expected {n:,} as X has rows, found {len(stated):,}")
    counts = stated.value_counts()
    found = [name for name in REASONS if name in counts.index]
    reasons = [name for name in found if counts[name] >= smallest]
    rare = ", ".join(f"{name} ({counts[name]})" for name in found if name not in reasons)
    if len(reasons) < 2:
        kept = ", ".join(f"{name} ({counts[name]:,})" for name in found) or "none"
        raise InputError(f"reason: expected at least two reasons that {smallest} people or more gave, found {kept}")
    if rare:
        text = f"reason: left out because fewer than {smallest} people gave it: {rare}"
        warnings.warn(text, RareReasonWarning, stacklevel=3)
    code = pd.Index(reasons).get_indexer(pd.Index(stated))
    rows = np.flatnonzero(code >= 0)
    return rows, code[rows], reasons


def checked_reasons(reason: pd.Series) -> pd.Series:
    """Reasons as texts, missing where there is none.

    Raises
    ------
    InputError
        One is not of the taxonomy.
    """
    texts = as_text(reason)
    wrong = texts[texts.notna() & ~texts.isin(REASONS)].value_counts()
    if len(wrong):
        found = ", ".join(f"{label!r} ({count:,} rows)" for label, count in wrong.items())
        raise InputError(f"reason: expected one of {', '.join(REASONS)} or a missing value, found {found}")
    return texts
