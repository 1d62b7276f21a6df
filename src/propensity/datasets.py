"""Finds and reads data sets: Hillstrom, the simulated program, a wide file with its mapping, a directory of tables.

The common real shape is a wide file (`wide.py`), whose columns a mapping explains (`mapping.py`). A directory with
``customers.parquet``, ``contacts.parquet`` and ``outcomes.parquet`` holds contract tables already and needs no mapping.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from propensity import contract, playbook
from propensity.contract import ContractError, Violation
from propensity.dataset import Dataset, OutcomeWords, read_file
from propensity.errors import InputError
from propensity.features import required_columns
from propensity.files import written_aside
from propensity.mapping import load_mapping
from propensity.some_people import told_of_some
from propensity.wide import read_wide

DATA_DIRECTORY_VARIABLE = "PROPENSITY_DATA"
"""Environment variable that names the directory of the real data files."""

CHECKOUT = Path(__file__).resolve().parents[2]
DOWNLOAD_SECONDS = 20
HILLSTROM_FILE = "hillstrom.csv.gz"
SIMULATED_CUSTOMERS = 40_000
_TABLE_FILES = ", ".join(f"{name}.parquet" for name in contract.TABLES)


def load(
    data: str = "auto",
    *,
    mapping: str | Path | None = None,
    playbook_path: str | Path | None = None,
    quarantine: bool = False,
    seed: int = 0,
    shuffle_arms: int | None = None,
    people_share: float = 1.0,
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
    people_share : float
        Of a directory of contract tables: read only so many of the people, at random.

    Raises
    ------
    InputError, ContractError, PlaybookError
    """
    dataset = _load(data, mapping, playbook_path, quarantine, seed, people_share)
    return dataset if shuffle_arms is None else _shuffled(dataset, shuffle_arms)


def _load(
    data: str,
    mapping: str | Path | None,
    playbook_path: str | Path | None,
    quarantine: bool,
    seed: int,
    people_share: float,
) -> Dataset:
    if people_share < 1 and not Path(data).is_dir():
        raise InputError(f"data {data}: some of the people can be read of a directory of contract tables only")
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
        return read_tables(path, playbook_path or "default", quarantine, people_share)
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
    excluded = f"; {dataset.n_excluded:,} excluded by the table of reasons" if dataset.n_excluded else ""
    return (
        f"{len(dataset.customers):,} customers; {contacted:,} were contacted, {held_out:,} were not; "
        f"{len(dataset.outcomes):,} outcomes; playbook {dataset.playbook.name} ({dataset.playbook.version}){excluded}"
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


def read_tables(
    directory: Path, playbook_path: str | Path, quarantine: bool = False, people_share: float = 1.0
) -> Dataset:
    """A directory of contract tables; of a share of the people if it is below 1.

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
        table = read_file(file, people_share=people_share)
        checked = contract.check(name, table, actions=book.labels, extra=extra, quarantine=quarantine)
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
        origin=told_of_some(f"the contract tables in {directory}, as asked", people_share),
        campaign=str(tables["contacts"]["campaign"].iloc[0]),
        words=OutcomeWords(),
        playbook=book,
        quarantined=pd.concat([b for b in bad if len(b)]) if any(map(len, bad)) else pd.DataFrame(),
        violations=(*violations, *lost),
        customers=tables["customers"],
        contacts=tables["contacts"],
        outcomes=tables["outcomes"],
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
