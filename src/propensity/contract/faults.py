"""What is wrong with a table, and how it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

_LONGEST_EXAMPLE = 60


@dataclass(frozen=True)
class Violation:
    """One kind of fault in one column: how many rows, what was expected, what was found (up to three examples).

    ``column`` is empty where the fault is the table's.
    """

    table: str
    column: str
    n_rows: int
    expected: str
    found: str
    index: tuple[int, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        rows = "1 row" if self.n_rows == 1 else f"{self.n_rows:,} rows"
        place = f"{self.table}.{self.column}: {rows}" if self.column else self.table
        return f"{place}: expected {self.expected}, found {self.found}"


class ContractError(ValueError):
    """A table does not keep the contract. ``violations`` says how."""

    exit_code = 2

    def __init__(self, violations: Sequence[Violation], fix: str = "") -> None:
        self.violations = tuple(violations)
        text = "; ".join(str(v) for v in self.violations)
        super().__init__(f"{text}. {fix}".strip() if fix else text)


def faults_in(table: str, column: str, values: pd.Series, expected: str) -> list[Violation]:
    """The violation that these values are, indexed by their rows; none where there are no values."""
    if values.empty:
        return []
    rows = tuple(map(int, values.index))
    return [Violation(table, column, len(rows), expected, _examples(values), rows)]


def faults_at(table: str, column: str, values: Any, rows: np.ndarray, expected: str, first_row: int) -> list[Violation]:
    """The violation that the values in these rows are, if there are any."""
    if not len(rows):
        return []
    return faults_in(table, column, pd.Series(values[rows], index=rows + first_row, dtype=values.dtype), expected)


def _examples(values: pd.Series) -> str:
    """Up to three different values, shortened, and where the first one is."""
    shown = dict.fromkeys(_shown(value) for value in values.iloc[:1_000])
    return f"{', '.join(list(shown)[:3])} (first in data row {int(values.index[0]) + 1})"


def _shown(value: Any) -> str:
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return "a missing value"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST_EXAMPLE else text[:_LONGEST_EXAMPLE] + "…"


def fault_rows(faults: Sequence[Violation]) -> list[int]:
    """Rows that have a fault, in order, each once."""
    return sorted({row for fault in faults for row in fault.index})


def bad_rows(frame: pd.DataFrame, faults: Sequence[Violation]) -> pd.DataFrame:
    """The rows that have a fault, as they came, with their reasons in the column ``fault``."""
    told = told_by_row(faults)
    bad = frame.loc[list(told)].copy()
    bad["fault"] = list(told.values())
    return bad


def told_by_row(faults: Sequence[Violation]) -> dict[int, str]:
    """What is wrong with each row that has a fault, in the order of the rows."""
    reasons: dict[int, list[str]] = {row: [] for row in fault_rows(faults)}
    for fault in faults:
        for row in fault.index:
            reasons[row].append(f"{fault.column}: expected {fault.expected}")
    return {row: "; ".join(told) for row, told in reasons.items()}
