"""Customers column by column, as plain arrays: each column is converted once, for all rules that look at it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from propensity import contract

Texts = np.ndarray[tuple[int], np.dtype[np.object_]]
Numbers = np.ndarray[tuple[int], np.dtype[np.float64]]
Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]
Times = np.ndarray[tuple[int], np.dtype[np.datetime64]]

_DAY_SECONDS = 86_400
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


class People:
    """A checked customers table (n, ...) by column; what it lacks is missing for everybody.

    Parameters
    ----------
    customers : DataFrame (n, ...), or mapping of arrays (n,) by name
        From a mapping a table is made only if somebody wants one.
    """

    def __init__(self, customers: pd.DataFrame | Mapping[str, Any]) -> None:
        self._customers = customers
        self._kept: dict[tuple[str, str], Any] = {}

    @classmethod
    def of(cls, customers: Customers) -> People:
        """These people, or those of a table."""
        return customers if isinstance(customers, People) else cls(customers)

    def only(self, names: Collection[str]) -> People:
        """The same people with those of their columns that are named."""
        kept = [name for name in self._customers if name in names]
        if isinstance(self._customers, pd.DataFrame):
            return People(self._customers if len(kept) == len(self._names) else self._customers[kept])
        return People({str(name): self._customers[str(name)] for name in kept})

    def __len__(self) -> int:
        return len(self._customers if isinstance(self._customers, pd.DataFrame) else self._customers["customer_id"])

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[Any]:
        """The names of the columns, in their order."""
        return iter(self._customers)

    @cached_property
    def _names(self) -> frozenset[Any]:
        return frozenset(self._customers)

    @cached_property
    def table(self) -> pd.DataFrame:
        """As a table."""
        if isinstance(self._customers, pd.DataFrame):
            return self._customers
        # what the contract does not know has the kind that its values have
        return pd.DataFrame({name: _of_one_kind(values) for name, values in self._customers.items()}, copy=False)

    @cached_property
    def index(self) -> pd.Index:
        """Of the table."""
        return self._customers.index if isinstance(self._customers, pd.DataFrame) else pd.RangeIndex(len(self))

    @cached_property
    def ids(self) -> list[Any]:
        """Customer ids (n,), as they are."""
        return contract.plain(self.array("customer_id"))

    def array(self, name: str) -> Any:
        """A column that is there (n,), as it is."""
        if isinstance(self._customers, pd.DataFrame):
            return contract.array_of(self._customers[name])
        return _of_one_kind(self._customers[name])

    def texts(self, name: str) -> Texts:
        """Texts (n,) as `contract.as_text` gives them, None where missing."""
        return self._column("text", name, _texts, None)

    def coded(self, name: str) -> tuple[np.ndarray, Texts] | None:
        """Of a categorical column the positions (n,) of its texts, -1 where missing, and the texts; else None."""
        found = self.array(name) if name in self else None
        if not isinstance(found, pd.Categorical):
            return None
        return found.codes, _texts(pd.Series(found.categories, dtype=object))

    def numbers(self, name: str) -> Numbers:
        """Numbers (n,) as `contract.as_number` gives them, NaN where missing."""
        return self._column("number", name, _numbers, np.nan)

    def flags(self, name: str) -> Flags:
        """Flags (n,) as `contract.as_flag` gives them; missing is no."""
        return self._column("flag", name, _flags, False)

    def written(self, name: str) -> Texts:
        """Values (n,) as conditions of a playbook write them: flags are true and false, others texts; None: missing."""
        return self._column("written", name, _written, None)

    def times(self, name: str) -> Times:
        """Times (n,), UTC without a zone, not a time where missing."""
        return self._column("time", name, in_utc, np.datetime64("NaT", "us"))

    def days_since_churn(self, at: pd.Timestamp | pd.Series) -> Numbers:
        """Days (n,) from leaving to ``at``, one time or one a person."""
        now = at.to_datetime64() if isinstance(at, pd.Timestamp) else in_utc(at)
        return days_between(self.times("churned_at"), now)

    def _column(self, kind: str, name: str, convert: Callable[[Any], Any], missing: Any) -> Any:
        key = (kind, name)
        if key not in self._kept:
            self._kept[key] = convert(self.array(name)) if name in self else np.full(len(self), missing)
        return self._kept[key]


Customers = pd.DataFrame | People


def days_between(first: np.ndarray, then: np.ndarray | np.datetime64) -> Numbers:
    """Days (n,) between times; NaN where one is missing."""
    passed = then - first
    unit = np.datetime_data(passed.dtype)[0]
    days: Numbers = passed.astype(np.int64) / _PER_SECOND[unit] / _DAY_SECONDS
    days[np.isnat(passed)] = np.nan
    return days


def _of_one_kind(values: Any) -> Any:
    return contract.array_of(pd.Series(values.tolist())) if values.dtype == object else values


def _texts(values: Any) -> Texts:
    if not isinstance(values.dtype, pd.StringDtype):
        values = contract.as_text(pd.Series(values))
    texts = np.empty(len(values), dtype=object)
    # in a checked table texts have no blanks around them; in others they may
    texts[:] = [value.strip() or None if isinstance(value, str) else None for value in contract.plain(values)]
    return texts


def _numbers(values: Any) -> Numbers:
    if values.dtype == np.float64:
        return np.asarray(values)
    return contract.as_number(pd.Series(values)).to_numpy()


def _flags(values: Any) -> Flags:
    if not isinstance(values.dtype, pd.BooleanDtype):
        values = contract.as_flag(pd.Series(values)).array
    flags: Flags = values.to_numpy(dtype=bool, na_value=False)
    return flags


def _written(values: Any) -> Texts:
    if pd.api.types.infer_dtype(values, skipna=True) != "boolean":
        return _texts(values)
    written = np.empty(len(values), dtype=object)
    written[:] = [None if pd.isna(value) else "true" if value else "false" for value in contract.plain(values)]
    return written


def in_utc(values: Any) -> Times:
    """Aware times (n,) of a column or an array as UTC without a zone."""
    unit = getattr(values.dtype, "unit", "us")
    times: Times = np.asarray(values, dtype=f"datetime64[{unit}]")
    return times


def among(values: Texts, wanted: Collection[str]) -> Flags:
    """Which texts (n,) are among some; a missing one never is."""
    return np.array([value in wanted for value in values.tolist()], dtype=bool)


def taken(columns: Mapping[str, Any], rows: np.ndarray) -> dict[str, Any]:
    """The columns of some people, by their positions (m,)."""
    return {name: values[rows] for name, values in columns.items()}
