"""Aliases shared by the learners."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pandas as pd

Vector: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]
Matrix: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Flags: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.bool_]]
Propensity: TypeAlias = "pd.DataFrame | pd.Series | None"
State: TypeAlias = dict[str, Any]
