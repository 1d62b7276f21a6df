"""What all learners share: their signature, the checks of what they are given, and the encoding of frames."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from propensity.errors import InputError
from propensity.learners._typing import Matrix, Propensity, State, Vector

MIN_ROWS_PER_ACTION = 50


@dataclass(frozen=True)
class FrameEncoder:
    """Turns a DataFrame into a float matrix: categories become the codes of training, unseen ones NaN."""

    columns: tuple[str, ...]
    categories: dict[str, tuple[object, ...]]

    @classmethod
    def fit(cls, X: pd.DataFrame) -> FrameEncoder:
        """Learn the columns and categories."""
        categories = {}
        for name in X.columns:
            values = X[name]
            if isinstance(values.dtype, pd.CategoricalDtype):
                categories[str(name)] = tuple(values.cat.categories)
            elif not pd.api.types.is_numeric_dtype(values.dtype):
                categories[str(name)] = tuple(sorted(values.dropna().unique()))
        return cls(tuple(map(str, X.columns)), categories)

    def transform(self, X: pd.DataFrame) -> Matrix:
        """The matrix (n, d), float64, missing as NaN.

        Raises
        ------
        InputError
            A column of training is missing.
        """
        X = X.set_axis(X.columns.map(str), axis=1)
        missing = [name for name in self.columns if name not in X.columns]
        if missing:
            raise InputError(f"X lacks the columns {', '.join(missing)} that the learner was fitted on")
        matrix = np.empty((len(X), len(self.columns)))
        for position, name in enumerate(self.columns):
            if name in self.categories:
                codes = pd.Index(self.categories[name]).get_indexer(pd.Index(X[name].astype(object)))
                matrix[:, position] = np.where(codes < 0, np.nan, codes)
            else:
                matrix[:, position] = X[name].to_numpy(dtype=np.float64, na_value=np.nan)
        return matrix

    @property
    def categorical(self) -> list[int]:
        """Positions of the categorical columns."""
        return [i for i, name in enumerate(self.columns) if name in self.categories]

    def to_state(self) -> State:
        """As JSON-ready values."""
        return {"columns": list(self.columns), "categories": {k: list(v) for k, v in self.categories.items()}}

    @classmethod
    def from_state(cls, state: State) -> FrameEncoder:
        """The encoder that `to_state` described."""
        return cls(tuple(state["columns"]), {k: tuple(v) for k, v in state["categories"].items()})


@dataclass(frozen=True)
class Sample:
    """Checked inputs of a fit.

    Attributes
    ----------
    X : array (n, d)
    arm : int array (n,)
        Position of the served action in ``actions``.
    y : array (n,)
    propensity : array (n, n actions)
    actions : list of str
        Control first, the others sorted.
    binary : bool
        Whether y holds only 0 and 1.
    """

    X: Matrix
    arm: np.ndarray[tuple[int], np.dtype[np.intp]]
    y: Vector
    propensity: Matrix
    actions: list[str]
    encoder: FrameEncoder

    @property
    def binary(self) -> bool:
        """Whether the outcome is 0 or 1."""
        return bool(np.isin(self.y, (0.0, 1.0)).all())

    @property
    def indicator(self) -> Matrix:
        """One-hot matrix (n, n actions) of the served action."""
        return np.eye(len(self.actions))[self.arm]

    def take(self, rows: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Sample:
        """The sample with these rows only; actions stay as they are."""
        return Sample(self.X[rows], self.arm[rows], self.y[rows], self.propensity[rows], self.actions, self.encoder)


def check_sample(
    X: pd.DataFrame,
    action: object,
    y: object,
    propensity: Propensity = None,
    *,
    control: str = "control",
) -> Sample:
    """Check and encode what a learner is fitted on.

    Parameters
    ----------
    X : DataFrame (n, d)
    action : array-like (n,)
    y : array-like (n,)
    propensity : DataFrame (n, n actions) | Series by label | None
        None: a randomised test with the same chances for everybody, which the arms' shares then are.
    control : str

    Raises
    ------
    InputError
        Says what was expected and what was found.
    """
    if not isinstance(X, pd.DataFrame):
        raise InputError(f"X: expected a pandas DataFrame, found {type(X).__name__}")
    unlabelled = int(pd.isna(np.asarray(action, dtype=object)).sum())
    if unlabelled:
        raise InputError(f"action: expected a label in each row, found {unlabelled} missing")
    labels = np.asarray(action).astype(str)
    outcome = np.asarray(y, dtype=np.float64)
    for name, values in (("action", labels), ("y", outcome)):
        if values.shape != (len(X),):
            raise InputError(f"{name}: expected shape ({len(X)},) as X has rows, found {values.shape}")
    if not np.isfinite(outcome).all():
        raise InputError(f"y: expected finite numbers, found {int((~np.isfinite(outcome)).sum())} missing or infinite")
    found = sorted(set(labels.tolist()))
    if control not in found:
        raise InputError(f"action: expected some rows with the control {control!r}, found only {', '.join(found)}")
    if len(found) < 2:
        raise InputError(f"action: expected an action besides {control!r}, found none")
    actions = [control, *(a for a in found if a != control)]
    counts = pd.Series(labels).value_counts()
    rare = [f"{a} ({counts[a]})" for a in actions if counts[a] < MIN_ROWS_PER_ACTION]
    if rare:
        raise InputError(f"action: expected at least {MIN_ROWS_PER_ACTION} rows an action, found {', '.join(rare)}")
    arm = pd.Index(actions).get_indexer(labels)
    encoder = FrameEncoder.fit(X)
    return Sample(encoder.transform(X), arm, outcome, check_propensity(propensity, arm, actions), actions, encoder)


def check_propensity(
    propensity: Propensity, arm: np.ndarray[tuple[int], np.dtype[np.intp]], actions: list[str]
) -> Matrix:
    """The probability of every action for every row, checked; nothing is clipped or re-scaled.

    Raises
    ------
    InputError
        A label is missing, rows do not sum to 1, or a served action had no chance.
    """
    n = len(arm)
    if propensity is None:
        shares = np.bincount(arm, minlength=len(actions)) / n
        return np.tile(shares, (n, 1))
    labels = [str(c) for c in (propensity.index if isinstance(propensity, pd.Series) else propensity.columns)]
    missing = [a for a in actions if a not in labels]
    if missing:
        raise InputError(f"propensity: expected a probability of each of {', '.join(actions)}, lacks {missing}")
    if isinstance(propensity, pd.Series):
        chances = np.tile(propensity.set_axis(labels)[actions].to_numpy(dtype=np.float64), (n, 1))
    else:
        if len(propensity) != n:
            raise InputError(f"propensity: expected {n} rows, found {len(propensity)}")
        chances = propensity.set_axis(labels, axis=1)[actions].to_numpy(dtype=np.float64)
        unserved = [a for a in labels if a not in actions]
        rest = propensity.set_axis(labels, axis=1)[unserved].to_numpy(dtype=np.float64).sum(axis=1)
        if (rest > 1e-6).any():
            raise InputError(f"propensity: {', '.join(unserved)} had a chance but nobody was served it; drop it first")
    off = np.abs(chances.sum(axis=1) - 1.0)
    if np.isnan(off).any():
        raise InputError(f"propensity: expected numbers, found {int(np.isnan(off).sum())} rows with missing ones")
    if (chances < 0).any():
        raise InputError(f"propensity: expected at least 0, found {chances.min():g}")
    if (off > 1e-6).any():
        row = int(np.argmax(off))
        raise InputError(
            f"propensity: {int((off > 1e-6).sum())} rows do not sum to 1 (row {row} sums to {chances[row].sum():g})"
        )
    served = chances[np.arange(n), arm]
    if (served <= 0).any():
        raise InputError(f"propensity: {int((served <= 0).sum())} rows were served an action that had probability 0")
    return chances


def derive_seed(random_state: int, *parts: object) -> int:
    """A seed of its own for a named part of a fit, so that parts do not share random numbers."""
    digest = hashlib.blake2b(json.dumps([random_state, *map(str, parts)]).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") % (2**31 - 1)


class UpliftLearner(BaseEstimator):
    """Base of the learners: estimates E[Y | X, A=a] - E[Y | X, A=control] for every action a.

    Subclasses store settings in ``__init__`` and implement ``_fit``, ``_effect`` and ``_outcome`` on matrices.
    """

    control: str = "control"
    random_state: int = 0

    def fit(
        self,
        X: pd.DataFrame,
        action: object,
        y: object,
        *,
        propensity: Propensity = None,
        factors: pd.DataFrame | None = None,
    ) -> Self:
        """Fit.

        Parameters
        ----------
        X : DataFrame (n, d)
            Features; categoricals as pandas categoricals, missing values allowed.
        action : array-like (n,)
            Labels of the served actions, the control among them.
        y : array-like (n,)
            Outcome, in any unit.
        propensity : DataFrame (n, actions with control) | Series by label | None
            Logged probabilities; None for a randomised test.
        factors : DataFrame, optional
            Indexed by action label, categorical columns such as archetype, channel and offer.

        Raises
        ------
        InputError
        """
        sample = check_sample(X, action, y, propensity, control=self.control)
        return self.fit_sample(sample, factor_codes(factors, sample.actions))

    def fit_sample(self, sample: Sample, factors: Matrix) -> Self:
        """Fit on checked inputs; ``factors`` (n actions, n factors) are the codes of `factor_codes`."""
        self.actions_ = sample.actions
        self.encoder_ = sample.encoder
        self.factors_ = factors
        self._fit(sample)
        return self

    def effect(self, X: pd.DataFrame) -> pd.DataFrame:
        """Effect of each action against control, DataFrame (n, actions without control), in units of y."""
        self._require_fit()
        return pd.DataFrame(self._effect(self.encoder_.transform(X)), columns=self.actions_[1:], index=X.index)

    def outcome(self, X: pd.DataFrame) -> pd.DataFrame:
        """Expected outcome under each action, DataFrame (n, actions with control), in units of y."""
        self._require_fit()
        return pd.DataFrame(self._outcome(self.encoder_.transform(X)), columns=self.actions_, index=X.index)

    @abstractmethod
    def _fit(self, sample: Sample) -> None: ...

    @abstractmethod
    def _effect(self, X: Matrix) -> Matrix: ...

    @abstractmethod
    def _outcome(self, X: Matrix) -> Matrix: ...

    @abstractmethod
    def to_state(self) -> State:
        """The fitted learner as JSON-ready values and Boosters."""

    @abstractmethod
    def load_state(self, state: State) -> Self:
        """Take over a state that `to_state` wrote."""

    def _common_state(self) -> State:
        self._require_fit()
        return {
            "control": self.control,
            "random_state": self.random_state,
            "actions": self.actions_,
            "encoder": self.encoder_.to_state(),
            "factors": self.factors_.tolist(),
        }

    def _load_common(self, state: State) -> None:
        self.control = state["control"]
        self.random_state = state["random_state"]
        self.actions_ = list(state["actions"])
        self.encoder_ = FrameEncoder.from_state(state["encoder"])
        self.factors_ = np.asarray(state["factors"], dtype=np.float64).reshape(len(self.actions_), -1)

    def _require_fit(self) -> None:
        if not hasattr(self, "actions_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet; call fit first")


def factor_codes(factors: pd.DataFrame | None, actions: list[str]) -> Matrix:
    """Codes of each action's factors, (n actions, n factors), control as -1; no columns without ``factors``.

    Raises
    ------
    InputError
        An action has no factors.
    """
    if factors is None:
        return np.empty((len(actions), 0))
    lacking = [a for a in actions[1:] if a not in factors.index]
    if lacking:
        raise InputError(f"factors: expected a row for each action, lacks {', '.join(lacking)}")
    rows = factors.loc[actions[1:]].astype("category")
    # a factor that never varies, or that says no more than the label, teaches nothing
    useful = [c for c in rows.columns if 1 < rows[c].nunique() < len(actions) - 1]
    codes = np.column_stack([rows[c].cat.codes.to_numpy(float) for c in useful]) if useful else None
    if codes is None:
        return np.empty((len(actions), 0))
    return np.vstack([np.full(codes.shape[1], -1.0), codes])
