"""What was known of people before, on one scale, worked through in blocks so that millions fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from propensity.errors import InputError

BLOCK = 1 << 14
"""People at a time."""
ROUNDING = 1e-10
"""Relative size below which a number is taken for 0."""


@dataclass(frozen=True)
class Covariates:
    """Numbers or 0/1 that were known before, column by column in whatever type takes least room.

    Attributes
    ----------
    names : tuple of str
    columns : tuple of arrays (n,)
        NaN where missing.
    people : int
        n.
    """

    names: tuple[str, ...]
    columns: tuple[np.ndarray, ...]
    people: int

    @classmethod
    def of(cls, table: object) -> Covariates:
        """The columns of a DataFrame or an array (n, n columns).

        Raises
        ------
        InputError
            It is no table.
        """
        if isinstance(table, cls):
            return table
        if isinstance(table, pd.DataFrame):
            columns = tuple(column.to_numpy(dtype=float) for _, column in table.items())
            return cls(tuple(map(str, table.columns)), columns, len(table))
        values = np.asarray(table, dtype=float)
        if values.ndim != 2:
            raise InputError(f"covariates: expected a table of people by columns, found {values.ndim} dimensions")
        return cls(tuple(map(str, range(values.shape[1]))), tuple(values.T), len(values))

    def __len__(self) -> int:
        return self.people

    def of_people(self, people: np.ndarray) -> Covariates:
        """The same of some people (a mask or positions)."""
        count = int(people.sum()) if people.dtype == bool else len(people)
        return Covariates(self.names, tuple(column[people] for column in self.columns), count)

    def block(self, rows: np.ndarray | slice) -> np.ndarray:
        """The numbers (n columns, people) of these people, a copy."""
        count = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
        found = np.empty((len(self.columns), count))
        for k, column in enumerate(self.columns):
            found[k] = column[rows]
        return found


class Standardised:
    """Covariates (n, n columns) with mean 0 and standard deviation 1 over everybody; gaps are 0, constant columns too.

    Parameters
    ----------
    values : Covariates, DataFrame or array (n, n columns)

    Attributes
    ----------
    covariance : array (n columns, n columns)
        Of the standardised columns.
    """

    def __init__(self, values: object) -> None:
        self._values = Covariates.of(values)
        n, columns = len(self._values), len(self._values.columns)
        present, total = np.zeros(columns), np.zeros(columns)
        for rows in _slices(n):
            block = self._values.block(rows)
            known = ~np.isnan(block)
            present += known.sum(axis=1)
            total += block.sum(axis=1, where=known)
        self._mean, self._scale = total / np.maximum(present, 1), np.ones(columns)
        self.covariance = np.zeros((columns, columns))
        for rows in _slices(n):
            centred = self.columns(rows)
            self.covariance += centred @ centred.T / n
        scale = np.sqrt(np.diag(self.covariance))
        # a constant column keeps nothing but rounding
        self._scale = np.where(scale > ROUNDING * (1 + np.abs(self._mean)), scale, np.inf)
        self.covariance /= np.outer(self._scale, self._scale)

    def columns(self, rows: np.ndarray | slice) -> np.ndarray:
        """The standardised numbers (n columns, people) of these people."""
        block = self._values.block(rows)
        block -= self._mean[:, None]
        block /= self._scale[:, None]
        block[np.isnan(block)] = 0.0
        return block

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return self.columns(rows).T


def _slices(n: int) -> Iterator[slice]:
    for start in range(0, n, BLOCK):
        yield slice(start, min(start + BLOCK, n))


def blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Pieces of the rows, each small enough to stay near the processor."""
    for start in range(0, len(rows), BLOCK):
        yield rows[start : start + BLOCK]
