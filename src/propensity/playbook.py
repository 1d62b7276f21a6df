"""The playbook: what a company may send to whom, what it costs, and the rules it keeps.

A playbook is a TOML file. `load` reads and checks it; everything that it says is typed here, with its unit in its
name. Its ``version`` is the hash of its content: two files that say the same have the same version.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Share = Annotated[float, Field(ge=0, lt=1)]
Days = Annotated[float, Field(ge=0)]
Currency = Annotated[float, Field(ge=0)]


class PlaybookError(ValueError):
    """A playbook cannot be read or contradicts itself."""

    exit_code = 2


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Brief(_Part):
    """The six parts that every message has."""

    say_that_they_left: str
    what_changed: str
    proof: str
    next_step: str
    past_relationship: str
    close: str


class Archetype(_Part):
    """A kind of message: which reasons for churn it answers, who speaks, how long it is, and its brief."""

    answers: tuple[str, ...] = ()
    message: str
    made_by: str
    speaker: str
    length_seconds: tuple[int, int]
    brief: Brief


class Channel(_Part):
    """How a message travels, what one contact costs, and what it needs."""

    cost_currency: Currency = 0.0
    needs_consent: bool = False
    needs_account_access: bool = False
    min_gap_days: Days = 3
    capacity_per_week: int | None = Field(default=None, ge=0)
    max_touches: int | None = Field(default=None, ge=1)
    note: str = ""


class Offer(_Part):
    """What is put on the table, what it costs when redeemed, and who must not get it."""

    cost_if_redeemed_currency: Currency = 0.0
    redemption_rate: float = Field(default=1.0, ge=0, le=1)
    expires_days: Days | None = None
    excluded_reasons: tuple[str, ...] = ()
    excluded_archetypes: tuple[str, ...] = ()
    note: str = ""


class Action(_Part):
    """One archetype on one channel with one offer."""

    archetype: str
    channel: str
    offer: str = "none"


class Program(_Part):
    """Who belongs to the win-back program, and over which windows it is judged."""

    cooling_off_days: Days = 30
    horizon_days: Days = 548
    attribution_window_days: Annotated[float, Field(gt=0)] = 90
    decision_window_days: Annotated[float, Field(gt=0)] = 30


class Value(_Part):
    """How an effect becomes money.

    ``revenue_effect`` says where the extra revenue of a person comes from: ``direct`` learns it from revenue itself;
    ``through_reactivation`` is the effect on reactivation times the extra revenue that an extra reactivation brought
    on average. The second is far less noisy where few people buy.
    """

    margin_share: float = Field(default=1.0, gt=0, le=1)
    revenue_effect: Literal["direct", "through_reactivation"] = "through_reactivation"
    unsubscribe_cost_currency: Currency = 0.0


class Learning(_Part):
    """How much is set aside in order to learn: holdouts that get nothing, and exploration."""

    holdout_share: Share = 0.05
    campaign_holdout_share: Share = 0.05
    explore_share: Share = 0.05
    salt: str = Field(min_length=1)


class Features(_Part):
    """Columns of the customers table that models may see."""

    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()


class Playbook(_Part):
    """Everything a company decided about its win-back program."""

    name: str = Field(pattern=r"^[a-z0-9_\-]+$")
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    program: Program = Program()
    value: Value = Value()
    learning: Learning
    features: Features
    archetypes: dict[str, Archetype]
    channels: dict[str, Channel]
    offers: dict[str, Offer] = {"none": Offer()}
    actions: dict[str, Action]

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        if not self.actions:
            raise ValueError("actions: expected at least one action, found none")
        for label, action in self.actions.items():
            if label == "control":
                raise ValueError("actions.control: 'control' is the name of no contact; choose another label")
            for part, known in (
                ("archetype", self.archetypes),
                ("channel", self.channels),
                ("offer", self.offers),
            ):
                if getattr(action, part) not in known:
                    raise ValueError(
                        f"actions.{label}.{part}: expected one of {', '.join(known)}, found {getattr(action, part)!r}"
                    )
            if action.archetype in self.offers[action.offer].excluded_archetypes:
                raise ValueError(
                    f"actions.{label}: offer {action.offer!r} excludes archetype {action.archetype!r}, "
                    "so nobody could ever get this action"
                )
        for name, offer in self.offers.items():
            for excluded in offer.excluded_archetypes:
                if excluded not in self.archetypes:
                    raise ValueError(
                        f"offers.{name}.excluded_archetypes: expected some of {', '.join(self.archetypes)}, "
                        f"found {excluded!r}"
                    )
        both = set(self.features.numeric) & set(self.features.categorical)
        if both:
            raise ValueError(f"features: {', '.join(sorted(both))} is listed as numeric and as categorical")
        claimed: dict[str, str] = {}
        for name, archetype in self.archetypes.items():
            for reason in archetype.answers:
                if reason in claimed:
                    raise ValueError(
                        f"archetypes.{name}.answers: reason {reason!r} is already answered by {claimed[reason]!r}"
                    )
                claimed[reason] = name
        if self.program.horizon_days <= self.program.cooling_off_days:
            raise ValueError("program: horizon_days must be more than cooling_off_days, or nobody is eligible")
        return self

    @property
    def version(self) -> str:
        """Hash of the content, 12 hexadecimal digits."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    @property
    def labels(self) -> list[str]:
        """The action labels without control, sorted."""
        return sorted(self.actions)

    @property
    def consent_channels(self) -> list[str]:
        """Channels that some action uses and that need consent."""
        used = {action.channel for action in self.actions.values()}
        return sorted(c for c in used if self.channels[c].needs_consent)

    def factors(self) -> pd.DataFrame:
        """Archetype, channel and offer of each action: a DataFrame indexed by action label, categorical columns."""
        rows = {label: self.actions[label].model_dump() for label in self.labels}
        return pd.DataFrame.from_dict(rows, orient="index").astype("category")

    def archetype_of_reason(self) -> dict[str, str]:
        """The archetype that answers each reason for churn."""
        return {reason: name for name, part in self.archetypes.items() for reason in part.answers}


def load(path: str | Path) -> Playbook:
    """Read and check a playbook.

    Parameters
    ----------
    path : str or Path
        A TOML file, or the name of a playbook that comes with the product (see `shipped`).

    Raises
    ------
    PlaybookError
        The file is not there, is not TOML, or says something that cannot be.
    """
    file = Path(path)
    if not file.exists() and str(path) in shipped():
        file = shipped()[str(path)]
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        names = ", ".join(shipped())
        raise PlaybookError(
            f"playbook {path}: cannot be read ({error.strerror}). Name a TOML file or one of: {names}"
        ) from error
    except UnicodeDecodeError as error:
        raise PlaybookError(f"playbook {path}: is not a UTF-8 text file (byte {error.start})") from error
    return parse(text, source=str(path))


def parse(text: str, source: str = "playbook") -> Playbook:
    """A playbook from TOML text; ``source`` names it in errors.

    Raises
    ------
    PlaybookError
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlaybookError(f"playbook {source}: is not valid TOML: {error}") from error
    try:
        return Playbook.model_validate(content)
    except ValidationError as error:
        raise PlaybookError(f"playbook {source}: " + sentences(error)) from error


def shipped() -> dict[str, Path]:
    """The playbooks that come with the product, by name."""
    return {p.stem: p for p in sorted(shipped_directory("playbooks").glob("*.toml"))}


def shipped_directory(name: str) -> Path:
    """Where shipped files lie: ``data/<name>`` of a checkout, or the copy inside an installed wheel."""
    checkout = Path(__file__).resolve().parents[2] / "data" / name
    return checkout if checkout.is_dir() else Path(__file__).resolve().parent / "_data" / name


def sentences(error: ValidationError) -> str:
    """What a failed validation found, in words: where, what was expected, what was found."""
    return "; ".join(_sentence(e) for e in error.errors())


def _sentence(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    kind = error["type"]
    if kind == "missing":
        return f"{where}: is missing"
    if kind == "extra_forbidden":
        return f"{where}: is not a setting that is known here (misspelt?)"
    if kind == "value_error":
        return f"{where}: {error['ctx']['error']}".removeprefix(": ")
    message = error["msg"].replace("Input should be", "expected", 1)
    return f"{where}: {message}, found {error['input']!r}"
