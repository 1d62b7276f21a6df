"""What was known of the people of an experiment before their decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from propensity.inference import Covariates
from propensity.ledger.experiments import Experiment, Snapshots
from propensity.playbook import Playbook
from propensity_experiments.watched import DAY, Watched

UNKNOWN_TIME = np.iinfo(np.int64).min
MOST_LEVELS = 20
"""Of a text column by which differences are adjusted; the rarer ones count together."""


@dataclass(frozen=True)
class Known:
    """Columns of the newest snapshot that is no younger than each decision, arrays (n,).

    Attributes
    ----------
    as_of, churned_at : int64 array
        Microseconds since 1970; `UNKNOWN_TIME` where there is no snapshot.
    numbers : dict of float32 arrays
        NaN where missing.
    texts : dict of (int32 array, tuple of str)
        Positions among the values; -1 where missing.
    """

    as_of: np.ndarray
    churned_at: np.ndarray
    numbers: dict[str, np.ndarray]
    texts: dict[str, tuple[np.ndarray, tuple[str, ...]]]

    @property
    def there(self) -> np.ndarray:
        """Of whom there is a snapshot (n,), bool."""
        return self.as_of > UNKNOWN_TIME

    def days_since_churn(self, at: np.ndarray) -> np.ndarray:
        """Days (n,) from leaving to the decision; NaN where that is not known."""
        return np.where(self.there, (at - self.churned_at) / DAY, np.nan)


def columns_of(playbook: Playbook | None) -> tuple[str, ...]:
    """Columns of snapshots that the playbook's features and segments name."""
    if playbook is None:
        return ()
    features, segments = playbook.features, playbook.segments
    names = (*features.numeric, *features.categorical, *segments.model_dump().values())
    return tuple(dict.fromkeys((*names, "reason", "relationship", "competitor")))


def known_of(record: Experiment, watched: Watched, names: Sequence[str]) -> Known:
    """Read what was known.

    Parameters
    ----------
    record : Experiment
    watched : Watched
    names : sequence of str
        Columns of snapshots; those that no snapshot has are left out.
    """
    n = len(watched.rows)
    reading = _Reading(n)
    count = np.bincount(watched.person, minlength=record.decisions.n_people)
    first = np.cumsum(count) - count
    for part in record.snapshots(names):
        place, row = _places(part.person, count, first)
        usable = part.as_of[row] <= watched.at[place]
        reading.add(part, place[usable], row[usable])
    return reading.done()


def _places(person: np.ndarray, count: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each decision of each of these people, and whose row it is."""
    times = count[person]
    row = np.repeat(np.arange(len(person)), times)
    within = np.arange(len(row)) - np.repeat(np.cumsum(times) - times, times)
    return first[person[row]] + within, row


class _Reading:
    """Snapshots that have been read so far; of several the newest stays."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.as_of = np.full(n, UNKNOWN_TIME)
        self.churned_at = np.full(n, UNKNOWN_TIME)
        self.numbers: dict[str, np.ndarray] = {}
        self.texts: dict[str, tuple[np.ndarray, dict[str, int]]] = {}

    def add(self, part: Snapshots, place: np.ndarray, row: np.ndarray) -> None:
        """Take over what is newer than what there is."""
        order = np.argsort(part.as_of[row], kind="stable")
        place, row = place[order], row[order]
        newer = part.as_of[row] > self.as_of[place]
        place, row = place[newer], row[newer]
        # of repeated positions the last value stays: the newest
        self.as_of[place] = part.as_of[row]
        self.churned_at[place] = part.churned_at[row]
        for name in {*self.numbers, *self.texts} - set(part.attributes.column_names):
            self._forget(name, place)
        for name in part.attributes.column_names:
            column = part.attributes[name].combine_chunks()
            if pa.types.is_null(column.type):
                self._forget(name, place)
            elif pa.types.is_string(column.type) or name in self.texts:
                self._add_text(name, column.cast(pa.string()), place, row)
            elif not pa.types.is_nested(column.type) and not pa.types.is_temporal(column.type):
                kept = self.numbers.setdefault(name, np.full(self.n, np.nan, dtype=np.float32))
                values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
                kept[place] = values[row]

    def _forget(self, name: str, place: np.ndarray) -> None:
        if name in self.numbers:
            self.numbers[name][place] = np.nan
        if name in self.texts:
            self.texts[name][0][place] = -1

    def _add_text(self, name: str, column: pa.Array, place: np.ndarray, row: np.ndarray) -> None:
        codes, values = self.texts.setdefault(name, (np.full(self.n, -1, dtype=np.int32), {}))
        coded = column.dictionary_encode()
        own = np.array([values.setdefault(text, len(values)) for text in coded.dictionary.to_pylist()] + [-1])
        codes[place] = own[pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)][row]

    def done(self) -> Known:
        texts = {name: (codes, tuple(values)) for name, (codes, values) in self.texts.items()}
        return Known(self.as_of, self.churned_at, self.numbers, texts)


def covariates(
    known: Known, at: np.ndarray, rows: np.ndarray, playbook: Playbook | None
) -> tuple[tuple[str, ...], Covariates | None]:
    """Columns by which differences are adjusted.

    Parameters
    ----------
    known : Known
    at : int64 array (n,)
        When it was decided.
    rows : int array (m,)
        Decisions that are compared.
    playbook : Playbook or None
        Its features name the columns.

    Returns
    -------
    names : tuple of str
        Of the snapshots' columns.
    values : Covariates (m, k) or None
        One column a number, and one a value of a text but for the most frequent; NaN where missing. None where nothing
        varies.
    """
    if playbook is None:
        return (), None
    names: list[str] = []
    columns: dict[str, np.ndarray] = {}
    for name in playbook.features.numeric:
        found = known.days_since_churn(at) if name == "days_since_churn" else known.numbers.get(name)
        if found is not None and _varies(found[rows]):
            names.append(name)
            columns[name] = found[rows]
    for name in playbook.features.categorical:
        if name in known.texts:
            codes, levels = known.texts[name]
            made = _dummies(codes[rows], (*levels, "missing"))
            names += [name] if made else []
            columns |= {f"{name}: {level}": column for level, column in made.items()}
    if not columns:
        return (), None
    return tuple(names), Covariates(tuple(columns), tuple(columns.values()), len(rows))


def _varies(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).any()) and float(np.nanmin(values)) < float(np.nanmax(values))


def _dummies(codes: np.ndarray, levels: Sequence[str]) -> dict[str, np.ndarray]:
    """Whether each person has each value but the most frequent; the last of the levels is that of code -1."""
    counts = np.bincount(codes % len(levels), minlength=len(levels))
    frequent = [k for k in np.argsort(-counts, kind="stable") if counts[k]][1:MOST_LEVELS]
    return {levels[k]: (codes % len(levels) == k).astype(np.int8) for k in frequent}


def table_of(known: Known, at: np.ndarray, rows: np.ndarray) -> pd.DataFrame:
    """The decisions of some rows (m,) with what was known, as the table that segments are made from."""
    columns: dict[str, object] = {
        "decided_at": _times(at[rows]),
        "churned_at": _times(known.churned_at[rows]),
        **{name: values[rows] for name, values in known.numbers.items()},
        **{name: pd.Categorical.from_codes(codes[rows], list(values)) for name, (codes, values) in known.texts.items()},
    }
    return pd.DataFrame(columns)


def _times(microseconds: np.ndarray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(microseconds.view("datetime64[us]")).tz_localize("UTC")
