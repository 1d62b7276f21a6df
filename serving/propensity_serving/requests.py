"""What a campaign tool may send, checked; every fault becomes a sentence."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import compress
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from propensity import contract
from propensity.features import required_columns
from propensity.people import People, taken
from propensity.playbook import Playbook, derived
from propensity.segments import SEGMENTS
from propensity_serving.fields import MAX_TEXT
from propensity_serving.problems import Problem

MAX_CUSTOMERS = 1_000
MAX_SCENARIOS = 10


class DecisionRequest(BaseModel):
    """The body of ``POST /v1/decisions``: one ``customer``, or up to 1,000 ``customers``."""

    model_config = ConfigDict(extra="forbid")

    campaign: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    customer: dict[str, Any] | None = None
    customers: list[dict[str, Any]] | None = Field(default=None, max_length=MAX_CUSTOMERS)
    at: AwareDatetime | None = None
    dry_run: bool = False
    explain: bool = False
    scenarios: list[dict[str, Any]] | None = Field(default=None, max_length=MAX_SCENARIOS)

    @model_validator(mode="after")
    def _one_of_two(self) -> DecisionRequest:
        if (self.customer is None) == (self.customers is None):
            raise ValueError("expected either 'customer' (one object) or 'customers' (a list of objects)")
        if self.customers is not None and not self.customers:
            raise ValueError("customers: expected at least one, found an empty list")
        if self.scenarios is not None and not self.dry_run:
            raise ValueError('scenarios: are for a dry run, which records nothing; add "dry_run": true')
        return self

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The customers, one or many."""
        return self.customers if self.customers is not None else [self.customer or {}]


def parse_decision_request(content: Any) -> DecisionRequest:
    """Check the outer form of a request for decisions.

    Raises
    ------
    Problem
        422, saying where and what.
    """
    try:
        return DecisionRequest.model_validate(content)
    except ValidationError as error:
        raise Problem(422, "Request not understood", "; ".join(map(_sentence, error.errors()))) from error


def parse_stored_request(query: Mapping[str, str]) -> DecisionRequest:
    """Check the query of a request for a decision on a stored customer, who is to be filled in.

    Raises
    ------
    Problem
        422, saying where and what.
    """
    return parse_decision_request({**query, "customer": {}})


_KINDS = {
    "model_type": "an object",
    "dict_type": "an object",
    "list_type": "a list",
    "string_type": "a text",
    **dict.fromkeys(
        ("timezone_aware", "datetime_parsing", "datetime_from_date_parsing"),
        "a time with a time zone, such as 2026-01-31T09:00:00Z",
    ),
}
_SHOWN = 40


def _sentence(error: Any) -> str:
    """What is wrong with one key. What was sent is shown only where it is short: it may be customers' data."""
    where = ".".join(str(part) for part in error["loc"]) or "body"
    kind, found = error["type"], error["input"]
    if kind == "missing":
        return f"{where}: is missing"
    if kind == "extra_forbidden":
        return f"{where}: is not a key of a request; the keys are {', '.join(DecisionRequest.model_fields)}"
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind == "too_long":
        return f"{where}: expected at most {error['ctx']['max_length']:,}, found {error['ctx']['actual_length']:,}"
    if kind == "string_too_short":
        return f"{where}: expected a name, found a blank"
    expected = _KINDS.get(kind) or re.sub(r"^\w+ should (be|have) ", "", error["msg"])
    if isinstance(found, (dict, list)):
        return f"{where}: expected {expected}, found {'an object' if isinstance(found, dict) else 'a list'}"
    shown = json.dumps(found)
    return f"{where}: expected {expected}, found {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '...'}"


@dataclass(frozen=True)
class CheckedCustomers:
    """The good rows as people, and for every row of the request its place among them or its faults."""

    people: People
    position: dict[int, int]
    faults: dict[int, str]


def check_customers(rows: list[dict[str, Any]], playbook: Playbook, at: pd.Timestamp) -> CheckedCustomers:
    """Check each customer on its own: one bad row never fails the rest.

    ``as_of`` may be left out: it is the time of the decision. Features that a row lacks are missing values.
    """
    wanted = required_columns(playbook)
    columns = _columns(rows, ["customer_id", "churned_at", *_condition_columns(playbook), "as_of"], at)
    for column in wanted:
        columns.setdefault(column.name, np.full(len(rows), None, dtype=object))
    unfit = _unfit_rows(rows, _known_names(playbook))
    columns["customer_id"][list(unfit)] = None  # which the contract refuses
    read = contract.read_columns("customers", columns, wanted)
    faults = contract.told_by_row(read.faults) | unfit
    readable = np.ones(len(rows), dtype=bool)
    readable[list(faults)] = False
    young = readable & np.asarray(read.columns["as_of"] > at)
    late = f"as_of: expected a time no later than the decision ({at.isoformat()})"
    faults |= dict.fromkeys(np.flatnonzero(young).tolist(), late)
    # a person who is there as of two times: which row is to be decided by?
    twice = _twice(contract.plain(read.columns["customer_id"]), readable) & ~young
    faults |= dict.fromkeys(np.flatnonzero(twice).tolist(), "customer_id: expected each customer once in a request")
    good = np.flatnonzero(readable & ~young & ~twice)
    people = People(read.columns if len(good) == len(rows) else taken(read.columns, good))
    return CheckedCustomers(people, {row: place for place, row in enumerate(good.tolist())}, faults)


def _columns(rows: list[dict[str, Any]], names: list[str], at: pd.Timestamp) -> dict[str, np.ndarray]:
    """What rows hold by column, and these columns too; what a row lacks, and what fits no table, is missing."""
    given = [{str(name): None if _is_unfit(name, value) else value for name, value in row.items()} for row in rows]
    found = dict.fromkeys(name for row in given for name in row) | dict.fromkeys(names)
    columns = {name: np.empty(len(rows), dtype=object) for name in found}
    for name, values in columns.items():
        values[:] = [row.get(name) for row in given]
    as_of = columns["as_of"]
    as_of[pd.isna(as_of)] = at.isoformat()
    return columns


def _twice(ids: list[str], counts: np.ndarray) -> np.ndarray:
    """Whose id (n,) another of the rows that count has too."""
    times = Counter(compress(ids, counts))
    return np.array([times[key] > 1 for key in ids]) & counts


@derived
def _condition_columns(playbook: Playbook) -> list[str]:
    """Columns of the customers table that conditions of the playbook name."""
    conditions = [action.only for action in playbook.actions.values()] + [change.where for change in playbook.changes]
    return sorted({name for condition in conditions for name in condition} - set(SEGMENTS))


@derived
def _known_names(playbook: Playbook) -> frozenset[str]:
    return frozenset(c.name for c in (*contract.CUSTOMERS, *required_columns(playbook)))


def _unfit_rows(rows: list[dict[str, Any]], known: Collection[str]) -> dict[int, str]:
    faults = {}
    for number, row in enumerate(rows):
        unfit = [k for k, v in row.items() if k in known and _is_unfit(k, v)]
        if unfit:
            faults[number] = "; ".join(f"{name}: expected a single value" for name in unfit)
        elif len(str(row.get("customer_id", "")).strip()) > MAX_TEXT:
            faults[number] = f"customer_id: expected at most {MAX_TEXT} characters, found more"
    return faults


def _is_unfit(name: str, value: Any) -> bool:
    """Whether a value cannot be in a table at all: objects, lists, and an id that is true or false."""
    return isinstance(value, (dict, list)) or (name == "customer_id" and isinstance(value, bool))
