"""The reason for churn from what people wrote when they left, in any language."""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from propensity.errors import InputError
from propensity.learners._typing import Matrix, State, Vector
from propensity.reasons.calibration import Codes
from propensity.reasons.classifier import ReasonClassifier

CHARACTERS = (2, 4)
"""Lengths of the runs of characters: they tie inflected and misspelt words together, and stand in for words where a
language writes none apart."""
MIN_ANSWERS = 3
"""Answers that a term must be in. What one person wrote says nothing about others, and is not ours to keep."""
MAX_TERMS = 20_000
MAX_ITERATIONS = 1_000


class NothingInCommonError(InputError):
    """No word, and no part of one, is in enough answers to learn from."""


def terms(answer: str) -> list[str]:
    """Words, pairs of neighbouring words, and runs of characters inside words, of one answer.

    Only letters and their marks count: numbers in answers are mostly those of accounts and telephones. Words begin
    with "=", which no run of characters does.
    """
    text = unicodedata.normalize("NFKC", answer).casefold()
    words = "".join(c if unicodedata.category(c)[0] in "LM" else " " for c in text).split()
    found = [f"={word}" for word in words] + [f"={a} ={b}" for a, b in pairwise(words)]
    for word in words:
        padded = f" {word} "
        found += [
            padded[start : start + length]
            for length in range(CHARACTERS[0], CHARACTERS[1] + 1)
            for start in range(len(padded) - length + 1)
        ]
    return found


def terms_of_all(answers: pd.Series) -> pd.Series:
    """The terms of each answer (n,): a Series of lists. Equal terms are one object, of which texts have many."""
    same: dict[str, str] = {}
    lists = [[same.setdefault(term, term) for term in terms(answer)] for answer in answers]
    return pd.Series(lists, index=answers.index, dtype=object)


@dataclass(frozen=True)
class TextScorer:
    """TF-IDF of terms and a logistic regression with one log-score a reason.

    Attributes
    ----------
    tfidf : TfidfVectorizer
    coefficients : array (reasons, terms)
    intercepts : array (reasons,)
    """

    tfidf: TfidfVectorizer
    coefficients: Matrix
    intercepts: Vector

    @classmethod
    def fit(cls, answers: pd.Series, code: Codes) -> TextScorer:
        """Fit on the terms of answers (n,) and positions of reasons (n,).

        Raises
        ------
        NothingInCommonError
            No term is in `MIN_ANSWERS` answers.
        """
        in_answers: Counter[str] = Counter()
        for found in answers:
            in_answers.update(set(found))
        common = {term: n for term, n in in_answers.items() if n >= MIN_ANSWERS}
        if not common:
            raise NothingInCommonError(
                f"text: expected words or parts of words that {MIN_ANSWERS} answers share, "
                f"found none in {len(answers):,} answers"
            )
        # ties by the term itself, so that the order of the answers does not matter
        kept = sorted(common, key=lambda term: (-common[term], term))[:MAX_TERMS]
        tfidf = _vectorizer(sorted(kept)).fit(answers)
        regression = LogisticRegression(max_iter=MAX_ITERATIONS).fit(tfidf.transform(answers), code)
        coefficients, intercepts = regression.coef_, regression.intercept_
        if len(coefficients) == 1:
            # of two reasons only the second has a score
            coefficients, intercepts = np.vstack([0 * coefficients, coefficients]), np.r_[0.0, intercepts]
        return cls(tfidf, coefficients, intercepts)

    def log_scores(self, answers: pd.Series) -> Matrix:
        """Log-chances (n, reasons) up to a constant a row, from terms; NaN where an answer holds no known one."""
        weights = self.tfidf.transform(answers)
        scores = np.asarray(weights @ self.coefficients.T + self.intercepts)
        scores[weights.getnnz(axis=1) == 0] = np.nan
        return scores

    def to_state(self) -> State:
        """As JSON-ready values."""
        return {
            "vocabulary": self.tfidf.get_feature_names_out().tolist(),
            "idf": self.tfidf.idf_.tolist(),
            "coefficients": self.coefficients.tolist(),
            "intercepts": self.intercepts.tolist(),
        }

    @classmethod
    def from_state(cls, state: State) -> TextScorer:
        """The scorer that `to_state` described."""
        tfidf = _vectorizer(state["vocabulary"])
        tfidf.idf_ = np.asarray(state["idf"])
        return cls(tfidf, np.asarray(state["coefficients"]), np.asarray(state["intercepts"]))


def _vectorizer(vocabulary: list[str]) -> TfidfVectorizer:
    return TfidfVectorizer(analyzer=_as_found, vocabulary=vocabulary, sublinear_tf=True)


def _as_found(found: list[str]) -> list[str]:
    return found


class ReasonTextModel(ReasonClassifier[pd.Series]):
    """Pr[reason | exit answer], calibrated; see `ReasonClassifier`. Fitted on a company's own labelled answers.

    ``X`` is a Series (n,) of text. Empty and missing answers, and those that hold no term that was learnt, get the
    shares of the reasons.
    """

    def understood(self, answers: pd.Series) -> pd.Series:
        """Which answers (n,) hold a term that was learnt, so that their chances come from the answer itself."""
        answers = self._checked(answers)
        known = (
            self.scorer_.tfidf.transform(answers).getnnz(axis=1) > 0 if isinstance(self.scorer_, TextScorer) else False
        )
        return pd.Series(known, index=answers.index, dtype=bool)

    def _checked(self, X: pd.Series) -> pd.Series:
        if not isinstance(X, pd.Series):
            raise InputError(f"text: expected a pandas Series of texts, found {type(X).__name__}")
        return terms_of_all(X.astype(object).where(X.notna(), "").astype(str))

    def _fit_scorer(self, X: pd.Series, code: Codes, n_reasons: int) -> TextScorer:
        return TextScorer.fit(X, code)

    def _scorer_from_state(self, state: State) -> TextScorer:
        return TextScorer.from_state(state)
