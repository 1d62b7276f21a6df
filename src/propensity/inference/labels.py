"""Labels of arms: as an array of texts, or as a pandas Categorical, which is many times as fast for millions."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pandas as pd

Labels: TypeAlias = "np.ndarray | pd.Categorical[Any]"


def labels_of(action: object) -> Labels:
    """Labels (n,) of anything array-like; a Categorical stays one."""
    return action if isinstance(action, pd.Categorical) else np.asarray(action)


def positions(labels: Labels, columns: pd.Index) -> np.ndarray:
    """Position (n,) of each label among columns; -1 where it is not there."""
    if not isinstance(labels, pd.Categorical):
        return columns.get_indexer(pd.Index(labels))
    # code -1, a missing label, takes the last
    of_category = np.append(columns.get_indexer(labels.categories), -1).astype(np.int32)
    found: np.ndarray = of_category[labels.codes]
    return found
