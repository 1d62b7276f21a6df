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
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

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


def _as_source(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


Mapped = Annotated[Source, BeforeValidator(_as_source)]


class Probability(_Part):
    """The chance of the served action: the same for ``each`` action, per action, or a ``column``."""

    each: float | None = Field(default=None, gt=0, le=1)
    by_action: dict[str, float] = {}
    column: str | None = None


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
    outcomes: tuple[OutcomeColumns, ...]


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
        content = tomllib.loads(file.read_text(encoding="utf-8"))
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


def read_file(path: Path) -> pd.DataFrame:
    """Read a CSV (also .gz) or Parquet file as it is, texts untouched.

    Raises
    ------
    InputError
        The file is empty or cannot be read.
    """
    try:
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, low_memory=False)
    except pd.errors.EmptyDataError as error:
        raise InputError(f"data {path}: the file is empty; expected a header and at least one row") from error
    except (OSError, ValueError, pd.errors.ParserError) as error:
        kind = "Parquet" if path.suffix == ".parquet" else "CSV"
        detail = str(error).splitlines()[0]
        raise InputError(f"data {path}: cannot be read as {kind} ({detail})") from error
    if frame.empty:
        raise InputError(f"data {path}: has a header but no rows; expected at least one row")
    return frame


def read_wide(
    path: Path, mapping: Mapping, origin: str, playbook_path: str | Path | None = None, quarantine: bool = False
) -> Dataset:
    """A wide file through a mapping.

    Raises
    ------
    InputError, ContractError
    """
    book = playbook.load(playbook_path or mapping.playbook)
    wide = read_file(path)
    _require_file_columns(wide, mapping)
    tables, checks = {}, {}
    for name, table, extra in (
        ("customers", _customers(wide, mapping), required_columns(book)),
        ("contacts", _contacts(wide, mapping, book), ()),
    ):
        tables[name] = table
        checks[name] = contract.check(name, table, actions=book.labels, extra=extra, quarantine=quarantine)
    faults: dict[int, list[str]] = {}
    for check in checks.values():
        for row, fault in check.bad["fault"].items():
            faults.setdefault(int(str(row)), []).append(fault)
    events, event_faults = _outcomes(wide, mapping, book, tables["customers"]["customer_id"])
    for violation in event_faults:
        if not quarantine:
            raise ContractError([violation], fix="Mend the file, or set the bad rows aside with --quarantine FILE")
        for row in violation.index:
            faults.setdefault(int(str(row)), []).append(f"{violation.column}: expected {violation.expected}")
    bad = wide.loc[sorted(faults)].copy()
    bad["fault"] = ["; ".join(faults[row]) for row in sorted(faults)]
    bad_ids = set(tables["customers"].loc[sorted(faults), "customer_id"])
    kept = {name: check.good[~check.good["customer_id"].isin(bad_ids)] for name, check in checks.items()}
    if kept["contacts"].empty:
        raise ContractError([v for check in checks.values() for v in check.violations], fix="No good row is left")
    outcomes = _check_outcomes(events[~events["customer_id"].isin(bad_ids)])
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
        outcomes=outcomes,
        quarantined=bad,
        violations=(*(v for check in checks.values() for v in check.violations), *event_faults),
    )


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
            raise InputError(f"data {directory}: has no {name}.parquet (expected customers, contacts, outcomes)")
        extra = required_columns(book) if name == "customers" else ()
        checked = contract.check(name, read_file(file), actions=book.labels, extra=extra, quarantine=quarantine)
        tables[name] = checked.good
        violations += checked.violations
        bad.append(checked.bad.assign(table=name))
    lost = contract.check_references(tables["customers"], tables["contacts"], tables["outcomes"])
    if lost and not quarantine:
        raise ContractError(lost, fix="Mend the file, or set the bad rows aside with --quarantine FILE")
    for fault in lost:
        rows = list(fault.index)
        reason = f"{fault.column}: expected {fault.expected}"
        bad.append(tables[fault.table].loc[rows].assign(fault=reason, table=fault.table))
        tables[fault.table] = tables[fault.table].drop(index=rows).reset_index(drop=True)
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
    needed: dict[str, str] = {}
    for table, sources in (("customers", mapping.customers), ("features", mapping.features)):
        for target, source in sources.items():
            for column in (source.column, source.months_before, source.days_before):
                if column is not None:
                    needed.setdefault(column, f"{table}.{target}")
    for column, target in (
        (mapping.contacts.action.column, "contacts.action"),
        (mapping.contacts.probability.column, "contacts.probability"),
    ):
        if column is not None:
            needed.setdefault(column, target)
    for outcome in mapping.outcomes:
        for column in (outcome.flag, outcome.amount, outcome.after_days):
            if column is not None:
                needed.setdefault(column, f"outcomes.{outcome.type}")
    found = [str(c) for c in wide.columns]
    missing = []
    for column, target in needed.items():
        if column not in found:
            near = contract.close_name(column, found)
            hint = f"; did the file mean {near!r}?" if near else ""
            missing.append(f"{target} comes from column {column!r}, which the file does not have{hint}")
    if missing:
        raise InputError(f"mapping {mapping.name}: {'; '.join(missing)} (columns: {', '.join(found)})")


def _value(wide: pd.DataFrame, source: Source, decided_at: pd.Timestamp, table: str, target: str) -> pd.Series:
    if source.column is not None:
        values = wide[source.column]
        return values.replace(source.labels) if source.labels else values
    if source.row_number is not None:
        width = len(str(len(wide)))
        return pd.Series([f"{source.row_number}{i + 1:0{width}d}" for i in range(len(wide))], index=wide.index)
    column = source.months_before or source.days_before
    if column is not None:
        amounts = pd.to_numeric(wide[column], errors="coerce")
        days = amounts * (30.4375 if source.months_before else 1.0)
        times = decided_at - pd.to_timedelta(days, unit="D")
        # what is no number is left as it was found, so that the contract names it
        return times.astype(object).where(amounts.notna(), wide[column].astype(object))
    return pd.Series([source.constant] * len(wide), index=wide.index)


def _customers(wide: pd.DataFrame, mapping: Mapping) -> pd.DataFrame:
    decided_at = _utc(mapping.decided_at)
    columns = {
        target: _value(wide, source, decided_at, "customers", target)
        for target, source in {**mapping.customers, **mapping.features}.items()
    }
    columns.setdefault("as_of", pd.Series(decided_at, index=wide.index))
    return pd.DataFrame(columns)


def _contacts(wide: pd.DataFrame, mapping: Mapping, book: playbook.Playbook) -> pd.DataFrame:
    decided_at = _utc(mapping.decided_at)
    customer_id = _value(wide, mapping.customers["customer_id"], decided_at, "customers", "customer_id").astype(str)
    action = _value(wide, mapping.contacts.action, decided_at, "contacts", "action")
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


def _outcomes(
    wide: pd.DataFrame, mapping: Mapping, book: playbook.Playbook, customer_id: pd.Series
) -> tuple[pd.DataFrame, list[Violation]]:
    decided_at = _utc(mapping.decided_at)
    window = book.program.attribution_window_days
    parts, faults = [], []
    for outcome in mapping.outcomes:
        flagged, fault = _flagged(wide, outcome)
        faults += fault
        rows = wide.index[flagged]
        # where the file does not say which day, the event is dated to the last moment of the window
        days = wide.loc[rows, outcome.after_days].astype(float) if outcome.after_days else window
        amount = pd.to_numeric(wide.loc[rows, outcome.amount], errors="coerce") if outcome.amount else None
        parts.append(
            pd.DataFrame(
                {
                    "event_id": outcome.type + ":" + customer_id[rows].astype(str),
                    "source": mapping.name,
                    "customer_id": customer_id[rows].astype(str),
                    "decision_id": mapping.campaign + ":" + customer_id[rows].astype(str),
                    "at": decided_at + pd.to_timedelta(days, unit="D"),
                    "type": outcome.type,
                    "amount": amount if amount is not None else float("nan"),
                }
            )
        )
    return pd.concat(parts, ignore_index=True), faults


def _flagged(wide: pd.DataFrame, outcome: OutcomeColumns) -> tuple[pd.Series, list[Violation]]:
    """Which rows had the event, and what is wrong with the columns that say so."""
    faults = []
    nothing = pd.Series(False, index=wide.index)
    numbers = {}
    for column, expected in ((outcome.flag, "0 or 1"), (outcome.amount, "a number"), (outcome.after_days, "a number")):
        if column is None:
            continue
        values = pd.to_numeric(wide[column], errors="coerce")
        bad = values.isna() if column != outcome.amount else values.isna() & wide[column].notna()
        if column == outcome.flag:
            bad |= ~values.isin([0, 1])
        if bad.any():
            found = ", ".join(map(repr, wide.loc[bad, column].unique()[:3]))
            rows = tuple(wide.index[bad])
            faults.append(
                Violation("outcomes", f"{outcome.type} (column {column!r})", len(rows), expected, found, rows)
            )
        numbers[column] = values
    if outcome.flag is not None:
        return numbers[outcome.flag] == 1, faults
    if outcome.amount is not None:
        return numbers[outcome.amount] > 0, faults
    return nothing, faults


def _check_outcomes(events: pd.DataFrame) -> pd.DataFrame:
    if events.empty:
        raise ContractError(
            [Violation("outcomes", "(all)", 0, "at least one event", "none")],
            fix="Nobody in the file came back, so nothing can be learnt",
        )
    return contract.check("outcomes", events).good


def _utc(time: datetime) -> pd.Timestamp:
    stamp = pd.Timestamp(time)
    return stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
