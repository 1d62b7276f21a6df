"""Who meets a condition of the playbook, by segments and columns of the customers table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from propensity import contract
from propensity.errors import InputError
from propensity.people import Customers, People
from propensity.playbook import Condition
from propensity.segments.building import Segmented
from propensity.segments.named import SEGMENTS


class _Framed:
    """Segments of a DataFrame, asked as `Segmented` is."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        self.index = frame.index

    def __contains__(self, name: object) -> bool:
        return name in self.frame

    def possible(self, name: str) -> Sequence[str]:
        return list(self.frame[name].cat.categories)

    def texts(self, name: str) -> np.ndarray:
        return self.frame[name].to_numpy(dtype=object)


AnySegments = pd.DataFrame | Segmented


def segment_texts(segments: AnySegments, name: str) -> np.ndarray:
    """The value (n,) of a segment."""
    return _asked(segments).texts(name)


def _asked(segments: AnySegments) -> Segmented | _Framed:
    return _Framed(segments) if isinstance(segments, pd.DataFrame) else segments


def meets(condition: Condition, customers: Customers, segments: AnySegments) -> np.ndarray:
    """Who meets a condition of the playbook.

    Parameters
    ----------
    condition : dict of str to tuple of str
        Columns and the values of which one must hold; all columns must agree. A column is looked for among the
        segments first, then in the customers table. Without any column everybody meets it.
    customers : DataFrame (n, ...)
        A checked customers table.
    segments : DataFrame (n, segments)
        Categorical columns with the index of ``customers``, as `SegmentBuilder.transform` makes them.

    Returns
    -------
    array (n,) of bool
        Values are compared as texts: flags are ``true`` and ``false``, whole numbers have no decimal point. A missing
        value never meets a condition; ``unknown`` is a value like any other.

    Raises
    ------
    InputError
        A column is in neither table, or a value is one that the column cannot have.
    """
    people, found = People.of(customers), _asked(segments)
    if found.index is not people.index and not found.index.equals(people.index):
        raise InputError("segments: expected the index of the customers, found another one")
    met = np.ones(len(people), dtype=bool)
    for name, wanted in condition.items():
        _check_condition(name, wanted, people, found)
        values = found.texts(name) if name in found else people.written(name)
        met &= np.array([value in wanted for value in values.tolist()], dtype=bool)
    return met


def _check_condition(name: str, wanted: Sequence[str], people: People, segments: Segmented | _Framed) -> None:
    possible: Sequence[str] | None = None
    if name in segments:
        possible = segments.possible(name)
    else:
        own = next((column for column in contract.CUSTOMERS if column.name == name), None)
        if name not in people and own is None:
            near = contract.close_name(name, [*SEGMENTS, *people.table])
            hint = f" (did it mean {near!r}?)" if near else ""
            raise InputError(
                f"{_words(name, wanted)}: expected a segment or a column of the customers table, found no {name!r}"
                f"{hint}"
            )
        possible = own.choices if own else None
        if name.startswith(contract.CONSENT_PREFIX) or (own and own.kind == "flag"):
            possible = ("true", "false")
    for value in wanted:
        if possible is not None and value not in possible:
            shown = ", ".join(possible[:9]) + (", …" if len(possible) > 9 else "")
            raise InputError(f"{_words(name, wanted)}: expected values among {shown}, found {value!r}")


def _words(name: str, wanted: Sequence[str]) -> str:
    return f"condition {name} = {', '.join(wanted)}"
