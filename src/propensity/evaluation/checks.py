"""Checks that every evaluation shares: lengths, numbers, weights, and labels among the actions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from propensity.errors import InputError


def checked_vectors(*, minimum: int = 2, **named: object) -> tuple[np.ndarray, ...]:
    """Arrays (n,) of finite numbers, all of one length, in the order given.

    Raises
    ------
    InputError
        Lengths differ, a number is missing or infinite, or there are fewer than ``minimum`` people.
    """
    arrays = {name: np.asarray(values, dtype=float) for name, values in named.items()}
    names, shapes = " and ".join(arrays), [array.shape for array in arrays.values()]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1:
        raise InputError(f"{names}: expected the same length, found {' and '.join(map(str, shapes))}")
    faulty = sum(array.size - int(np.isfinite(array).sum()) for array in arrays.values())
    if faulty:
        raise InputError(f"{names}: expected finite numbers, found {faulty:,} missing or infinite")
    if shapes[0][0] < minimum:
        raise InputError(f"{names}: expected at least {minimum} people, found {shapes[0][0]}")
    return tuple(arrays.values())


def checked_weight(weight: object, n: int) -> np.ndarray:
    """Weights (n,); ones where ``weight`` is None.

    Raises
    ------
    InputError
        Not one weight a person, a weight is negative or no number, or none is above 0.
    """
    if weight is None:
        return np.ones(n)
    weights = np.asarray(weight, dtype=float)
    if weights.shape != (n,):
        raise InputError(f"weight: expected one a person ({n},), found {weights.shape}")
    faulty = int((~np.isfinite(weights) | (weights < 0)).sum())
    if faulty:
        raise InputError(f"weight: expected finite numbers from 0 up, found {faulty:,} others")
    if not weights.any():
        raise InputError("weight: expected some above 0, found none")
    return weights


def checked_level(level: float) -> float:
    """A confidence between 0 and 1, or an error that says what was found."""
    if not 0 < level < 1:
        raise InputError(f"level: expected a confidence between 0 and 1, found {level}")
    return level


def checked_table(table: pd.DataFrame, name: str) -> np.ndarray:
    """The numbers (n, n columns) of a table, all finite."""
    values = table.to_numpy(dtype=float)
    faulty = values.size - int(np.isfinite(values).sum())
    if faulty:
        raise InputError(f"{name}: expected finite numbers, found {faulty:,} missing or infinite")
    return values


def varying(values: np.ndarray) -> bool:
    """Whether numbers differ by more than rounding."""
    return bool(np.ptp(values) > 1e-9 * np.abs(values).max(initial=0.0))


def column_of(labels: np.ndarray, actions: pd.Index, name: str) -> np.ndarray:
    """Column (n,) of each label among the actions.

    Raises
    ------
    InputError
        A label is unknown.
    """
    column = actions.get_indexer(pd.Index(labels))
    if (column < 0).any():
        unknown = sorted(set(map(str, labels[column < 0])))
        raise InputError(f"{name}: expected one of {', '.join(map(str, actions))}, found {', '.join(unknown)}")
    return column
