"""Mappings: a small TOML that says what the columns of a wide file are."""

from __future__ import annotations

import tomllib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from propensity import contract, playbook
from propensity.dataset import OutcomeWords
from propensity.errors import InputError


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Part):
    """Where a value comes from: a ``column`` (with ``labels`` to rename), a ``constant``, or a rule.

    ``columns`` are several that make one value together: their texts, with a comma between, are what ``labels`` rename.
    ``reasons`` is for the reason for churn alone: a table (a TOML file, or one that comes with the product, by its
    name) of what the company's own labels mean; see `reasons.ReasonMapping`.
    """

    column: str | None = None
    columns: Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    labels: dict[str, str] = {}
    reasons: str | None = None
    constant: Any = None
    row_number: str | None = None
    months_before: str | None = None
    days_before: str | None = None

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if len(self.model_fields_set - {"labels", "reasons"}) != 1:
            raise ValueError("expected one of column, columns, constant, row_number, months_before, days_before")
        if self.reasons is not None and (self.column is None or self.labels):
            raise ValueError("reasons: expected beside a column and without labels, whose place the table takes")
        return self

    @property
    def file_columns(self) -> tuple[str, ...]:
        """The columns of the file that it reads."""
        one = self.column or self.months_before or self.days_before
        return self.columns or (() if one is None else (one,))

    @property
    def file_column(self) -> str | None:
        """The same, for people; None where it reads none."""
        return ", ".join(self.file_columns) or None


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
        wrong = [name for name, source in self.person.items() if source.reasons is not None and name != "reason"]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: reasons are for the column reason alone; use labels")
        return self

    @property
    def person(self) -> dict[str, Source]:
        """Where every column of the customers table comes from."""
        return {**self.customers, **self.features}


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
