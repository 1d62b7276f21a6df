"""Counts of now and of before among people who are alike in what was done to them."""

from __future__ import annotations

import numpy as np
import pandas as pd

STRATA = ["campaign", "action"]


def by_stratum(now: pd.DataFrame, before: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Decisions with an outcome, and all, of each stratum: two arrays (n strata, 2) with the same strata.

    Parameters
    ----------
    now, before : DataFrame (n, ...)
        Decisions: `STRATA`, and ``has`` (bool), whether they have the outcome.
    """
    counts = [group.groupby(STRATA)["has"].agg(["sum", "size"]) for group in (now, before)]
    index = counts[0].index.union(counts[1].index)
    first, second = (c.reindex(index, fill_value=0).to_numpy() for c in counts)
    return first, second


def expected_of_fewer(now: np.ndarray, before: np.ndarray) -> tuple[float, float]:
    """With the outcome and without it: how many to expect of the time with fewer decisions if nothing changed.

    Only strata of both times count, as in `inference.rate_change`, whose normal tail needs some of either kind.
    """
    both = (now[:, 1] > 0) & (before[:, 1] > 0)
    if not both.any():
        return 0.0, 0.0
    with_it, everybody = (now + before)[both].sum(axis=0)
    share = min(now[both, 1].sum(), before[both, 1].sum()) / everybody
    return float(with_it * share), float((everybody - with_it) * share)
