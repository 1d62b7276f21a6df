"""Features as columns of a linear model: numbers scaled, with their squares, categories one-hot, missing told apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from propensity.learners._typing import Matrix, State, Vector

CLIP = 3.0
"""Standard deviations beyond which a number counts as that far: one huge amount must not steer a line."""
MAX_LEVELS = 50
ROWS_ENOUGH = 100_000
"""To learn centres and spreads from."""


@dataclass(frozen=True)
class LinearBasis:
    """Columns of a linear model from an encoded matrix (see `FrameEncoder`), learnt from one sample.

    Attributes
    ----------
    centre, scale : array (d,)
        Of numeric columns.
    levels : list of int
        Number of categories of each column, 0 for numbers. Categories beyond the 50th share a column.
    has_missing : list of bool
    mean, spread : array (p,)
        Of the columns made, which are centred; squares and one-hot columns are scaled to their own spread at least.
    """

    centre: Vector
    scale: Vector
    levels: list[int]
    has_missing: list[bool]
    mean: Vector
    spread: Vector

    @classmethod
    def fit(cls, X: Matrix, categorical: list[int]) -> Self:
        """Learn the columns."""
        d = X.shape[1]
        # of very many rows, some evenly spaced ones
        some = X[:: max(1, len(X) // ROWS_ENOUGH)]
        centre, scale, levels = np.zeros(d), np.ones(d), [0] * d
        for j in range(d):
            if j in categorical:
                levels[j] = min(int(np.nanmax(X[:, j], initial=-1)) + 1, MAX_LEVELS)
                continue
            known = some[~np.isnan(some[:, j]), j]
            if len(known):
                centre[j] = np.median(known)
                low, high = np.quantile(known, [0.05, 0.95])
                # nearly constant columns have no such spread
                scale[j] = (high - low) / 3.29 or known.std() or 1.0
        has_missing = [bool(np.isnan(column).any()) for column in X.T]
        raw = cls(centre, scale, levels, has_missing, np.zeros(0), np.zeros(0))._columns(some)
        spread = raw.std(axis=0)
        return cls(centre, scale, levels, has_missing, raw.mean(axis=0), np.where(spread > 0, spread, 1.0))

    def transform(self, X: Matrix) -> Matrix:
        """The columns (n, 1 + p), a constant first."""
        return np.column_stack([np.ones(len(X)), (self._columns(X) - self.mean) / self.spread])

    def _columns(self, X: Matrix) -> Matrix:
        columns: list[np.ndarray] = []
        for j, n_levels in enumerate(self.levels):
            missing = np.isnan(X[:, j])
            if n_levels:
                code = np.where(missing, -1, np.minimum(X[:, j], n_levels - 1))
                columns.extend((code == level).astype(float) for level in range(n_levels))
            else:
                z = np.clip((np.where(missing, self.centre[j], X[:, j]) - self.centre[j]) / self.scale[j], -CLIP, CLIP)
                columns += [z, z**2]
            if self.has_missing[j]:
                columns.append(missing.astype(float))
        return np.column_stack(columns) if columns else np.empty((len(X), 0))

    def to_state(self) -> State:
        """As JSON-ready values."""
        return {
            "centre": self.centre.tolist(),
            "scale": self.scale.tolist(),
            "levels": self.levels,
            "has_missing": self.has_missing,
            "mean": self.mean.tolist(),
            "spread": self.spread.tolist(),
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        """The basis that `to_state` described."""
        arrays = {k: np.asarray(state[k], dtype=float) for k in ("centre", "scale", "mean", "spread")}
        return cls(levels=list(state["levels"]), has_missing=list(state["has_missing"]), **arrays)
