"""Tables as files hold them, checked against the contract."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal
from zoneinfo import available_timezones

import numpy as np
import pandas as pd

from propensity.contract.faults import ContractError, Violation, bad_rows, fault_rows, faults_at, faults_in
from propensity.contract.kinds import KIND_WORDS, array_of, lost, of_kind, plain
from propensity.contract.tables import CONSENT_PREFIX, CONTROL, PROBABILITY_PREFIX, TABLES, Column

MEND = "Mend the file, or set the bad rows aside with --quarantine FILE"


@dataclass(frozen=True)
class Checked:
    """What `check` returns: the good rows with the promised kinds, the bad rows as they came, and the faults."""

    good: pd.DataFrame
    bad: pd.DataFrame
    violations: tuple[Violation, ...]


@dataclass(frozen=True)
class Read:
    """Columns with the promised kinds, and what is wrong with them.

    Attributes
    ----------
    columns : dict of arrays (n,)
        The contract's; what could not be read is missing.
    faults : tuple of Violation
    """

    columns: dict[str, Any]
    faults: tuple[Violation, ...]


def check(
    table: str,
    frame: pd.DataFrame,
    *,
    actions: Iterable[str] | None = None,
    extra: Sequence[Column] = (),
    quarantine: bool = False,
    first_row: int = 0,
    fix: str = MEND,
) -> Checked:
    """Check one table against the contract.

    Parameters
    ----------
    table : {"customers", "contacts", "outcomes"}
    frame : DataFrame
        What the file held, in any kinds.
    actions : iterable of str, optional
        The action labels that are known (control is added). Unknown ones in ``contacts.action`` are faults.
    extra : sequence of Column
        Columns besides the contract's own (features, consents) that must be there, with their kinds.
    quarantine : bool
        When true, faults of single rows do not raise: the rows come back in ``bad`` with a column ``fault``.
    first_row : int
        Number of the first row, where ``frame`` is a part of a larger table.
    fix : str
        What to do about faulty rows.

    Returns
    -------
    Checked

    Raises
    ------
    ContractError
        A column is missing, the table is empty, or (without ``quarantine``) any row has a fault.
    """
    columns = _columns(table, frame.columns, actions, extra)
    _require_columns(table, frame, columns)
    if frame.empty:
        raise ContractError([Violation(table, "", 0, "at least one row", "none")])
    frame = frame.set_axis(pd.RangeIndex(first_row, first_row + len(frame)))
    present = [c for c in columns if c.name in frame.columns]
    read = _read(table, {c.name: array_of(frame[c.name]) for c in present}, present, first_row)
    if read.faults and not quarantine:
        raise ContractError(read.faults, fix=fix)
    # a name may be there twice where it is no concern of the contract
    parts = [read.columns.get(name, frame.iloc[:, i]) for i, name in enumerate(frame.columns)]
    typed = pd.DataFrame(dict(enumerate(parts)), index=frame.index).set_axis(frame.columns, axis=1)
    good = typed.drop(index=fault_rows(read.faults)).reset_index(drop=True)
    return Checked(good, bad_rows(frame, read.faults), read.faults)


def read_columns(table: str, columns: Mapping[str, np.ndarray], extra: Sequence[Column] = ()) -> Read:
    """Check columns (n,) of any objects, of which none that is required lacks; see `check`.

    All columns come back, those that the contract does not know as they are.
    """
    known = [c for c in _columns(table, columns, None, extra) if c.name in columns]
    read = _read(table, {c.name: columns[c.name] for c in known}, known, 0)
    return Read({name: read.columns.get(name, values) for name, values in columns.items()}, read.faults)


def check_references(customers: pd.DataFrame, contacts: pd.DataFrame, outcomes: pd.DataFrame) -> list[Violation]:
    """Faults between checked tables: contacts and outcomes that name nobody, contacts before the customer's row."""
    known_since = customers.groupby("customer_id")["as_of"].min()
    faults = []
    for table, frame in (("contacts", contacts), ("outcomes", outcomes)):
        lost = frame["customer_id"][known_since.reindex(frame["customer_id"]).isna().to_numpy()]
        faults += faults_in(table, "customer_id", lost, "a customer of the customers table")
    decided_at = contacts["decided_at"]
    early = decided_at[decided_at.array < known_since.reindex(contacts["customer_id"]).array]
    # a model may see nothing younger than the decision, so such a contact could never be learnt from
    faults += faults_in("contacts", "decided_at", early, "a time no earlier than the customer's as_of")
    return faults


def check_arms(contacts: pd.DataFrame) -> None:
    """Refuse contacts that nothing can be learnt from: no control, or nothing but control.

    Raises
    ------
    ContractError
    """
    counts = contacts["action"].value_counts()
    found = ", ".join(f"{label} ({n:,})" for label, n in counts.items()) or "none"
    if CONTROL not in counts.index:
        fault = Violation(
            "contacts", "action", len(contacts), f"some rows with {CONTROL!r} (people not contacted)", found
        )
        raise ContractError([fault], fix="Without people who were not contacted, no effect of contact can be measured")
    if len(counts) < 2:
        fault = Violation("contacts", "action", len(contacts), "at least one action besides control", found)
        raise ContractError([fault], fix="With one arm only, no effect of contact can be measured")


def _columns(table: str, found: Iterable[Any], actions: Iterable[str] | None, extra: Sequence[Column]) -> list[Column]:
    columns = list(TABLES[table])
    if table == "contacts" and actions is not None:
        labels = tuple(sorted({*actions, CONTROL}))
        columns = [Column(c.name, c.kind, c.meaning, choices=labels) if c.name == "action" else c for c in columns]
    named = {c.name for c in columns}
    columns += [c for c in extra if c.name not in named]
    named |= {c.name for c in extra}
    for name in map(str, found):
        if name not in named and table == "customers" and name.startswith(CONSENT_PREFIX):
            columns.append(Column(name, "flag", "consent for this channel", required=False, nullable=True))
        if name not in named and table == "contacts" and name.startswith(PROBABILITY_PREFIX):
            columns.append(Column(name, "number", "chance of this action", required=False, at_least=0, at_most=1))
    return columns


def _require_columns(table: str, frame: pd.DataFrame, columns: Sequence[Column]) -> None:
    found = [str(c) for c in frame.columns]
    repeated = [c for c in columns if found.count(c.name) > 1]
    if repeated:
        raise ContractError(
            [Violation(table, c.name, len(frame), "one such column", str(found.count(c.name))) for c in repeated]
        )
    missing = [c for c in columns if c.required and c.name not in found]
    if not missing:
        return
    violations = []
    # what is a column itself was not meant to be another
    others = set(found) - {c.name for c in (*TABLES[table], *columns) if c.required or c in TABLES[table]}
    for column in missing:
        near = close_name(column.name, others)
        hint = f"no such column (did the file mean {near!r}?)" if near else "no such column"
        violations.append(Violation(table, column.name, len(frame), KIND_WORDS[column.kind], hint))
    raise ContractError(violations, fix=f"The columns are: {', '.join(found) or 'none'}")


def close_name(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that ``name`` was most likely meant to be, or None."""
    import difflib

    by_lower = {c.lower(): c for c in candidates}
    near = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None


def _read(table: str, raw: Mapping[str, Any], columns: Sequence[Column], first_row: int) -> Read:
    """Columns with their kinds, and all faults; rows are counted from ``first_row``."""
    typed: dict[str, Any] = {}
    missing: dict[str, np.ndarray] = {}
    unreadable: dict[str, np.ndarray] = {}
    faults: list[Violation] = []
    for column in columns:
        values = raw[column.name]
        found = typed[column.name] = of_kind(column.kind, values)
        missing[column.name] = gone = pd.isna(found)
        unread = lost(values, gone)
        if len(unread):
            unreadable[column.name] = unread
            faults += faults_at(table, column.name, values, unread, KIND_WORDS[column.kind], first_row)
    for column in columns:
        known = unreadable.get(column.name)
        for wrong, expected in _value_faults(column, typed[column.name], missing[column.name], known):
            faults += faults_at(table, column.name, typed[column.name], np.flatnonzero(wrong), expected, first_row)
    faults += _repeated_keys(table, typed, first_row)
    if table == "customers":
        faults += _faults_of_people(typed, first_row)
    return Read(typed, tuple(faults))


def _value_faults(
    column: Column, values: Any, missing: np.ndarray, unreadable: np.ndarray | None
) -> Iterator[tuple[np.ndarray, str]]:
    """Rules of a column that some values (n,) break: which do, (n,) of bool, and what was expected."""
    if not column.nullable and missing.any():
        # what could not be read is missing by now, and was named already
        unnamed = missing.copy()
        if unreadable is not None:
            unnamed[unreadable] = False
        yield unnamed, "a value"
    if column.unique:
        yield pd.Series(values).duplicated(keep=False).to_numpy() & ~missing, "each value once"
    unit = f" {column.unit}" if column.unit else ""
    if column.at_least is not None:
        yield values < column.at_least, f"at least {column.at_least:g}{unit}"
    if column.above is not None:
        yield values <= column.above, f"more than {column.above:g}{unit}"
    if column.at_most is not None:
        yield values > column.at_most, f"at most {column.at_most:g}{unit}"
    if column.choices is not None:
        there = zip(plain(values), missing.tolist(), strict=True)
        strange = np.array([not gone and value not in column.choices for value, gone in there], dtype=bool)
        yield strange, f"one of {', '.join(column.choices)}"
    if column.kind == "number":
        yield np.isinf(values), "a finite number"


def _repeated_keys(table: str, typed: Mapping[str, Any], first_row: int) -> list[Violation]:
    """A person who stands twice at one time (which row is true?), and events reported twice (money twice)."""
    if table == "customers":
        again = _again(typed, ("customer_id", "as_of"), keep=False) & ~pd.isna(typed["customer_id"])
        name, expected = "customer_id", "each customer once at a time"
    elif table == "outcomes":
        nameless = pd.isna(typed["source"]) | pd.isna(typed["event_id"])
        again = _again(typed, ("source", "event_id"), keep="first") & ~nameless
        name, expected = "event_id", "each event of a source once"
    else:
        return []
    return faults_at(table, name, typed[name], np.flatnonzero(again), expected, first_row)


def _again(typed: Mapping[str, Any], key: tuple[str, ...], keep: Literal["first", False]) -> np.ndarray:
    """Which rows (n,) have a key that is there more than once."""
    n = len(typed[key[0]])
    if n == 1:
        return np.zeros(1, dtype=bool)
    return pd.DataFrame({name: typed[name] for name in key}).duplicated(keep=keep).to_numpy()


def _faults_of_people(typed: Mapping[str, Any], first_row: int) -> list[Violation]:
    """People who left after their row was true, and time zones that there are not."""
    churned_at = typed["churned_at"]
    late = np.flatnonzero(churned_at > typed["as_of"])
    expected = "a time no later than the row's as_of"
    faults = faults_at("customers", "churned_at", churned_at, late, expected, first_row)
    if "time_zone" in typed:
        zones = typed["time_zone"]
        there = zip(plain(zones), pd.isna(zones).tolist(), strict=True)
        unknown = np.flatnonzero([not gone and zone not in time_zone_names() for zone, gone in there])
        faults += faults_at("customers", "time_zone", zones, unknown, "a time zone such as Europe/Berlin", first_row)
    return faults


@cache
def time_zone_names() -> frozenset[str]:
    """All there are; looked for on the disk, which takes time, once."""
    return frozenset(available_timezones())
