"""Columns cut into cells, so that two groups of people can be compared by how many are in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from pandas.api import types

N_PARTS = 10
"""Into how many parts of equally many people a number is cut, as nearly as its values allow."""
MISSING, UNSEEN = "missing", "not seen in training"


@dataclass(frozen=True)
class Cells:
    """How a column is cut, and how many people of training were in each cell. Of single people it holds nothing.

    Attributes
    ----------
    cuts : tuple of float or None
        Where the parts of a number end, each halfway between two values; None for categories.
    labels : tuple of str
        Of categories; empty for a number.
    counts : tuple of int
        People per part or category, then, for categories, those of another (none in training), then those without a
        value.
    """

    cuts: tuple[float, ...] | None
    labels: tuple[str, ...]
    counts: tuple[int, ...]

    @classmethod
    def fit(cls, values: pd.Series) -> Self:
        """Cut a column (n,) of training: a number into tenths, anything else by its values."""
        if types.is_numeric_dtype(values) and not types.is_bool_dtype(values):
            empty = cls(_cuts(values.dropna().to_numpy(dtype=float)), (), ())
        else:
            empty = cls(None, tuple(sorted(values.dropna().astype(str).unique())), ())
        return cls(empty.cuts, empty.labels, tuple(empty.count(values).tolist()))

    @property
    def names(self) -> list[str]:
        """What each cell is called."""
        if self.cuts is None:
            return [*self.labels, UNSEEN, MISSING]
        if not self.cuts:
            return ["any value", MISSING]
        between = [f"{a:.4g} to {b:.4g}" for a, b in zip(self.cuts[:-1], self.cuts[1:], strict=True)]
        return [f"below {self.cuts[0]:.4g}", *between, f"above {self.cuts[-1]:.4g}", MISSING]

    def count(self, values: pd.Series) -> np.ndarray:
        """People (n cells,) of a column (n,) in each cell."""
        size = len(self.names)
        missing = values.isna().to_numpy()
        known = values[~missing]
        if self.cuts is None:
            position = pd.Index(self.labels).get_indexer(pd.Index(known.astype(str)))
            position = np.where(position < 0, len(self.labels), position)
        else:
            position = np.searchsorted(self.cuts, known.to_numpy(dtype=float))
        return np.bincount(np.append(position, np.full(missing.sum(), size - 1)).astype(int), minlength=size)

    def to_state(self) -> dict[str, Any]:
        """As JSON-ready values."""
        cuts = None if self.cuts is None else list(self.cuts)
        return {"cuts": cuts, "labels": list(self.labels), "counts": list(self.counts)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `to_state` described."""
        cuts = None if state["cuts"] is None else tuple(state["cuts"])
        return cls(cuts, tuple(state["labels"]), tuple(state["counts"]))


def _cuts(values: np.ndarray) -> tuple[float, ...]:
    """Between the values where the share of people comes nearest to each tenth; none where all values are the same."""
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) < 2:
        return ()
    shares = counts.cumsum()[:-1] / len(values)
    nearest = {int(np.argmin(np.abs(shares - part / N_PARTS))) for part in range(1, N_PARTS)}
    return tuple(float(distinct[k] / 2 + distinct[k + 1] / 2) for k in sorted(nearest))
