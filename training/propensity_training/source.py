"""Which data a command was pointed at, so that a later one can be pointed there again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from propensity import datasets
from propensity.datasets import Dataset

_PREFIX = "source_"


@dataclass(frozen=True)
class Source:
    """The options that name a data set; those of `datasets.load`."""

    data: str = "auto"
    mapping: str | None = None
    playbook: str | None = None
    quarantine: bool = False
    seed: int = 0
    shuffle_arms: int | None = None

    def load(self) -> Dataset:
        """Read and check the data; errors as from `datasets.load`."""
        return datasets.load(
            self.data,
            mapping=self.mapping,
            playbook_path=self.playbook,
            quarantine=self.quarantine,
            seed=self.seed,
            shuffle_arms=self.shuffle_arms,
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
        numbers = {name: int(told[name]) for name in ("seed", "shuffle_arms") if name in told}
        return cls(**{**told, **numbers, "quarantine": told.get("quarantine") == "True"})


def _full_name(name: str | None) -> str | None:
    return str(Path(name).resolve()) if name is not None and Path(name).exists() else name
