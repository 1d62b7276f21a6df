"""What learners are fitted on: the checks of it, and the encoding of frames as matrices."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from propensity.errors import InputError
from propensity.learners._typing import Matrix, Propensity, State, Vector

MIN_ROWS_PER_ACTION = 50


class UnseenCategoryWarning(UserWarning):
    """A categorical column holds values that training did not have; they count as missing."""


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
        return self.matrix({name: self._values(name, X[name]) for name in self.columns}, len(X))

    def matrix(self, columns: Mapping[str, Any], n: int) -> Matrix:
        """The matrix (n, d) of columns: arrays of float64, and categoricals."""
        matrix = np.empty((n, len(self.columns)))
        for position, name in enumerate(self.columns):
            values = columns[name]
            matrix[:, position] = self._codes(name, values) if isinstance(values, pd.Categorical) else values
        return matrix

    def _values(self, name: str, values: pd.Series) -> Any:
        if name not in self.categories:
            return values.to_numpy(dtype=np.float64, na_value=np.nan)
        if isinstance(values.dtype, pd.CategoricalDtype):
            return values.array
        kind = pd.CategoricalDtype(list(self.categories[name]))
        # not made from the values: pandas would complain of those that are not among the categories
        return pd.Categorical.from_codes(kind.categories.get_indexer(pd.Index(values.astype(object))), dtype=kind)

    def _codes(self, name: str, values: pd.Categorical) -> Vector:
        """Codes of training (n,), as floats; NaN for what training did not have."""
        codes, kind = values.codes, values.dtype
        # a kind that was seen before needs no comparison
        if self._same_kinds.get(name) is not kind:
            known = self.categories[name]
            if tuple(kind.categories) == known:
                self._same_kinds[name] = kind
            else:
                codes = np.append(pd.Index(known).get_indexer(kind.categories.astype(object)), -1)[codes]
        found: Vector = np.where(codes < 0, np.nan, codes)
        return found

    @cached_property
    def _same_kinds(self) -> dict[str, pd.CategoricalDtype]:
        """Kinds of columns that were seen to have the categories of training."""
        return {}

    def warn_of_unseen(self, X: pd.DataFrame) -> None:
        """Warn of values that training did not have, by column."""
        found = []
        for name, known in self.categories.items():
            values = X[name] if name in X.columns else pd.Series(dtype=object)
            if isinstance(values.dtype, pd.CategoricalDtype) and set(values.cat.categories) <= set(known):
                continue
            unseen = values[values.notna() & ~values.isin(known)]
            if len(unseen):
                some = ", ".join(sorted({str(v) for v in unseen.unique()})[:3])
                found.append(f"{name} ({some}; {len(unseen)} rows)")
        if found:
            text = f"X: values that training did not have count as missing: {'; '.join(found)}"
            warnings.warn(text, UnseenCategoryWarning, stacklevel=4)

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
    weight : array (n,)
        How much each person counts, 1 by default.
    actions : list of str
        Control first, the others sorted.
    outcome : array (n, n actions), optional
        Expected outcome of each row under each action, from models that did not see the row (see
        `nuisance.cross_fitted_outcome`).
    """

    X: Matrix
    arm: np.ndarray[tuple[int], np.dtype[np.intp]]
    y: Vector
    propensity: Matrix
    weight: Vector
    actions: list[str]
    encoder: FrameEncoder
    outcome: Matrix | None = None

    @property
    def binary(self) -> bool:
        """Whether the outcome is 0 or 1."""
        return bool(np.isin(self.y, (0.0, 1.0)).all())

    @property
    def indicator(self) -> Matrix:
        """One-hot matrix (n, n actions) of the served action."""
        return np.eye(len(self.actions))[self.arm]

    def take(self, rows: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Sample:
        """The sample with these rows only; actions stay as they are.

        ``outcome`` is left out: it was learnt from the rows that are left out.
        """
        return replace(
            self,
            X=self.X[rows],
            arm=self.arm[rows],
            y=self.y[rows],
            propensity=self.propensity[rows],
            weight=self.weight[rows],
            outcome=None,
        )


def check_sample(
    X: pd.DataFrame,
    action: object,
    y: object,
    propensity: Propensity = None,
    *,
    control: str = "control",
    sample_weight: object = None,
) -> Sample:
    """Check and encode what a learner is fitted on.

    Parameters
    ----------
    X : DataFrame or array (n, d)
    action : array-like (n,)
    y : array-like (n,)
    propensity : DataFrame (n, n actions) | Series by label | None
        None: a randomised test with the same chances for everybody, which the arms' shares then are.
    control : str
    sample_weight : array-like (n,), optional

    Raises
    ------
    InputError
        Says what was expected and what was found.
    """
    X = as_frame(X)
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
    if len(outcome) and np.ptp(outcome) == 0:
        raise InputError(f"y: expected an outcome that differs between rows, found {outcome[0]:g} in all of them")
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
    return Sample(
        X=encoder.transform(X),
        arm=arm,
        y=outcome,
        propensity=check_propensity(propensity, arm, actions),
        weight=_check_weight(sample_weight, len(X)),
        actions=actions,
        encoder=encoder,
    )


def as_frame(X: object) -> pd.DataFrame:
    """A DataFrame as it is; a two-dimensional array as one with columns x0, x1, ...

    Raises
    ------
    InputError
    """
    if isinstance(X, pd.DataFrame):
        return X
    if isinstance(X, np.ndarray) and X.ndim == 2:
        return pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    raise InputError(f"X: expected a pandas DataFrame or an array of two dimensions, found {type(X).__name__}")


def _check_weight(sample_weight: object, n: int) -> Vector:
    if sample_weight is None:
        return np.ones(n)
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (n,):
        raise InputError(f"sample_weight: expected shape ({n},) as X has rows, found {weight.shape}")
    if not np.isfinite(weight).all() or (weight < 0).any():
        wrong = int((~np.isfinite(weight) | (weight < 0)).sum())
        raise InputError(f"sample_weight: expected finite numbers of at least 0, found {wrong} others")
    if weight.sum() <= 0:
        raise InputError("sample_weight: expected some rows to count, found all 0")
    return weight


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
