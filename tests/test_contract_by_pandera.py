"""The contract's own checks against pandera's, made from the same declaration of columns."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest

from propensity import contract, playbook
from propensity.contract import Column
from propensity.features import required_columns

EXTRA = {"customers": required_columns(playbook.load("default")), "contacts": [], "outcomes": []}
ACTIONS = ("email", "sms")
N_FRAMES = 400
VALUES = (
    *("", " ", "x", "price", "amicable", "email", "control", "sent", "clicked", "true", "no", "1", "7.5", "0"),
    *("2026-01-31", "2026-01-31T09:00:00Z", "2025-06-01 09:00", "03/04/2026", "inf", "nan", "-1", None, None),
    *(True, False, 0, 1, -1, 0.5, 1.5, 2**63, float("inf"), float("-inf"), float("nan"), 0, 1, 1e-9),
)
SOUND = {"text": "a", "number": 0.5, "time": "2026-01-01", "flag": True}


def declared(table: str) -> list[Column]:
    columns = [*contract.TABLES[table], *EXTRA[table]]
    labels = tuple(sorted({*ACTIONS, contract.CONTROL}))
    return [
        Column(c.name, c.kind, c.meaning, choices=labels) if (table, c.name) == ("contacts", "action") else c
        for c in columns
    ]


def made(table: str, rng: random.Random) -> pd.DataFrame:
    """A few rows, sound but for about a tenth of their values."""
    columns, n = declared(table), rng.randint(1, 6)
    rows = {c.name: [c.choices[0] if c.choices else SOUND[c.kind]] * n for c in columns}
    for key in {"customer_id", "decision_id", "event_id"} & set(rows):
        rows[key] = [f"{key}{i}" for i in range(n)]
    for values in rows.values():
        values[:] = [rng.choice(VALUES) if rng.random() < 0.1 else value for value in values]
    return pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in rows.items()})


def pandera_column(column: Column) -> pa.Column:
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
        checks.append(pa.Check(lambda s: s.abs() != float("inf"), error="a finite number"))
    return pa.Column(nullable=column.nullable, unique=column.unique, checks=checks)


def by_pandera(table: str, typed: pd.DataFrame) -> set[tuple[str, str, int]]:
    schema = pa.DataFrameSchema({c.name: pandera_column(c) for c in declared(table)})
    told = {"not_nullable": "a value", "field_uniqueness": "each value once"}
    try:
        schema.validate(typed, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases
        return {
            (str(c), told.get(str(k), str(k)), int(i))
            for c, k, i in zip(cases["column"], cases["check"], cases["index"], strict=True)
        }
    return set()


@pytest.mark.parametrize("table", contract.TABLES)
def test_faults_of_values_are_those_that_pandera_finds(table):
    converters = {"text": contract.as_text, "number": contract.as_number, "flag": contract.as_flag}

    rng = random.Random(table)
    for _ in range(N_FRAMES):
        frame = made(table, rng)
        found = contract.check(table, frame, extra=EXTRA[table], actions=ACTIONS, quarantine=True).violations
        typed = pd.DataFrame(
            {
                c.name: converters[c.kind](frame[c.name])
                if c.kind in converters
                else pd.to_datetime(
                    frame[c.name].where(frame[c.name].map(lambda v: isinstance(v, str)), None),
                    format="ISO8601",
                    utc=True,
                    errors="coerce",
                )
                for c in declared(table)
            }
        )
        kinds = {"a number", "a time such as 2026-01-31 or 2026-01-31T09:00:00Z", "true or false"}
        unreadable = {(v.column, row) for v in found if v.expected in kinds for row in v.index}
        others = (
            "each customer once at a time",
            "each event of a source once",
            "a time no later than the row's as_of",
            "a time zone such as Europe/Berlin",
        )
        ours = {(v.column, v.expected, row) for v in found if v.expected not in (*kinds, *others) for row in v.index}
        assert ours == {(c, e, row) for c, e, row in by_pandera(table, typed) if (c, row) not in unreadable}
        assert len({(v.column, v.expected) for v in found}) == len(found)


def test_unreadable_values_are_those_that_a_conversion_loses():
    frame = pd.DataFrame({"a": ["1", " ", None, "x", np.nan, True]}, dtype=object)
    lost = contract.unread(frame["a"], contract.as_number(frame["a"]))
    assert lost.to_dict() == {3: "x"}
