"""Folds for cross-fitting."""

from __future__ import annotations

import numpy as np
import pandas as pd

from propensity.learners._typing import Vector

Folds = np.ndarray[tuple[int], np.dtype[np.intp]]


def stratified_folds(arm: Folds, y: Vector, n_folds: int, seed: int) -> Folds:
    """Fold number (n,) of each row, balanced over action x (y is not 0), so that rare arms and outcomes are in each.

    Parameters
    ----------
    arm : int array (n,)
    y : array (n,)
    n_folds : int
    seed : int
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(arm))
    stratum = pd.Series(np.asarray(arm) * 2 + (np.asarray(y) != 0))[order]
    fold = np.empty(len(arm), dtype=np.intp)
    # dealing each stratum out like cards, each starting where the last one stopped
    start = stratum.map(stratum.value_counts(sort=False).cumsum().shift(fill_value=0))
    fold[order] = ((stratum.groupby(stratum).cumcount() + start) % n_folds).to_numpy()
    return fold
