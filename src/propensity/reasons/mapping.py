"""What a company's own words for why people left mean in our taxonomy: a small TOML."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple, Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from propensity import playbook
from propensity.contract import REASONS, as_text, close_name
from propensity.errors import InputError

UNKNOWN = "unknown"
"""What a label is mapped to that gives no reason ("don't know")."""
EXCLUDED = "excluded"
"""What a label is mapped to whose people are neither learnt from nor contacted ("deceased")."""
CHOICES = (*REASONS, UNKNOWN, EXCLUDED)


class MappedReasons(NamedTuple):
    """What stated labels (n,) mean.

    Attributes
    ----------
    reason : Series (n,) of str
        A reason of `contract.REASONS`; missing where none was given, it is unknown, or the person is excluded.
    excluded : Series (n,) of bool
        Who is to be left out of everything.
    """

    reason: pd.Series
    excluded: pd.Series


class LeaversFile(BaseModel):
    """The file whose labels a table explains, and what of it a model of the reasons may learn from.

    Attributes
    ----------
    name : str or None
        Of the file, looked for where data sets are.
    column : str or None
        What people stated, in the company's labels.
    answers : str or None
        What they wrote in their own words.
    only : dict
        Columns and the values of which one must hold: who left, in a file that holds others too.
    not_features : tuple of str
        What was not known before they left, or is no feature.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = None
    column: str | None = None
    answers: str | None = None
    only: dict[str, tuple[str, ...]] = {}
    not_features: tuple[str, ...] = ()


class ReasonMapping(BaseModel):
    """Which of our reasons each of a company's labels stands for.

    Attributes
    ----------
    name : str
    labels : dict
        Stated label -> reason of `contract.REASONS`, `UNKNOWN` or `EXCLUDED`.
    file : LeaversFile
        Of `propensity reasons report` alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    file: LeaversFile = LeaversFile()
    labels: dict[str, str] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_reasons(self) -> Self:
        wrong = [f"{label!r} is {reason!r}" for label, reason in self.labels.items() if reason not in CHOICES]
        if wrong:
            raise ValueError(f"labels: expected one of {', '.join(CHOICES)} for each, found {'; '.join(wrong)}")
        return self

    @classmethod
    def load(cls, path_or_name: str | Path) -> ReasonMapping:
        """Read and check a table of reasons: a TOML file, or the name of one that comes with the product.

        Raises
        ------
        InputError
            It is not there, is no TOML, or names a reason that our taxonomy lacks.
        """
        shipped = {p.stem: p for p in sorted(playbook.shipped_directory("reasons").glob("*.toml"))}
        file = Path(path_or_name)
        if not file.exists() and str(path_or_name) in shipped:
            file = shipped[str(path_or_name)]
        place = f"reasons {path_or_name}"
        try:
            return cls.model_validate(tomllib.loads(file.read_text(encoding="utf-8-sig")))
        except OSError as error:
            raise InputError(
                f"{place}: cannot be read ({error.strerror}). Name a TOML file or one of: {', '.join(shipped)}"
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{place}: is not valid TOML: {error}") from error
        except ValidationError as error:
            raise InputError(f"{place}: {playbook.sentences(error)}") from error

    def apply(self, stated: pd.Series) -> MappedReasons:
        """What stated labels (n,) mean; blanks around a label do not count, and a missing one is unknown.

        Raises
        ------
        InputError
            A label is not in the table.
        """
        labels = as_text(stated)
        unmapped = labels[labels.notna() & ~labels.isin(list(self.labels))].value_counts()
        if len(unmapped):
            raise InputError(
                f"reasons {self.name}: expected every stated label in the table, lacks "
                + "; ".join(self._unmapped(label, n) for label, n in unmapped.items())
                + f". Give each one of {', '.join(CHOICES)}"
            )
        meaning = labels.map(self.labels)
        return MappedReasons(meaning.where(meaning.isin(REASONS)).astype("str"), meaning == EXCLUDED)

    def _unmapped(self, label: object, n_rows: int) -> str:
        near = close_name(str(label), self.labels)
        rows = "1 row" if n_rows == 1 else f"{n_rows:,} rows"
        return f"{str(label)!r} ({rows}" + (f"; did it mean {near!r}?)" if near else ")")
