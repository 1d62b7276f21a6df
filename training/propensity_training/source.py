"""Which data a command was pointed at, so that a later one can be pointed there again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa

from propensity import datasets
from propensity.datasets import Dataset
from propensity.errors import InputError
from propensity.ledger import Ledger
from propensity.ledger_dataset import ledger_dataset
from propensity.playbook import Playbook

_PREFIX = "source_"
_HIDDEN = "***"


@dataclass(frozen=True)
class Source:
    """The options that name a data set; those of `datasets.load`."""

    data: str = "auto"
    mapping: str | None = None
    playbook: str | None = None
    quarantine: bool = False
    seed: int = 0
    shuffle_arms: int | None = None
    people_share: float = 1.0

    def load(self) -> Dataset:
        """Read and check the data; errors as from `datasets.load`."""
        return datasets.load(
            self.data,
            mapping=self.mapping,
            playbook_path=self.playbook,
            quarantine=self.quarantine,
            seed=self.seed,
            shuffle_arms=self.shuffle_arms,
            people_share=self.people_share,
        )

    def to_parameters(self) -> dict[str, str]:
        """As parameters of a run; files by their full names, so that they are found from elsewhere."""
        files = {name: _full_name(getattr(self, name)) for name in ("mapping", "playbook")}
        files["data"] = self.data if self.data in ("auto", "hillstrom", "simulated") else _full_name(self.data)
        return {_PREFIX + name: str(value) for name, value in {**asdict(self), **files}.items() if value is not None}

    @classmethod
    def from_parameters(cls, parameters: dict[str, str]) -> Source | None:
        """What `to_parameters` wrote; None where a run has no data to name."""
        told: dict[str, Any] = {k.removeprefix(_PREFIX): v for k, v in parameters.items() if k.startswith(_PREFIX)}
        if "data" not in told:
            return None
        numbers: dict[str, Any] = {name: int(told[name]) for name in ("seed", "shuffle_arms") if name in told}
        if "people_share" in told:
            numbers["people_share"] = float(told["people_share"])
        return cls(**{**told, **numbers, "quarantine": told.get("quarantine") == "True"})


@dataclass(frozen=True)
class LedgerSource:
    """What of a ledger is learnt from; the arguments of `ledger_dataset`.

    Attributes
    ----------
    url : str
        May hold a password, which is told nowhere.
    """

    url: str
    until: pd.Timestamp
    playbook: Playbook
    campaigns: tuple[str, ...] | None = None
    people_share: float = 1.0

    def load(self) -> Dataset:
        """Read the data; errors as from `ledger_dataset`."""
        ledger = Ledger(self.url).open()
        try:
            return ledger_dataset(
                ledger,
                self.playbook,
                until=self.until,
                campaigns=self.campaigns,
                people_share=self.people_share,
            )
        finally:
            ledger.close()

    def is_that_of(self, parameters: dict[str, str]) -> bool:
        """Whether a run with these parameters learnt from the same campaigns of the same ledger, at whatever time."""
        own = self.to_parameters()
        return all(parameters.get(_PREFIX + name) == own.get(_PREFIX + name) for name in ("ledger", "campaigns"))

    def to_parameters(self) -> dict[str, str]:
        """As parameters of a run; the time is that of the training."""
        told = {f"{_PREFIX}ledger": address(self.url), f"{_PREFIX}people_share": str(self.people_share)}
        if self.campaigns is not None:
            told[f"{_PREFIX}campaigns"] = json.dumps(self.campaigns)
        return told


def source_of(
    parameters: dict[str, str], playbook: Playbook, ledger: str | None = None
) -> Source | LedgerSource | None:
    """The data that a run with these parameters learnt from; None where it does not say.

    Parameters
    ----------
    parameters : dict of str
    playbook : Playbook
        That it was trained with.
    ledger : str, optional
        A ledger's address with its password, in case it is the one.

    Raises
    ------
    InputError
        The ledger's password is not known.
    """
    named = parameters.get(f"{_PREFIX}ledger")
    if named is None:
        return Source.from_parameters(parameters)
    url = ledger if ledger is not None and address(ledger) == named else named
    if sa.make_url(url).password == _HIDDEN:
        raise InputError(f"ledger {named}: needs its password, which no run is told; name it with --ledger")
    campaigns = parameters.get(f"{_PREFIX}campaigns")
    chosen = None if campaigns is None else tuple(json.loads(campaigns))
    share = float(parameters.get(f"{_PREFIX}people_share", 1.0))
    return LedgerSource(url, pd.Timestamp(parameters["as_of"]), playbook, chosen, share)


def address(url: str) -> str:
    """A ledger's address without its password, which is understood in any directory."""
    ledger = Ledger(url)
    found = ledger.engine.url
    ledger.close()
    if found.get_backend_name() == "sqlite" and found.database:
        found = found.set(database=str(Path(found.database).resolve()))
    return found.render_as_string(hide_password=True)


def _full_name(name: str | None) -> str | None:
    return str(Path(name).resolve()) if name is not None and Path(name).exists() else name
