"""Models of the reason for churn as decisions use them: learnt where people stated one, kept if they say something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, Self

import numpy as np
import pandas as pd

from propensity.contract import REASONS, as_text
from propensity.learners._typing import State
from propensity.learners.sample import derive_seed
from propensity.people import People as PeopleByColumn
from propensity.people import taken
from propensity.reasons.assignment import Chances, Told
from propensity.reasons.classifier import People, ReasonClassifier, checked_reasons
from propensity.reasons.model import ReasonModel
from propensity.reasons.report import MINIMUMS, ReasonReport, least_people, reason_report
from propensity.reasons.text import NothingInCommonError, ReasonTextModel

MAX_JUDGED = 20_000
"""People by whom a model is judged; more would make its intervals hardly narrower, and training longer."""


@dataclass(frozen=True)
class Learnt(Generic[People]):
    """A model of reasons, and what people whom its folds had not seen say of it.

    Attributes
    ----------
    model : ReasonClassifier or None
        None where it is not shown to say more than the shares of the reasons: then it tells nobody's.
    report : ReasonReport
        By cross-validation on the people that it learnt from.
    """

    model: ReasonClassifier[People] | None
    report: ReasonReport


@dataclass(frozen=True)
class ReasonModels:
    """How reasons are told of people who stated none: by what they wrote, and by what is known of them.

    Attributes
    ----------
    text, features : Learnt or None
        None where there was nothing to learn from.
    """

    text: Learnt[pd.Series] | None = None
    features: Learnt[pd.DataFrame] | None = None

    @classmethod
    def fit(
        cls,
        X: pd.DataFrame,
        reason: pd.Series,
        answers: pd.Series | None = None,
        random_state: int = 0,
        minimum: float = MINIMUMS[0],
    ) -> Self:
        """Learn from people who stated a reason.

        Parameters
        ----------
        X : DataFrame (n, d)
            Features, without the reason.
        reason : Series (n,)
            Missing where none was stated. Reasons that fewer people gave than `least_people` are left out; where that
            leaves fewer than two, nothing is learnt.
        answers : Series (n,), optional
            What people wrote when they left, missing where nothing.
        random_state : int
        minimum : float
            Least chance that the playbook asks for; reports say what it does.

        Raises
        ------
        InputError
            A reason is not of the taxonomy.
        """
        stated = checked_reasons(reason)
        seeds = {name: derive_seed(random_state, name) for name in ("text", "features")}
        text = None
        if answers is not None:
            wrote = as_text(answers)
            try:
                text = _learnt(lambda: ReasonTextModel(seeds["text"]), wrote, stated.where(wrote.notna()), minimum)
            except NothingInCommonError:
                text = None
        features = None
        if X.shape[1]:
            features = _learnt(lambda: ReasonModel(seeds["features"]), X, stated, minimum)
        return cls(text, features)

    @property
    def reports(self) -> tuple[ReasonReport, ...]:
        """Of the models that were tried."""
        return tuple(learnt.report for learnt in (self.text, self.features) if learnt is not None)

    def assign(
        self,
        stated: pd.Series,
        answers: pd.Series | None,
        features: Callable[[pd.Index], pd.DataFrame],
        minimum: float,
        fallback: str,
    ) -> pd.DataFrame:
        """The reason that each person is treated by; see `assigned_reasons`.

        Parameters
        ----------
        stated : Series (n,)
            Missing where none was stated. Its index names the people.
        answers : Series (n,) or None
            What they wrote when they left.
        features : callable
            Gives the features of people, by their index; asked only for those who need a prediction.
        minimum : float
        fallback : str

        Returns
        -------
        DataFrame (n, 3)
            ``reason``, ``probability``, ``source``.
        """
        model = self.features.model if self.features else None
        given = checked_reasons(stated)
        texts = given.to_numpy(dtype=object)
        texts[given.isna().to_numpy()] = None

        def by_features(rows: np.ndarray) -> Chances | None:
            if model is None:
                return None
            found = model.probabilities(features(stated.index[rows]))
            return Chances(rows, found.to_numpy(), model.reasons_)

        return self._told(texts, answers, by_features).assigned(minimum, fallback).frame(stated.index)

    def told_of(self, people: PeopleByColumn, features: Callable[[], Mapping[str, Any]]) -> Told:
        """What is known of checked customers' reasons.

        Parameters
        ----------
        people : People
        features : callable
            Gives the columns of the model matrix, if they are needed.

        Raises
        ------
        InputError
            A stated reason is not of the taxonomy.
        """
        model = self.features.model if self.features else None

        def by_features(rows: np.ndarray) -> Chances | None:
            if not isinstance(model, ReasonModel):
                return None
            return Chances(rows, model.chances_of(taken(features(), rows), len(rows)), model.reasons_)

        stated = people.texts("reason")
        if any(text is not None and text not in REASONS for text in stated.tolist()):
            checked_reasons(people.table["reason"])
        answers = people.table["exit_answer"] if "exit_answer" in people else None
        return self._told(stated, answers, by_features)

    def _told(
        self, stated: np.ndarray, answers: pd.Series | None, by_features: Callable[[np.ndarray], Chances | None]
    ) -> Told:
        silent = np.flatnonzero(stated == None)  # noqa: E711 - element by element
        told: dict[str, Chances] = {}
        shares: dict[str, dict[str, float]] = {}
        text = self.text.model if self.text else None
        if isinstance(text, ReasonTextModel) and answers is not None and len(silent):
            wrote = as_text(answers.iloc[silent].set_axis(silent)).dropna()
            if len(wrote) and (understood := text.understood(wrote)).any():
                found = text.probabilities(wrote[understood])
                told["text"] = Chances(found.index.to_numpy(), found.to_numpy(), text.reasons_)
                shares["text"] = text.shares
        if self.features and self.features.model is not None and len(silent):
            predicted = by_features(silent)
            if predicted is not None:
                told["predicted"], shares["predicted"] = predicted, self.features.model.shares
        return Told(stated, told, shares)

    def to_state(self) -> State:
        """As JSON-ready values and Boosters."""
        return {name: _state(getattr(self, name)) for name in ("text", "features")}

    @classmethod
    def from_state(cls, state: State) -> Self:
        """The models that `to_state` described."""
        return cls(_from_state(ReasonTextModel, state["text"]), _from_state(ReasonModel, state["features"]))


def _learnt(
    factory: Callable[[], ReasonClassifier[People]], X: People, stated: pd.Series, minimum: float
) -> Learnt[People] | None:
    """The model, with its report; None where fewer than two reasons can be learnt."""
    model = factory()
    known = np.flatnonzero(stated.notna())
    judged = known
    if len(known) > MAX_JUDGED:
        draw = np.random.default_rng(derive_seed(model.random_state, "judged"))
        judged = np.sort(draw.choice(known, MAX_JUDGED, replace=False))
    common = _of_enough_people(stated.iloc[judged])
    if common.nunique() < 2:
        return None
    report = reason_report(
        factory,
        X.iloc[judged],
        common,
        model.random_state,
        told_from="exit answers" if isinstance(X, pd.Series) else "features",
        minimums=sorted({*MINIMUMS, minimum}),
    )
    kept = _of_enough_people(stated)
    rare = stated[kept.isna()].value_counts()
    report = replace(report, left_out={str(reason): int(n) for reason, n in rare.items()})
    return Learnt(model.fit(X, kept) if report.shown else None, report)


def _of_enough_people(stated: pd.Series) -> pd.Series:
    """Stated reasons, missing where fewer than `least_people` gave them."""
    counts = stated.value_counts()
    return stated.where(stated.isin(counts.index[counts >= least_people()]))


def _state(learnt: Learnt[People] | None) -> State | None:
    if learnt is None:
        return None
    return {"model": learnt.model.to_state() if learnt.model else None, "report": learnt.report.to_state()}


def _from_state(kind: type[ReasonClassifier[People]], state: State | None) -> Learnt[People] | None:
    if state is None:
        return None
    model = kind().load_state(state["model"]) if state["model"] else None
    return Learnt(model, ReasonReport.from_state(state["report"]))
