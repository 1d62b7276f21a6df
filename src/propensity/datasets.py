"""Readers that turn a real file into contract tables.

The common real shape is a wide file: one row a person, one column for the arm, one an outcome. A mapping (a small
TOML) says which column is what. A directory with ``customers.parquet``, ``contacts.parquet`` and ``outcomes.parquet``
holds contract tables already and needs no mapping.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
import warnings
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from propensity import contract, playbook
from propensity.contract import ContractError, Violation
from propensity.errors import InputError
from propensity.features import required_columns
from propensity.files import written_aside
from propensity.frame import all_actions
from propensity.policy import contact_costs

DATA_DIRECTORY_VARIABLE = "PROPENSITY_DATA"
"""Environment variable that names the directory of the real data files."""

CHECKOUT = Path(__file__).resolve().parents[2]
DOWNLOAD_SECONDS = 20
HILLSTROM_FILE = "hillstrom.csv.gz"
SIMULATED_CUSTOMERS = 40_000
LONGEST_DAYS = 36_525
"""A century: no time in a file is longer ago or further ahead."""
_TABLE_FILES = ", ".join(f"{name}.parquet" for name in contract.TABLES)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Part):
    """Where a value comes from: a ``column`` (with ``labels`` to rename), a ``constant``, or a rule."""

    column: str | None = None
    labels: dict[str, str] = {}
    constant: Any = None
    row_number: str | None = None
    months_before: str | None = None
    days_before: str | None = None

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if len(self.model_fields_set - {"labels"}) != 1:
            raise ValueError("expected one of column, constant, row_number, months_before, days_before")
        return self

    @property
    def file_column(self) -> str | None:
        """The column of the file that it reads."""
        return self.column or self.months_before or self.days_before


def _as_source(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


Mapped = Annotated[Source, BeforeValidator(_as_source)]


class Probability(_Part):
    """The chance of the served action: the same for ``each`` action, per action, or a ``column``."""

    each: float | None = Field(default=None, gt=0, le=1)
    by_action: dict[str, Annotated[float, Field(gt=0, le=1)]] = {}
    column: str | None = None

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("expected one of each, by_action, column")
        return self


class ContactColumns(_Part):
    """Where the arm, its probability and the cost of a contact come from."""

    action: Mapped
    probability: Probability
    cost: str = "playbook"


class OutcomeColumns(_Part):
    """One kind of event: a 0/1 column ``flag`` and, for purchases, an ``amount`` column."""

    type: str
    flag: str | None = None
    amount: str | None = None
    after_days: str | None = None

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        if self.type not in contract.OUTCOME_TYPES:
            raise ValueError(f"type: expected one of {', '.join(contract.OUTCOME_TYPES)}, found {self.type!r}")
        if self.flag is None and self.amount is None:
            raise ValueError("expected a flag or an amount, or no row could have the event")
        return self


class OutcomeWords(_Part):
    """What a reactivation is called in this data."""

    reactivated: str = "reactivation"
    reactivated_plural: str = "reactivations"


class Mapping(_Part):
    """How the columns of a wide file become contract tables."""

    name: str
    title: str
    playbook: str
    campaign: str
    decided_at: datetime
    outcome_words: OutcomeWords = OutcomeWords()
    customers: dict[str, Mapped]
    features: dict[str, Mapped] = {}
    contacts: ContactColumns
    outcomes: Annotated[tuple[OutcomeColumns, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check_customers(self) -> Self:
        missing = [name for name in ("customer_id", "churned_at") if name not in self.customers]
        if missing:
            raise ValueError(f"customers: {', '.join(missing)} is missing; say which column it comes from")
        return self

    @property
    def person(self) -> dict[str, Source]:
        """Where every column of the customers table comes from."""
        return {**self.customers, **self.features}


@dataclass(frozen=True)
class Dataset:
    """Checked contract tables with the playbook that they belong to.

    ``quarantined`` holds the rows that were set aside, with the column ``fault``; ``violations`` counts them.
    """

    name: str
    title: str
    origin: str
    campaign: str
    words: OutcomeWords
    playbook: playbook.Playbook
    customers: pd.DataFrame
    contacts: pd.DataFrame
    outcomes: pd.DataFrame
    quarantined: pd.DataFrame
    violations: tuple[Violation, ...]


def load(
    data: str = "auto",
    *,
    mapping: str | Path | None = None,
    playbook_path: str | Path | None = None,
    quarantine: bool = False,
    seed: int = 0,
    shuffle_arms: int | None = None,
) -> Dataset:
    """Read and check a data set.

    Parameters
    ----------
    data : str
        ``auto`` (Hillstrom where it can be had, else the simulated program), ``hillstrom``, ``simulated``, a
        directory of contract tables, or a wide CSV or Parquet file with a ``mapping``.
    mapping : path, optional
        TOML that maps a wide file, or the name of one that comes with the product.
    playbook_path : path, optional
        Overrides the mapping's playbook.
    quarantine : bool
        Set faulty rows aside instead of refusing the data.
    seed : int
        Of the simulated program.
    shuffle_arms : int, optional
        A rehearsal: shuffle with this seed who got what, so that no effect exists and none should be found.

    Raises
    ------
    InputError, ContractError, PlaybookError
    """
    dataset = _load(data, mapping, playbook_path, quarantine, seed)
    return dataset if shuffle_arms is None else _shuffled(dataset, shuffle_arms)


def _load(
    data: str, mapping: str | Path | None, playbook_path: str | Path | None, quarantine: bool, seed: int
) -> Dataset:
    if data in ("auto", "hillstrom"):
        path, origin = find_hillstrom()
        if path is not None:
            return read_wide(path, load_mapping("hillstrom"), origin, playbook_path, quarantine)
        if data == "hillstrom":
            raise InputError(
                f"data hillstrom: {origin}. Put {HILLSTROM_FILE} into a directory and name the directory in "
                f"{DATA_DIRECTORY_VARIABLE}, or use --data simulated"
            )
        return simulated(playbook_path, seed, f"the simulated win-back program, because {origin}")
    if data == "simulated":
        return simulated(playbook_path, seed, "the simulated win-back program, as asked")
    path = Path(data)
    if not path.exists():
        raise InputError(f"data {data}: no such file or directory (known names: auto, hillstrom, simulated)")
    if path.is_dir():
        return read_tables(path, playbook_path or "default", quarantine)
    if mapping is None:
        raise InputError(f"data {data}: a single file needs --mapping FILE, which says what its columns are")
    return read_wide(path, load_mapping(mapping), f"the file {path.name}, as asked", playbook_path, quarantine)


def _shuffled(dataset: Dataset, seed: int) -> Dataset:
    """The same people and outcomes, with whole contacts (action, probabilities, cost) dealt out at random."""
    contacts = dataset.contacts
    order = np.random.default_rng(seed).permutation(len(contacts))
    dealt = contacts.iloc[order].reset_index(drop=True)
    own = ["decision_id", "customer_id"]
    dealt[own] = contacts[own].to_numpy()
    origin = f"{dataset.origin}, with the arms shuffled (seed {seed}): no effect exists here"
    return replace(dataset, contacts=dealt, origin=origin, campaign=str(dealt["campaign"].iloc[0]))


def description(dataset: Dataset) -> str:
    """What a data set holds, in one line."""
    contacted = int((dataset.contacts["action"] != contract.CONTROL).sum())
    held_out = len(dataset.contacts) - contacted
    return (
        f"{len(dataset.customers):,} customers; {contacted:,} were contacted, {held_out:,} were not; "
        f"{len(dataset.outcomes):,} outcomes; playbook {dataset.playbook.name} ({dataset.playbook.version})"
    )


def write_quarantine(dataset: Dataset, file: Path) -> str:
    """Write the rows that were set aside; what was done, for people."""
    if dataset.quarantined.empty:
        return "No row had a fault, so nothing was set aside."
    with written_aside(file) as aside:
        dataset.quarantined.to_csv(aside, index=False)
    faults = "; ".join(map(str, dataset.violations))
    return f"Set {len(dataset.quarantined):,} faulty rows aside in {file}: {faults}"


def find_hillstrom() -> tuple[Path | None, str]:
    """Look for the Hillstrom file, or download it.

    Returns
    -------
    path : Path or None
    origin : str
        Where it was found, or why it was not, for people.
    """
    for directory, why in data_directories():
        file = directory / HILLSTROM_FILE
        if file.is_file():
            return file, f"the Hillstrom e-mail experiment, found in {why}"
    target = _cache_directory() / HILLSTROM_FILE
    problem = _download_hillstrom(target)
    if problem:
        return None, f"the Hillstrom file was found nowhere and could not be downloaded ({problem})"
    return target, f"the Hillstrom e-mail experiment, downloaded to {target.parent}"


def data_directories() -> list[tuple[Path, str]]:
    """Where real data files are looked for, each with a name for people, first come first served."""
    named = os.environ.get(DATA_DIRECTORY_VARIABLE)
    places = [(Path(named), f"${DATA_DIRECTORY_VARIABLE}")] if named else []
    beside = CHECKOUT.parent / "shared" / "data"
    return [*places, (beside, "../shared/data"), (_cache_directory(), "the download cache")]


def _cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "propensity"


def _download_hillstrom(target: Path) -> str:
    """Download through scikit-uplift, bounded in time; the empty text, or what went wrong."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as aside:
        code = (
            "import sys; from sklift.datasets import fetch_hillstrom; "
            "fetch_hillstrom(target_col='all', data_home=sys.argv[1])"
        )
        # scikit-uplift sets no time-out of its own, so it runs where it can be stopped
        try:
            done = subprocess.run(
                [sys.executable, "-c", code, aside], capture_output=True, text=True, timeout=DOWNLOAD_SECONDS
            )
        except subprocess.TimeoutExpired:
            return f"no answer in {DOWNLOAD_SECONDS} seconds"
        files = list(Path(aside).glob("*.csv.gz"))
        if done.returncode or not files:
            lines = done.stderr.strip().splitlines()
            return lines[-1].split(":")[0].split(".")[-1] if lines else "unknown reason"
        os.replace(files[0], target)
    return ""


def load_mapping(path: str | Path) -> Mapping:
    """Read and check a mapping file, or one that comes with the product by its name.

    Raises
    ------
    InputError
    """
    file = Path(path)
    shipped = {p.stem: p for p in playbook.shipped_directory("mappings").glob("*.toml")}
    if not file.exists() and str(path) in shipped:
        file = shipped[str(path)]
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8-sig"))
        return Mapping.model_validate(content)
    except OSError as error:
        known = ", ".join(sorted(shipped))
        raise InputError(
            f"mapping {path}: cannot be read ({error.strerror}). Name a TOML file or one of: {known}"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"mapping {path}: is not valid TOML: {error}") from error
    except ValidationError as error:
        raise InputError(f"mapping {path}: " + playbook.sentences(error)) from error


def read_file(path: Path, texts: Iterable[str] = ()) -> pd.DataFrame:
    """Read a CSV (also .gz) or Parquet file as it is.

    Parameters
    ----------
    path : Path
    texts : iterable of str
        Columns of a CSV that are texts whatever they look like: the key 007 is not the number 7.

    Raises
    ------
    InputError
        The file is empty or cannot be read.
    """
    kind = "Parquet" if path.suffix == ".parquet" else "CSV"
    if not path.is_file():
        raise InputError(f"data {path}: there is no such file; check the name")
    try:
        frame = _read_parquet(path) if kind == "Parquet" else _read_csv(path, texts)
    except pd.errors.EmptyDataError as error:
        raise InputError(f"data {path}: the file is empty; expected a header and at least one row") from error
    except pd.errors.ParserWarning as error:
        raise InputError(
            f"data {path}: rows have more fields than the header; name every column, or quote the commas"
        ) from error
    except (OSError, EOFError, zlib.error, ValueError, NotImplementedError) as error:
        detail = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"data {path}: cannot be read as {kind} ({detail}); write it again as {kind}") from error
    if frame.empty:
        raise InputError(f"data {path}: has a header but no rows; expected at least one row")
    return frame


def _read_csv(path: Path, texts: Iterable[str]) -> pd.DataFrame:
    with warnings.catch_warnings():
        # rows longer than the header would lose their ends, or shift all columns
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(path, low_memory=False, index_col=False, dtype=dict.fromkeys(texts, str))


def _read_parquet(path: Path) -> pd.DataFrame:
    frame = pd.read_parquet(path)
    return frame.reset_index(drop=frame.index.names == [None])


def read_wide(
    path: Path, mapping: Mapping, origin: str, playbook_path: str | Path | None = None, quarantine: bool = False
) -> Dataset:
    """A wide file through a mapping. A row with a fault in any table is set aside in all of them.

    Raises
    ------
    InputError, ContractError, PlaybookError
    """
    book = playbook.load(playbook_path or mapping.playbook)
    _require_features(mapping, book)
    wide = read_file(path, _text_columns(mapping, book))
    _require_file_columns(wide, mapping)
    people = _customers(wide, mapping)
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
    kept = {name: table.drop(index=quarantined.index, errors="ignore") for name, table in good.items()}
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
        outcomes=_check_outcomes(events[~events.index.isin(quarantined.index)]),
        quarantined=quarantined,
        violations=tuple(faults),
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


def read_tables(directory: Path, playbook_path: str | Path, quarantine: bool = False) -> Dataset:
    """A directory of contract tables.

    Raises
    ------
    InputError, ContractError
    """
    book = playbook.load(playbook_path)
    tables: dict[str, pd.DataFrame] = {}
    violations: list[Violation] = []
    bad = []
    for name in contract.TABLES:
        file = directory / f"{name}.parquet"
        if not file.exists():
            raise InputError(f"data {directory}: has no {name}.parquet; expected {_TABLE_FILES}")
        extra = required_columns(book) if name == "customers" else ()
        checked = contract.check(name, read_file(file), actions=book.labels, extra=extra, quarantine=quarantine)
        tables[name] = checked.good
        violations += checked.violations
        bad.append(checked.bad.assign(table=name))
    lost = contract.check_references(tables["customers"], tables["contacts"], tables["outcomes"])
    if lost and not quarantine:
        raise ContractError(lost, fix=contract.MEND)
    for name in tables:
        aside = contract.bad_rows(tables[name], [fault for fault in lost if fault.table == name])
        bad.append(aside.assign(table=name))
        tables[name] = tables[name].drop(index=aside.index).reset_index(drop=True)
    if any(table.empty for table in tables.values()):
        raise ContractError([*violations, *lost], fix="No good row is left in one of the tables")
    contract.check_arms(tables["contacts"])
    return Dataset(
        name=directory.name,
        title=directory.name,
        origin=f"the contract tables in {directory}, as asked",
        campaign=str(tables["contacts"]["campaign"].iloc[0]),
        words=OutcomeWords(),
        playbook=book,
        quarantined=pd.concat([b for b in bad if len(b)]) if any(map(len, bad)) else pd.DataFrame(),
        violations=(*violations, *lost),
        **tables,
    )


def simulated(playbook_path: str | Path | None, seed: int, origin: str) -> Dataset:
    """The simulated program's tables; its truth stays behind."""
    from propensity.simulation import simulate

    book = playbook.load(playbook_path or "default")
    program = simulate(SIMULATED_CUSTOMERS, seed=seed, playbook=book)
    return Dataset(
        name="simulated",
        title="Simulated win-back program",
        origin=origin,
        campaign=str(program.contacts["campaign"].iloc[0]),
        words=OutcomeWords(),
        playbook=book,
        customers=program.customers,
        contacts=program.contacts,
        outcomes=program.outcomes,
        quarantined=pd.DataFrame(),
        violations=(),
    )


def _require_file_columns(wide: pd.DataFrame, mapping: Mapping) -> None:
    """Every column that the mapping names must be in the file."""
    cost = None if mapping.contacts.cost == "playbook" else mapping.contacts.cost
    named = [
        *((source.file_column, f"customers.{target}") for target, source in mapping.customers.items()),
        *((source.file_column, f"features.{target}") for target, source in mapping.features.items()),
        (mapping.contacts.action.file_column, "contacts.action"),
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
    texts = [source.column for target, source in mapping.person.items() if kinds.get(target) == "text"]
    return [column for column in (*texts, mapping.contacts.action.column) if column is not None]


def _value(wide: pd.DataFrame, source: Source, decided_at: pd.Timestamp) -> pd.Series:
    if source.column is not None:
        values = wide[source.column]
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


def _customers(wide: pd.DataFrame, mapping: Mapping) -> pd.DataFrame:
    decided_at = _utc(mapping.decided_at)
    columns = {target: _value(wide, source, decided_at) for target, source in mapping.person.items()}
    columns.setdefault("as_of", pd.Series(decided_at, index=wide.index))
    return pd.DataFrame(columns)


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
