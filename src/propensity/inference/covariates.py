"""What was known of people before, on one scale, worked through in blocks so that millions fit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

BLOCK = 1 << 16
"""People at a time."""
ROUNDING = 1e-10
"""Relative size below which a number is taken for 0."""


class Standardised:
    """Covariates (n, n columns) with mean 0 and standard deviation 1 over everybody; gaps are 0, constant columns too.

    Attributes
    ----------
    covariance : array (n columns, n columns)
        Of the standardised columns.
    """

    def __init__(self, values: np.ndarray) -> None:
        self._values = values
        n, columns = values.shape
        present, total = np.zeros(columns), np.zeros(columns)
        for block in blocks(np.arange(n)):
            known = ~np.isnan(values[block])
            present += known.sum(axis=0)
            total += np.where(known, values[block], 0.0).sum(axis=0)
        self._mean, self._scale = total / np.maximum(present, 1), np.ones(columns)
        self.covariance = np.zeros((columns, columns))
        for block in blocks(np.arange(n)):
            centred = self[block]
            self.covariance += centred.T @ centred / n
        scale = np.sqrt(np.diag(self.covariance))
        # a constant column keeps nothing but rounding
        self._scale = np.where(scale > ROUNDING * (1 + np.abs(self._mean)), scale, np.inf)
        self.covariance /= np.outer(self._scale, self._scale)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return np.nan_to_num((self._values[rows] - self._mean) / self._scale, nan=0.0)


def blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Pieces of the rows, each small enough to stay near the processor."""
    for start in range(0, len(rows), BLOCK):
        yield rows[start : start + BLOCK]
