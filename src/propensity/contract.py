"""The tables that everything else is built on: their columns, kinds, units and checks.

Three tables cross the threshold of the house: ``customers`` (one row a person as of a date), ``contacts`` (one row a
decision that was carried out or held out) and ``outcomes`` (events). `check` turns whatever a file held into a table
with the promised kinds, or says in full what is wrong with it: table, column, number of rows, what was expected and
what was found. Nothing is dropped silently: bad rows come back beside the good ones, each with its reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any, Literal
from zoneinfo import available_timezones

import numpy as np
import pandas as pd

CONTROL = "control"
"""The label of the action that is no contact."""

OUTCOME_TYPES = (
    "sent",
    "delivered",
    "opened",
    "clicked",
    "bounced",
    "unsubscribed",
    "complained",
    "reactivated",
    "purchased",
    "churned",
    "cart_abandoned",
    "excluded",
)
SHOW_THAT_IT_WAS_SENT = ("sent", "delivered", "opened", "clicked", "bounced")
"""Types of events that show that the decision they name was carried out."""
PROBABILITY_PREFIX = "probability_"
"""``contacts`` may carry one column an action with the logged probability of each, e.g. ``probability_mens_email``."""

CONSENT_PREFIX = "consent_"
"""``customers`` carry one such column a channel that needs consent, e.g. ``consent_email``."""

Kind = Literal["text", "number", "time", "flag"]


@dataclass(frozen=True)
class Column:
    """One column of a contract table.

    ``required`` columns must be there; ``nullable`` ones may have missing values. ``at_least``, ``above`` and
    ``at_most`` bound a number; ``choices`` limit a text; ``unit`` and ``meaning`` are for people.
    """

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    required: bool = True
    nullable: bool = False
    unique: bool = False
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    choices: tuple[str, ...] | None = None


REASONS = (
    "price",
    "product_gap",
    "competitive_switch",
    "internal_change",
    "no_longer_needed",
    "service_problem",
    "fit_problem",
    "disengaged",
)
RELATIONSHIPS = ("amicable", "neutral", "after_service_failure")

PRIVATE = ("exit_answer",)
"""Columns of the customers table that may hold personal data in people's own words. They are no feature, meet no
condition, and are in no decision, no message and no ledger."""

CUSTOMERS = (
    Column("customer_id", "text", "the company's own key of the person or account"),
    Column("as_of", "time", "when the row was true; no feature may be younger", unit="UTC"),
    Column("churned_at", "time", "when the relationship ended or the last activity was", unit="UTC"),
    Column("reason", "text", "stated reason for churn", required=False, nullable=True, choices=REASONS),
    Column(
        "exit_answer",
        "text",
        "what they wrote when they left, in their own words; the reason is read from it, and it is kept in no ledger",
        required=False,
        nullable=True,
    ),
    Column("relationship", "text", "how they parted", required=False, nullable=True, choices=RELATIONSHIPS),
    Column("competitor", "text", "the competitor they went to, if known", required=False, nullable=True),
    Column(
        "annual_value",
        "number",
        "revenue of their last active year",
        unit="currency a year",
        required=False,
        nullable=True,
        at_least=0,
    ),
    Column("account_access", "flag", "can the account still log in", required=False, nullable=True),
    Column("owner", "text", "the person who owned the account", required=False, nullable=True),
    Column("time_zone", "text", "where they live, such as Europe/Berlin", required=False, nullable=True),
)
CONTACTS = (
    Column("decision_id", "text", "key of the decision", unique=True),
    Column("customer_id", "text", "whom it was about"),
    Column("decided_at", "time", "when it was decided", unit="UTC"),
    Column("campaign", "text", "the campaign it belonged to"),
    Column("action", "text", "what was done; `control` is a holdout"),
    Column(
        "probability",
        "number",
        "chance of the served action under the rule that drew it, after all filters",
        unit="share",
        above=0,
        at_most=1,
    ),
    Column("cost", "number", "what the contact cost", unit="currency", at_least=0),
)
OUTCOMES = (
    Column("event_id", "text", "key of the event within its source"),
    Column("source", "text", "the system that reported it"),
    Column("customer_id", "text", "whom it happened to"),
    Column("decision_id", "text", "the decision it answers, if known", required=False, nullable=True),
    Column("at", "time", "when it happened", unit="UTC"),
    Column("type", "text", "what happened; excluded: taken off all lists by the company", choices=OUTCOME_TYPES),
    Column(
        "amount",
        "number",
        "money that came in (negative: refund)",
        unit="currency",
        required=False,
        nullable=True,
    ),
)
TABLES: dict[str, tuple[Column, ...]] = {
    "customers": CUSTOMERS,
    "contacts": CONTACTS,
    "outcomes": OUTCOMES,
}

_KIND_WORDS: dict[Kind, str] = {
    "text": "a text",
    "number": "a number",
    "time": "a time such as 2026-01-31 or 2026-01-31T09:00:00Z",
    "flag": "true or false",
}
_LONGEST_EXAMPLE = 60
MEND = "Mend the file, or set the bad rows aside with --quarantine FILE"


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
    good = typed.drop(index=_fault_rows(read.faults)).reset_index(drop=True)
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


def faults_in(table: str, column: str, values: pd.Series, expected: str) -> list[Violation]:
    """The violation that these values are, indexed by their rows; none where there are no values."""
    if values.empty:
        return []
    rows = tuple(map(int, values.index))
    return [Violation(table, column, len(rows), expected, _examples(values), rows)]


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


def data_dictionary() -> str:
    """The tables as a Markdown page."""
    lines = [
        "# Data dictionary",
        "",
        "Written by `propensity data dictionary`; the source is `src/propensity/contract.py`.",
    ]
    for table, columns in TABLES.items():
        lines += ["", f"## {table}", "", "| column | kind | unit | may be missing | meaning |", "|---|---|---|---|---|"]
        for c in columns:
            missing = "column" if not c.required else ("value" if c.nullable else "no")
            meaning = c.meaning + (f" ({', '.join(c.choices)})" if c.choices else "")
            lines.append(f"| `{c.name}` | {c.kind} | {c.unit} | {missing} | {meaning} |")
    lines += [
        "",
        "`customers` also holds one flag `consent_<channel>` for each channel that needs consent, and the feature",
        "columns that the playbook names. `contacts` may hold one column `probability_<action>` an action, where the",
        "probabilities differ between people.",
        "",
    ]
    return "\n".join(lines)


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
        violations.append(Violation(table, column.name, len(frame), _KIND_WORDS[column.kind], hint))
    raise ContractError(violations, fix=f"The columns are: {', '.join(found) or 'none'}")


def close_name(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that ``name`` was most likely meant to be, or None."""
    import difflib

    by_lower = {c.lower(): c for c in candidates}
    near = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None


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
    flags = [v if type(v) is bool else _FLAGS.get(str(v).strip().lower()) for v in values.tolist()]
    return pd.arrays.BooleanArray(
        np.array([flag is True for flag in flags], dtype=bool), np.array([flag is None for flag in flags], dtype=bool)
    )


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


def _read(table: str, raw: Mapping[str, Any], columns: Sequence[Column], first_row: int) -> Read:
    """Columns with their kinds, and all faults; rows are counted from ``first_row``."""
    typed: dict[str, Any] = {}
    missing: dict[str, np.ndarray] = {}
    unreadable: dict[str, np.ndarray] = {}
    faults: list[Violation] = []
    for column in columns:
        values = raw[column.name]
        found = typed[column.name] = _converted(column.kind, values)
        missing[column.name] = gone = pd.isna(found)
        lost = _lost(values, gone)
        if len(lost):
            unreadable[column.name] = lost
            faults += _faults_at(table, column.name, values, lost, _KIND_WORDS[column.kind], first_row)
    for column in columns:
        known = unreadable.get(column.name)
        for wrong, expected in _value_faults(column, typed[column.name], missing[column.name], known):
            faults += _faults_at(table, column.name, typed[column.name], np.flatnonzero(wrong), expected, first_row)
    faults += _repeated_keys(table, typed, first_row)
    if table == "customers":
        faults += _faults_of_people(typed, first_row)
    return Read(typed, tuple(faults))


def _converted(kind: Kind, values: Any) -> Any:
    """Values (n,) of any dtype as an array of a kind."""
    if values.dtype == object:
        return _OF_OBJECTS[kind](values)
    converted = _CONVERTERS[kind](pd.Series(values, copy=False))
    return converted.to_numpy() if kind == "number" else converted.array


def _lost(values: Any, missing: np.ndarray) -> np.ndarray:
    """Rows whose value is missing after a conversion (n,) though it was there; a blank was not."""
    if not missing.any():
        return np.empty(0, dtype=np.intp)
    lost = np.flatnonzero(missing & ~pd.isna(values))
    return np.array([i for i in lost if not (isinstance(values[i], str) and not values[i].strip())], dtype=np.intp)


def _faults_at(
    table: str, column: str, values: Any, rows: np.ndarray, expected: str, first_row: int
) -> list[Violation]:
    """The violation that the values in these rows are, if there are any."""
    if not len(rows):
        return []
    return faults_in(table, column, pd.Series(values[rows], index=rows + first_row, dtype=values.dtype), expected)


def unread(values: pd.Series, converted: pd.Series) -> pd.Series:
    """The values that are missing after a conversion though they were there; a blank was not."""
    return values.iloc[_lost(array_of(values), converted.isna().to_numpy())]


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
    return _faults_at(table, name, typed[name], np.flatnonzero(again), expected, first_row)


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
    faults = _faults_at("customers", "churned_at", churned_at, late, expected, first_row)
    if "time_zone" in typed:
        zones = typed["time_zone"]
        there = zip(plain(zones), pd.isna(zones).tolist(), strict=True)
        unknown = np.flatnonzero([not gone and zone not in time_zone_names() for zone, gone in there])
        faults += _faults_at("customers", "time_zone", zones, unknown, "a time zone such as Europe/Berlin", first_row)
    return faults


@cache
def time_zone_names() -> frozenset[str]:
    """All there are; looked for on the disk, which takes time, once."""
    return frozenset(available_timezones())


def _examples(values: pd.Series) -> str:
    """Up to three different values, shortened, and where the first one is."""
    shown = dict.fromkeys(_shown(value) for value in values.iloc[:1_000])
    return f"{', '.join(list(shown)[:3])} (first in data row {int(values.index[0]) + 1})"


def _shown(value: Any) -> str:
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return "a missing value"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST_EXAMPLE else text[:_LONGEST_EXAMPLE] + "…"


def _fault_rows(faults: Sequence[Violation]) -> list[int]:
    return sorted({row for fault in faults for row in fault.index})


def bad_rows(frame: pd.DataFrame, faults: Sequence[Violation]) -> pd.DataFrame:
    """The rows that have a fault, as they came, with their reasons in the column ``fault``."""
    told = told_by_row(faults)
    bad = frame.loc[list(told)].copy()
    bad["fault"] = list(told.values())
    return bad


def told_by_row(faults: Sequence[Violation]) -> dict[int, str]:
    """What is wrong with each row that has a fault, in the order of the rows."""
    reasons: dict[int, list[str]] = {row: [] for row in _fault_rows(faults)}
    for fault in faults:
        for row in fault.index:
            reasons[row].append(f"{fault.column}: expected {fault.expected}")
    return {row: "; ".join(told) for row, told in reasons.items()}
