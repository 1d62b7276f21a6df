"""Values of any kind as texts, numbers, times and flags; what cannot be read is missing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, Literal

import numpy as np
import pandas as pd

Kind = Literal["text", "number", "time", "flag"]
KIND_WORDS: dict[Kind, str] = {
    "text": "a text",
    "number": "a number",
    "time": "a time such as 2026-01-31 or 2026-01-31T09:00:00Z",
    "flag": "true or false",
}


def as_text(values: pd.Series) -> pd.Series:
    """Any values as texts without blanks around them; a blank is missing, and a whole number has no decimal point."""
    if values.dtype == object or pd.api.types.is_numeric_dtype(values) or isinstance(values.dtype, pd.CategoricalDtype):
        return _like(values, _texts(values.astype(object).to_numpy()))
    values = values.astype("str").str.strip()
    return values.where(values != "")


def _texts(values: np.ndarray) -> Any:
    texts = [
        None if missing else (value.strip() if type(value) is str else one_text(value).strip()) or None
        for value, missing in zip(values.tolist(), pd.isna(values).tolist(), strict=True)
    ]
    return pd.array(texts, dtype=TEXT)


def one_text(value: object) -> str:
    """A single value as a text; a whole number has no decimal point."""
    # one missing value makes whole numbers floats, and a key must read the same in every table
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def as_number(values: pd.Series) -> pd.Series:
    """Any values as floats; what is no number is missing."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_complex_dtype(values):
        return values.astype("float64")
    if values.dtype.kind in "mMc":
        return pd.Series(float("nan"), index=values.index)
    return _like(values, _numbers(values.to_numpy(dtype=object)))


def _numbers(values: np.ndarray) -> np.ndarray:
    return np.array([_one_number(value) for value in values.tolist()], dtype=np.float64)


def _one_number(value: Any) -> float:
    if value is None:
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _as_time(values: pd.Series) -> pd.Series:
    """UTC times. Only ISO 8601 is read: 03/04/2026 has two meanings, and a bare number has no unit."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    if values.dtype.kind != "M":
        return _like(values, _times(values.to_numpy(dtype=object)))
    return pd.to_datetime(values, format="ISO8601", utc=True, errors="coerce").astype(_TIME)


def _times(values: np.ndarray) -> Any:
    dated = np.array([v if isinstance(v, (str, date)) else None for v in values.tolist()], dtype=object)
    return pd.to_datetime(dated, format="ISO8601", utc=True, errors="coerce").as_unit("us").array


def as_flag(values: pd.Series) -> pd.Series:
    """Any values as nullable booleans; what is neither true, yes, 1 nor false, no, 0 is missing."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return values.where(values.isin([0, 1])).astype("boolean")
    if not pd.api.types.is_bool_dtype(values):
        return _like(values, _flags(values.to_numpy(dtype=object)))
    return values.astype("boolean")


def _flags(values: np.ndarray) -> Any:
    flags = [one_flag(value) for value in values.tolist()]
    return pd.arrays.BooleanArray(
        np.array([flag is True for flag in flags], dtype=bool), np.array([flag is None for flag in flags], dtype=bool)
    )


def one_flag(value: object) -> bool | None:
    """A single value as a flag; None where it is neither true, yes, 1 nor false, no, 0."""
    return value if type(value) is bool else _FLAGS.get(str(value).strip().lower())


def array_of(values: pd.Series) -> Any:
    """What a column (n,) holds, without its index."""
    array = values.array
    return array.to_numpy() if isinstance(array, pd.arrays.NumpyExtensionArray) else array


def plain(values: Any) -> list[Any]:
    """Values (n,) of a column or an array as Python objects; a missing text is None."""
    values = values.array if isinstance(values, pd.Series) else values
    # texts of pandas come out of their own store only slowly
    if isinstance(values.dtype, pd.StringDtype) and values.dtype.storage == "pyarrow":
        texts: list[Any] = values.__arrow_array__().to_pylist()
        return texts
    objects: list[Any] = values.tolist()
    return objects


def _like(values: pd.Series, converted: Any) -> pd.Series:
    return pd.Series(converted, index=values.index, name=values.name, copy=False)


TEXT = pd.StringDtype(na_value=np.nan)
"""The kind of texts in contract tables."""
_TIME = pd.DatetimeTZDtype("us", "UTC")
_FLAGS = {"true": True, "yes": True, "1": True, "1.0": True, "false": False, "no": False, "0": False, "0.0": False}
_FLAGS["-0.0"] = False
_CONVERTERS: dict[Kind, Callable[[pd.Series], pd.Series]] = {
    "text": as_text,
    "number": as_number,
    "time": _as_time,
    "flag": as_flag,
}
_OF_OBJECTS: dict[Kind, Callable[[np.ndarray], Any]] = {
    "text": _texts,
    "number": _numbers,
    "time": _times,
    "flag": _flags,
}


def of_kind(kind: Kind, values: Any) -> Any:
    """Values (n,) of any dtype as an array of a kind."""
    if values.dtype == object:
        return _OF_OBJECTS[kind](values)
    found = _CONVERTERS[kind](pd.Series(values, copy=False))
    return found.to_numpy() if kind == "number" else found.array


def lost(values: Any, missing: np.ndarray) -> np.ndarray:
    """Rows whose value is missing after a conversion (n,) though it was there; a blank was not."""
    if not missing.any():
        return np.empty(0, dtype=np.intp)
    gone = np.flatnonzero(missing & ~pd.isna(values))
    return np.array([i for i in gone if not (isinstance(values[i], str) and not values[i].strip())], dtype=np.intp)


def unread(values: pd.Series, converted: pd.Series) -> pd.Series:
    """The values that are missing after a conversion though they were there; a blank was not."""
    return values.iloc[lost(array_of(values), converted.isna().to_numpy())]
