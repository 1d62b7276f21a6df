"""The tables that everything else is built on: their columns, kinds, units and checks.

Three tables cross the threshold of the house: ``customers`` (one row a person as of a date), ``contacts`` (one row a
decision that was carried out or held out) and ``outcomes`` (events). `check` turns whatever a file held into a table
with the promised kinds, or says in full what is wrong with it: table, column, number of rows, what was expected and
what was found. Nothing is dropped silently: bad rows come back beside the good ones, each with its reasons.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd
import pandera.pandas as pa

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
)
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

CUSTOMERS = (
    Column("customer_id", "text", "the company's own key of the person or account", unique=True),
    Column("as_of", "time", "when the row was true; no feature may be younger", unit="UTC"),
    Column("churned_at", "time", "when the relationship ended or the last activity was", unit="UTC"),
    Column("reason", "text", "stated reason for churn", required=False, nullable=True, choices=REASONS),
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
    Column("type", "text", "what happened", choices=OUTCOME_TYPES),
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

_DTYPES: dict[Kind, object] = {
    "text": str,
    "number": "float64",
    "time": pd.DatetimeTZDtype("us", "UTC"),
    "flag": "boolean",
}
_KIND_WORDS: dict[Kind, str] = {
    "text": "a text",
    "number": "a number",
    "time": "a time such as 2026-01-31 or 2026-01-31T09:00:00Z",
    "flag": "true or false",
}


@dataclass(frozen=True)
class Violation:
    """One kind of fault in one column: how many rows, what was expected, what was found (up to three examples)."""

    table: str
    column: str
    n_rows: int
    expected: str
    found: str
    index: tuple[int, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        rows = "1 row" if self.n_rows == 1 else f"{self.n_rows:,} rows"
        return f"{self.table}.{self.column}: {rows}: expected {self.expected}, found {self.found}"


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


def check(
    table: str,
    frame: pd.DataFrame,
    *,
    actions: Iterable[str] | None = None,
    extra: Sequence[Column] = (),
    quarantine: bool = False,
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

    Returns
    -------
    Checked

    Raises
    ------
    ContractError
        A column is missing, the table is empty, or (without ``quarantine``) any row has a fault.
    """
    columns = _columns(table, frame, actions, extra)
    _require_columns(table, frame, columns)
    if frame.empty:
        raise ContractError([Violation(table, "(all)", 0, "at least one row", "an empty table")])
    frame = frame.reset_index(drop=True)
    present = [c for c in columns if c.name in frame.columns]
    faults = _coercion_faults(table, frame, present)
    sound = frame.drop(index=_fault_rows(faults))
    if len(sound):
        sound = _coerce(sound, present)
        value_faults = _value_faults(table, sound, present)
        sound = sound.drop(index=_fault_rows(value_faults))
        faults += value_faults
    if faults and not quarantine:
        raise ContractError(faults, fix="Mend the file, or set the bad rows aside with --quarantine FILE")
    return Checked(sound.reset_index(drop=True), _bad_rows(frame, faults), tuple(faults))


def check_references(customers: pd.DataFrame, contacts: pd.DataFrame, outcomes: pd.DataFrame) -> list[Violation]:
    """Faults between tables: contacts and outcomes that name nobody, and contacts older than the customer's churn."""
    known = pd.Index(customers["customer_id"])
    faults = []
    for table, frame in (("contacts", contacts), ("outcomes", outcomes)):
        lost = frame.index[~frame["customer_id"].isin(known)]
        if len(lost):
            found = _examples(frame.loc[lost, "customer_id"])
            faults.append(
                Violation(
                    table, "customer_id", len(lost), "a customer of the customers table", found, tuple(map(int, lost))
                )
            )
    return faults


def check_arms(contacts: pd.DataFrame) -> None:
    """Refuse contacts that nothing can be learnt from: no control, or nothing but control.

    Raises
    ------
    ContractError
    """
    counts = contacts["action"].value_counts()
    found = ", ".join(f"{label} ({n:,})" for label, n in counts.items())
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


def _columns(table: str, frame: pd.DataFrame, actions: Iterable[str] | None, extra: Sequence[Column]) -> list[Column]:
    columns = list(TABLES[table])
    if table == "contacts" and actions is not None:
        labels = tuple(sorted({*actions, CONTROL}))
        columns = [Column(c.name, c.kind, c.meaning, choices=labels) if c.name == "action" else c for c in columns]
    named = {c.name for c in columns}
    columns += [c for c in extra if c.name not in named]
    named |= {c.name for c in extra}
    for name in map(str, frame.columns):
        if name not in named and table == "customers" and name.startswith(CONSENT_PREFIX):
            columns.append(Column(name, "flag", "consent for this channel", required=False, nullable=True))
        if name not in named and table == "contacts" and name.startswith(PROBABILITY_PREFIX):
            columns.append(Column(name, "number", "chance of this action", required=False, at_least=0, at_most=1))
    return columns


def _require_columns(table: str, frame: pd.DataFrame, columns: Sequence[Column]) -> None:
    found = [str(c) for c in frame.columns]
    missing = [c for c in columns if c.required and c.name not in found]
    if not missing:
        return
    violations = []
    for column in missing:
        near = close_name(column.name, found)
        hint = f"no such column (did the file mean {near!r}?)" if near else "no such column"
        violations.append(Violation(table, column.name, len(frame), _KIND_WORDS[column.kind], hint))
    raise ContractError(violations, fix=f"The columns are: {', '.join(found)}")


def close_name(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that ``name`` was most likely meant to be, or None."""
    import difflib

    by_lower = {c.lower(): c for c in candidates}
    near = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None


def _coerce(frame: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    schema = pa.DataFrameSchema({c.name: pa.Column(_DTYPES[c.kind], coerce=True, nullable=True) for c in columns})
    return schema.validate(_plain_text(frame, columns), lazy=True)


def _plain_text(frame: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    """Text columns as str with true missing values: a blank is missing, and a number in a key stays readable."""
    frame = frame.copy()
    for column in columns:
        values = frame[column.name]
        if column.kind == "text":
            text = values.astype("object").where(values.notna(), None)
            text = text.map(lambda v: None if v is None or str(v).strip() == "" else str(v).strip())
            frame[column.name] = text.astype("str")
        elif column.kind in ("number", "time", "flag") and values.dtype == object:
            frame[column.name] = values.where(values.notna(), None)
        if column.kind == "flag":
            frame[column.name] = frame[column.name].map(_as_flag)
    return frame


_FLAGS = {"true": True, "yes": True, "1": True, "1.0": True, "false": False, "no": False, "0": False, "0.0": False}


def _as_flag(value: object) -> object:
    if value is None or value is pd.NA or (isinstance(value, float) and value != value) or value == "":
        return pd.NA
    return _FLAGS.get(str(value).strip().lower(), value)


def _coercion_faults(table: str, frame: pd.DataFrame, columns: Sequence[Column]) -> list[Violation]:
    faults = []
    for column in columns:
        if column.kind == "text":
            continue
        try:
            _coerce(frame[[column.name]], [column])
        except pa.errors.SchemaErrors as error:
            cases = error.failure_cases
            rows = tuple(sorted(set(cases["index"].dropna().astype(int))))
            rows = rows or tuple(frame.index)
            found = _examples(frame.loc[list(rows), column.name])
            faults.append(Violation(table, column.name, len(rows), _KIND_WORDS[column.kind], found, rows))
    return faults


def _value_faults(table: str, frame: pd.DataFrame, columns: Sequence[Column]) -> list[Violation]:
    schema = pa.DataFrameSchema({c.name: _pandera_column(c) for c in columns})
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        return _violations(table, frame, error.failure_cases)
    return []


def _pandera_column(column: Column) -> pa.Column:
    checks = []
    unit = f" {column.unit}" if column.unit else ""
    if column.at_least is not None:
        checks.append(pa.Check.ge(column.at_least, error=f"at least {column.at_least:g}{unit}"))
    if column.above is not None:
        checks.append(pa.Check.gt(column.above, error=f"more than {column.above:g}{unit}"))
    if column.at_most is not None:
        checks.append(pa.Check.le(column.at_most, error=f"at most {column.at_most:g}{unit}"))
    if column.choices is not None:
        checks.append(pa.Check.isin(column.choices, error=f"one of {', '.join(column.choices)}"))
    if column.kind == "number":
        checks.append(pa.Check(lambda s: s.abs() != float("inf"), element_wise=False, error="a finite number"))
    return pa.Column(nullable=column.nullable, unique=column.unique, checks=checks)


def _violations(table: str, frame: pd.DataFrame, cases: pd.DataFrame) -> list[Violation]:
    found_of = {"not_nullable": "a missing value"}
    expected_of = {"not_nullable": "a value", "field_uniqueness": "each value once"}
    violations = []
    for (column, check_name), group in cases.astype({"column": str, "check": str}).groupby(
        ["column", "check"], sort=False
    ):
        rows = tuple(sorted(set(group["index"].astype(int))))
        found = found_of.get(str(check_name)) or _examples(frame[str(column)].loc[list(rows)])
        expected = expected_of.get(str(check_name), str(check_name))
        violations.append(Violation(table, str(column), len(rows), expected, found, rows))
    return violations


def _examples(values: pd.Series) -> str:
    shown = [repr(v) if isinstance(v, str) else str(v) for v in pd.unique(values)[:3]]
    where = f" (first in data row {int(values.index[0]) + 1})" if len(values) else ""
    return ", ".join(shown) + where


def _fault_rows(faults: Sequence[Violation]) -> list[int]:
    return sorted({row for fault in faults for row in fault.index})


def _bad_rows(frame: pd.DataFrame, faults: Sequence[Violation]) -> pd.DataFrame:
    rows = _fault_rows(faults)
    bad = frame.loc[rows].copy()
    reasons: dict[int, list[str]] = {row: [] for row in rows}
    for fault in faults:
        for row in fault.index:
            reasons[row].append(f"{fault.column}: expected {fault.expected}")
    bad["fault"] = ["; ".join(reasons[row]) for row in rows]
    return bad
