"""Wide files, through a mapping: one row a person, one column for the arm, one an outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from propensity import contract, playbook
from propensity.contract import ContractError, Violation
from propensity.dataset import Dataset, read_file
from propensity.errors import InputError
from propensity.features import required_columns
from propensity.frame import all_actions
from propensity.mapping import Mapping, OutcomeColumns, Source
from propensity.policy import contact_costs
from propensity.reasons import ReasonMapping

LONGEST_DAYS = 36_525
"""A century: no time in a file is longer ago or further ahead."""


def read_wide(
    path: Path, mapping: Mapping, origin: str, playbook_path: str | Path | None = None, quarantine: bool = False
) -> Dataset:
    """A wide file through a mapping. A row with a fault in any table is set aside in all of them.

    So are people whom the table of reasons excludes; nothing is learnt of them, and they are not among the customers.

    Raises
    ------
    InputError, ContractError, PlaybookError
    """
    book = playbook.load(playbook_path or mapping.playbook)
    _require_features(mapping, book)
    wide = read_file(path, _text_columns(mapping, book))
    _require_file_columns(wide, mapping)
    people = _customers(wide, mapping)
    excluded = _read_reasons(people, mapping, quarantine)
    customer_id = contract.as_text(people["customer_id"])
    checks = {
        "customers": contract.check("customers", people, extra=required_columns(book), quarantine=True),
        "contacts": contract.check(
            "contacts", _contacts(wide, mapping, book, customer_id), actions=book.labels, quarantine=True
        ),
    }
    events, event_faults = _events(wide, mapping, book, customer_id)
    good = {name: check.good.set_axis(wide.index.drop(check.bad.index)) for name, check in checks.items()}
    both = good["customers"].index.intersection(good["contacts"].index)
    faults = [
        *_in_words_of_the_file(checks, mapping),
        *event_faults,
        *contract.check_references(
            good["customers"].loc[both], good["contacts"].loc[both], events[events.index.isin(both)]
        ),
    ]
    if faults and not quarantine:
        raise ContractError(faults, fix=contract.MEND)
    quarantined = contract.bad_rows(wide, faults)
    left_out = quarantined.index.union(excluded)
    kept = {name: table.drop(index=left_out, errors="ignore") for name, table in good.items()}
    if kept["contacts"].empty:
        raise ContractError(faults, fix="No good row is left")
    contract.check_arms(kept["contacts"])
    return Dataset(
        name=mapping.name,
        title=mapping.title,
        origin=origin,
        campaign=mapping.campaign,
        words=mapping.outcome_words,
        playbook=book,
        customers=kept["customers"].reset_index(drop=True),
        contacts=kept["contacts"].reset_index(drop=True),
        outcomes=_check_outcomes(events[~events.index.isin(left_out)]),
        quarantined=quarantined,
        violations=tuple(faults),
        n_excluded=len(excluded),
    )


def _in_words_of_the_file(checks: dict[str, contract.Checked], mapping: Mapping) -> list[Violation]:
    """The faults of the tables, each with the column of the file that it comes from."""
    # the keys of contacts are made of the customer's key, whose faults are named once
    contact_faults = [v for v in checks["contacts"].violations if v.column not in ("decision_id", "customer_id")]
    cost = None if mapping.contacts.cost == "playbook" else mapping.contacts.cost
    contact_columns = {
        "action": mapping.contacts.action.file_column,
        "probability": mapping.contacts.probability.column,
        "cost": cost,
    }
    person_columns = {name: source.file_column for name, source in mapping.person.items()}
    told = [_with_file_column(v, contact_columns.get(v.column)) for v in contact_faults]
    for fault in checks["customers"].violations:
        source = mapping.person.get(fault.column)
        unit = source and ("months" if source.months_before else "days" if source.days_before else None)
        if unit and fault.expected != "a value":
            fault = replace(fault, expected=f"a number of {unit}, 0 or more")
        told.append(_with_file_column(fault, person_columns.get(fault.column)))
    return told


def _with_file_column(fault: Violation, column: str | None) -> Violation:
    if column in (None, fault.column):
        return fault
    return replace(fault, column=f"{fault.column} (column {column!r})")


def _require_file_columns(wide: pd.DataFrame, mapping: Mapping) -> None:
    """Every column that the mapping names must be in the file."""
    cost = None if mapping.contacts.cost == "playbook" else mapping.contacts.cost
    named = [
        *((c, f"customers.{target}") for target, source in mapping.customers.items() for c in source.file_columns),
        *((c, f"features.{target}") for target, source in mapping.features.items() for c in source.file_columns),
        *((c, "contacts.action") for c in mapping.contacts.action.file_columns),
        (mapping.contacts.probability.column, "contacts.probability"),
        (cost, "contacts.cost"),
        *((c, f"outcomes.{part.type}") for part in mapping.outcomes for c in (part.flag, part.amount, part.after_days)),
    ]
    needed: dict[str, str] = {}
    for column, target in named:
        if column is not None:
            needed.setdefault(column, target)
    found = [str(c) for c in wide.columns]
    missing = []
    for column, target in needed.items():
        if column not in found:
            near = contract.close_name(column, found)
            hint = f"; did the file mean {near!r}?" if near else ""
            missing.append(f"{target} comes from column {column!r}, which the file does not have{hint}")
    if missing:
        raise InputError(f"mapping {mapping.name}: {'; '.join(missing)} (columns: {', '.join(found)})")


def _require_features(mapping: Mapping, book: playbook.Playbook) -> None:
    """Every column that the playbook wants of a customer must be mapped."""
    missing = []
    for column in required_columns(book):
        if column.name not in mapping.person:
            near = contract.close_name(column.name, mapping.person)
            missing.append(f"{column.name!r}" + (f" (did it mean {near!r}?)" if near else ""))
    if missing:
        raise InputError(
            f"mapping {mapping.name}: says nothing of {', '.join(missing)}, which playbook {book.name!r} needs; "
            "add them under [features], or consents under [customers]"
        )


def _text_columns(mapping: Mapping, book: playbook.Playbook) -> list[str]:
    """The columns of the file that hold texts."""
    kinds = {column.name: column.kind for column in (*contract.CUSTOMERS, *required_columns(book))}
    sources = [source for target, source in mapping.person.items() if kinds.get(target) == "text"]
    joined = [source for source in mapping.person.values() if source.columns]
    read = (*sources, *joined, mapping.contacts.action)
    return [c for source in read for c in (source.columns or (source.column,)) if c is not None]


def _value(wide: pd.DataFrame, source: Source, decided_at: pd.Timestamp) -> pd.Series:
    if source.column is not None or source.columns is not None:
        values = wide[source.column] if source.columns is None else _joined(wide, source.columns)
        if not source.labels:
            return values
        # labels are texts in the mapping, whatever the file's arm 0 is
        return contract.as_text(values).map(lambda text: source.labels.get(text, text), na_action="ignore")
    if source.row_number is not None:
        width = len(str(len(wide)))
        return pd.Series([f"{source.row_number}{i + 1:0{width}d}" for i in range(len(wide))], index=wide.index)
    column = source.months_before or source.days_before
    if column is not None:
        days = contract.as_number(wide[column]) * (30.4375 if source.months_before else 1.0)
        days = days.where(days.between(0, LONGEST_DAYS))
        times = decided_at - pd.to_timedelta(days, unit="D")
        # what is no such number is left as it was found, so that the contract names it
        return times.astype(object).where(days.notna(), wide[column].astype(object))
    return pd.Series([source.constant] * len(wide), index=wide.index)


def _joined(wide: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """Texts with a comma between; missing where one is."""
    first, *others = (contract.as_text(wide[name]) for name in columns)
    return first.str.cat(pd.concat(others, axis=1), sep=",")


def _customers(wide: pd.DataFrame, mapping: Mapping) -> pd.DataFrame:
    decided_at = _utc(mapping.decided_at)
    columns = {target: _value(wide, source, decided_at) for target, source in mapping.person.items()}
    columns.setdefault("as_of", pd.Series(decided_at, index=wide.index))
    return pd.DataFrame(columns)


def _read_reasons(people: pd.DataFrame, mapping: Mapping, quarantine: bool) -> pd.Index:
    """Put our reasons in the place of the company's labels; the rows that the table excludes.

    With ``quarantine`` labels that the table lacks stay as they are, so that the contract sets their rows aside.
    """
    source = mapping.person.get("reason")
    if source is None or source.reasons is None:
        return people.index[:0]
    table = ReasonMapping.load(source.reasons)
    labels = contract.as_text(people["reason"])
    known = labels.isin(list(table.labels)) if quarantine else pd.Series(True, index=labels.index)
    mapped = table.apply(labels[known])
    people["reason"] = mapped.reason.reindex(people.index).where(known, labels)
    return mapped.excluded.index[mapped.excluded]


def _contacts(wide: pd.DataFrame, mapping: Mapping, book: playbook.Playbook, customer_id: pd.Series) -> pd.DataFrame:
    decided_at = _utc(mapping.decided_at)
    action = _value(wide, mapping.contacts.action, decided_at)
    rule = mapping.contacts.probability
    if rule.column is not None:
        probability = wide[rule.column]
    elif rule.by_action:
        probability = action.map(rule.by_action)
    else:
        probability = pd.Series(rule.each, index=wide.index)
    if mapping.contacts.cost == "playbook":
        cost = action.map(
            dict(zip(all_actions(book.labels), contact_costs(book, all_actions(book.labels)), strict=True))
        ).fillna(0.0)
    else:
        cost = wide[mapping.contacts.cost]
    return pd.DataFrame(
        {
            "decision_id": mapping.campaign + ":" + customer_id,
            "customer_id": customer_id,
            "decided_at": decided_at,
            "campaign": mapping.campaign,
            "action": action,
            "probability": probability,
            "cost": cost,
        }
    )


def _events(
    wide: pd.DataFrame, mapping: Mapping, book: playbook.Playbook, customer_id: pd.Series
) -> tuple[pd.DataFrame, list[Violation]]:
    """The outcomes table, indexed by the rows of the file, and the faults of the columns that it comes from."""
    decided_at = _utc(mapping.decided_at)
    parts, faults = [], []
    for outcome in mapping.outcomes:
        happened, outcome_faults = _happened(wide, outcome, book.program.attribution_window_days)
        faults += outcome_faults
        person = customer_id[happened.index]
        parts.append(
            pd.DataFrame(
                {
                    "event_id": f"{outcome.type}:{outcome.flag or outcome.amount}:" + person,
                    "source": mapping.name,
                    "customer_id": person,
                    "decision_id": mapping.campaign + ":" + person,
                    "at": decided_at + pd.to_timedelta(happened["after_days"], unit="D"),
                    "type": outcome.type,
                    "amount": happened["amount"],
                }
            )
        )
    return pd.concat(parts), faults


def _happened(wide: pd.DataFrame, outcome: OutcomeColumns, window_days: float) -> tuple[pd.DataFrame, list[Violation]]:
    """After how many days and with what amount the event happened, for the rows that had it; and the faults."""

    def faults_of(column: str, bad: pd.Series, expected: str) -> list[Violation]:
        return contract.faults_in("outcomes", f"{outcome.type} (column {column!r})", wide.loc[bad, column], expected)

    faults = []
    amount = pd.Series(float("nan"), index=wide.index)
    if outcome.amount is not None:
        amount = contract.as_number(wide[outcome.amount])
        infinite = amount[np.isinf(amount)]
        unread = wide.index.isin(contract.unread(wide[outcome.amount], amount).index.union(infinite.index))
        faults += faults_of(outcome.amount, pd.Series(unread, index=wide.index), "a number")
    if outcome.flag is None:
        had = amount > 0
    else:
        flag = contract.as_flag(wide[outcome.flag])
        faults += faults_of(outcome.flag, flag.isna(), "0 or 1")
        had = flag.fillna(False).astype(bool)
        if outcome.amount is not None:
            unasked = ~had & flag.notna() & (amount.fillna(0) != 0)
            faults += faults_of(outcome.amount, unasked, f"no amount where {outcome.flag!r} is 0")
    # where the file does not say which day, the event is dated to the last moment of the window
    days = pd.Series(window_days, index=wide.index)
    if outcome.after_days is not None:
        days = contract.as_number(wide[outcome.after_days])
        outside = had & ~days.between(0, LONGEST_DAYS)
        faults += faults_of(outcome.after_days, outside, "a number of days, 0 or more, where the event happened")
        days = days.mask(outside)
    return pd.DataFrame({"after_days": days, "amount": amount})[had], faults


def _check_outcomes(events: pd.DataFrame) -> pd.DataFrame:
    if events.empty:
        raise ContractError(
            [Violation("outcomes", "", 0, "at least one event", "none")],
            fix="Nobody in the file came back, so nothing can be learnt",
        )
    return contract.check("outcomes", events).good


def _utc(time: datetime) -> pd.Timestamp:
    stamp = pd.Timestamp(time)
    return stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
