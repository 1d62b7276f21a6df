"""The segments of people: what must be learnt of a wave, and each person's value of each segment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from propensity import contract
from propensity.errors import InputError
from propensity.people import Customers, People
from propensity.playbook import TIERS, Playbook
from propensity.playbook.parts import Segments
from propensity.segments.named import BANDS, N_PARTS, RESPONSES, SEGMENTS, SHORT_TENURE_MONTHS, STAGES

_DTYPES = {name: pd.CategoricalDtype(list(segment.values)) for name, segment in SEGMENTS.items()}

Breakpoints = tuple[float, ...] | None
"""The largest value of each part but the last; None where nothing could be learnt, so that everybody is unknown."""


@dataclass(frozen=True)
class SegmentBuilder:
    """Builds the segments.

    Attributes
    ----------
    columns : Segments
        Columns of the customers table that segments are made from. One that is absent is missing for everybody.
    tier_minimums_currency : dict
        Least yearly value of each of the playbook's tiers.
    cooling_off_days, horizon_days : float
        The playbook's program.
    ignored_touches : int
        Touches without any response from which on engagement is low.
    breakpoints : dict
        Where the parts of each measure of `N_PARTS` end.
    """

    columns: Segments
    tier_minimums_currency: dict[str, float]
    cooling_off_days: float
    horizon_days: float
    ignored_touches: int
    breakpoints: dict[str, Breakpoints]

    @classmethod
    def fit(cls, customers: pd.DataFrame, at: pd.Timestamp | pd.Series, playbook: Playbook) -> SegmentBuilder:
        """Learn where fifths and thirds end.

        Parameters
        ----------
        customers : DataFrame (n, ...)
            A checked customers table or training frame; n is at least 1.
        at : Timestamp or Series (n,)
            When the decision is (or was) taken, aware.
        playbook : Playbook

        Raises
        ------
        InputError
            There is nobody, or somebody lacks a time.
        """
        if customers.empty:
            raise InputError("customers: expected at least one person to learn segments from, found none")
        found = cls._by_rules(playbook, dict.fromkeys(N_PARTS)).of(customers, at)
        return cls._by_rules(
            playbook, {name: _ends_of_parts(found.measure(name), n_parts) for name, n_parts in N_PARTS.items()}
        )

    @classmethod
    def _by_rules(cls, playbook: Playbook, breakpoints: dict[str, Breakpoints]) -> SegmentBuilder:
        return cls(
            columns=playbook.segments,
            tier_minimums_currency={name: tier.min_annual_value_currency for name, tier in playbook.tiers.items()},
            cooling_off_days=playbook.program.cooling_off_days,
            horizon_days=playbook.program.horizon_days,
            ignored_touches=playbook.contact.rest_after_ignored,
            breakpoints=breakpoints,
        )

    def under(self, playbook: Playbook) -> SegmentBuilder:
        """The same fifths and thirds with the tiers and times of another playbook, which names the same columns."""
        return self._by_rules(playbook, self.breakpoints)

    def transform(
        self, customers: pd.DataFrame, at: pd.Timestamp | pd.Series, responses: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        """The segments of each person.

        Parameters
        ----------
        customers : DataFrame (n, ...)
            A checked customers table or training frame.
        at : Timestamp or Series (n,)
            When the decision is (or was) taken, aware; a Series has the index of ``customers``.
        responses : DataFrame, optional
            Indexed by customer id: counts of `RESPONSES` before ``at``. Who is not in it had no touch.

        Returns
        -------
        DataFrame (n, segments)
            Categorical columns, those of `SEGMENTS` with their values as categories; the index of ``customers``.

        Raises
        ------
        InputError
            Somebody lacks a time, or ``responses`` lacks a column or names a customer twice.

        Notes
        -----
        Engagement is the third of activity. A click makes it high; an open makes it middle at least, and no more,
        because mail programs open messages by themselves; touches that brought neither make it low.
        """
        found = self.of(customers, at, responses)
        return found.frame()

    def of(
        self, customers: Customers, at: pd.Timestamp | pd.Series, responses: pd.DataFrame | None = None
    ) -> Segmented:
        """The segments of each person, worked out one by one as they are asked for; see `transform`."""
        return Segmented(self, People.of(customers), at, responses)

    @property
    def cuts(self) -> dict[str, str]:
        """Which segment says of each column, and of `days_since_churn`, what the program makes of it."""
        return {
            "reason": "reason_for_churn",
            "relationship": "relationship",
            "days_since_churn": "time_since_churn",
            self.columns.value: "value_tier" if self.tier_minimums_currency else "monetary",
            self.columns.orders: "frequency",
            self.columns.activity: "engagement",
            self.columns.tenure_months: "tenure",
        }

    def to_state(self) -> dict[str, Any]:
        """As JSON-ready values."""
        ends = {name: None if ends is None else list(ends) for name, ends in self.breakpoints.items()}
        return asdict(self) | {"columns": self.columns.model_dump(), "breakpoints": ends}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> SegmentBuilder:
        """The builder that `to_state` described."""
        ends = {name: None if ends is None else tuple(ends) for name, ends in state["breakpoints"].items()}
        return cls(**state | {"columns": Segments(**state["columns"]), "breakpoints": ends})


class Segmented:
    """The segments of some people, each worked out when it is asked for; see `SegmentBuilder.transform`."""

    def __init__(
        self,
        builder: SegmentBuilder,
        people: People,
        at: pd.Timestamp | pd.Series,
        responses: pd.DataFrame | None = None,
    ) -> None:
        self.builder = builder
        self.people = people
        self.at = at
        self.responses = responses
        self._codes: dict[str, np.ndarray] = {}

    def __contains__(self, name: object) -> bool:
        return name in SEGMENTS

    @property
    def index(self) -> pd.Index:
        """Of the people."""
        return self.people.index

    def possible(self, name: str) -> Sequence[str]:
        """The values that a segment can have."""
        return SEGMENTS[name].values

    def texts(self, name: str) -> np.ndarray:
        """The value (n,) of a segment."""
        return _VALUES[name][self.codes(name)]

    def codes(self, name: str) -> np.ndarray:
        """Position (n,) of each person's value among those of a segment."""
        if name not in self._codes:
            found = _FOUND_BY[name](self)
            unknown = len(SEGMENTS[name].values) - 1
            self._codes[name] = np.where(found < 0, unknown, found).astype(np.int16)
        return self._codes[name]

    def categorical(self, name: str) -> pd.Categorical:
        """A segment as a column."""
        return pd.Categorical.from_codes(self.codes(name), dtype=_DTYPES[name])

    def frame(self) -> pd.DataFrame:
        """All segments, DataFrame (n, segments)."""
        return pd.DataFrame({name: self.categorical(name) for name in SEGMENTS}, index=self.index)

    @cached_property
    def days(self) -> np.ndarray:
        """Days since churn (n,), of everybody."""
        if isinstance(self.at, pd.Series) and not self.at.index.equals(self.index):
            raise InputError("at: expected one time, or times with the index of the customers, found another index")
        days = self.people.days_since_churn(self.at)
        missing = int(np.isnan(days).sum())
        if missing:
            raise InputError(f"at: expected a time for everybody, found {missing:,} people without")
        return days

    def measure(self, name: str) -> np.ndarray:
        """What is cut into parts (n,): more is better, missing is NaN."""
        if name == "recency":
            return -self.days
        columns = self.builder.columns
        own = {"frequency": columns.orders, "monetary": columns.value, "activity": columns.activity}
        return self.people.numbers(own[name])

    def part(self, name: str) -> np.ndarray:
        """Part (n,) of a measure in which each person lies; -1 where it is missing."""
        return _part(self.measure(name), self.builder.breakpoints[name])

    def choices(self, name: str, choices: Mapping[str, int]) -> np.ndarray:
        """Position (n,) of each value of a column among choices; -1 where it is missing."""
        coded = self.people.coded(name)
        if coded is None:
            return np.array([choices.get(text, -1) for text in self.people.texts(name).tolist()], dtype=np.intp)
        codes, texts = coded
        return np.array([*(choices.get(text, -1) for text in texts), -1], dtype=np.int16)[codes]

    def _has_text(self, name: str) -> np.ndarray:
        coded = self.people.coded(name)
        if coded is None:
            return self.people.texts(name) != None  # noqa: E711 - element by element
        codes, texts = coded
        return np.append(texts != None, False)[codes]  # noqa: E711 - element by element

    def rfm(self) -> np.ndarray:
        """Position (n,) of the three scores side by side; -1 where one is unknown."""
        recency, frequency, monetary = (self.part(name) for name in ("recency", "frequency", "monetary"))
        return np.where((frequency >= 0) & (monetary >= 0), recency * 25 + frequency * 5 + monetary, -1)

    def value_tier(self) -> np.ndarray:
        """Position (n,) of the tier."""
        value, least = self.measure("monetary"), self.builder.tier_minimums_currency
        tiers = [name for name in TIERS if name in least]
        reached = {name: value >= least[name] for name in tiers}
        return _first_of("value_tier", reached | {"mass": ~np.isnan(value) & bool(tiers)})

    def competitive_status(self) -> np.ndarray:
        """Position (n,) of whether they went to a competitor."""
        reason = self.choices("reason", _REASONS)
        cases = {
            "named_competitor": self._has_text("competitor"),
            # said by the reason that they gave; an empty field alone says nothing: many were never asked
            "no_competitor": (reason >= 0) & (reason != _REASONS["competitive_switch"]),
        }
        return _first_of("competitive_status", cases)

    def tenure(self) -> np.ndarray:
        """Position (n,) of how long they paid."""
        columns, value = self.builder.columns, self.measure("monetary")
        tenure_months = self.people.numbers(columns.tenure_months)
        cases = {
            # whether somebody only tried is asked where there are trials: not known means no
            "trial_canceller": self.people.flags(columns.trial_canceller),
            "free_and_inactive": value == 0,
            "paid_under_6_months": (value > 0) & (tenure_months < SHORT_TENURE_MONTHS),
            "paid_over_6_months": (value > 0) & (tenure_months >= SHORT_TENURE_MONTHS),
        }
        return _first_of("tenure", cases)

    def lifecycle_stage(self) -> np.ndarray:
        """Position (n,) of where in the program's time they stand."""
        stages, days = SEGMENTS["lifecycle_stage"].values, self.days
        # the same bounds as those by which people are eligible
        codes = np.where(
            days > self.builder.horizon_days, stages.index("gone"), stages.index("fresh") + _span(STAGES, days)
        )
        return np.where(days < self.builder.cooling_off_days, stages.index("cooling_off"), codes)

    def engagement(self) -> np.ndarray:
        """The third of activity (n,), corrected by what people did since."""
        level = self.part("activity")
        if self.responses is None:
            return level
        touches, opened, clicked = _counts(self.people.table, self.responses)
        low, middle, high = range(3)
        cases = [clicked > 0, opened > 0, touches >= self.builder.ignored_touches]
        return np.select(cases, [np.full_like(level, high), np.maximum(level, middle), np.full_like(level, low)], level)


_REASONS = {reason: position for position, reason in enumerate(contract.REASONS)}
_RELATIONSHIPS = {relationship: position for position, relationship in enumerate(contract.RELATIONSHIPS)}
_VALUES = {name: np.array(segment.values, dtype=object) for name, segment in SEGMENTS.items()}
_FOUND_BY: dict[str, Callable[[Segmented], np.ndarray]] = {
    "reason_for_churn": lambda found: found.choices("reason", _REASONS),
    "time_since_churn": lambda found: _span(BANDS, found.days),
    "value_tier": Segmented.value_tier,
    "competitive_status": Segmented.competitive_status,
    "relationship": lambda found: found.choices("relationship", _RELATIONSHIPS),
    "recency": lambda found: found.part("recency"),
    "frequency": lambda found: found.part("frequency"),
    "monetary": lambda found: found.part("monetary"),
    "rfm": Segmented.rfm,
    "tenure": Segmented.tenure,
    "lifecycle_stage": Segmented.lifecycle_stage,
    "engagement": Segmented.engagement,
}


def telling_segments(segments: pd.DataFrame) -> list[str]:
    """Segments that part these people: those with two values or more, `rfm` apart, whose three scores stand alone."""
    return [str(name) for name in segments if name != "rfm" and segments[name].nunique() > 1]


def segment_counts(segments: pd.DataFrame) -> pd.DataFrame:
    """How many people have each value of each segment.

    Parameters
    ----------
    segments : DataFrame (n, segments)
        Categorical columns, as `SegmentBuilder.transform` makes them.

    Returns
    -------
    DataFrame
        One row a value, in order, also of values that nobody has: ``segment``, ``value``, ``people`` and their
        ``share`` of all n.
    """
    counts = {name: segments[name].value_counts(sort=False).rename("people") for name in segments}
    table = pd.concat(counts, names=["segment", "value"]).reset_index()
    return table.assign(share=table["people"] / len(segments))


def _ends_of_parts(values: np.ndarray, n_parts: int) -> Breakpoints:
    """The largest value of each part but the last."""
    ordered = np.sort(values[np.isfinite(values)])
    if not len(ordered):
        return None
    return tuple(float(ordered[-(-len(ordered) * part // n_parts) - 1]) for part in range(1, n_parts))


def _part(values: np.ndarray, ends: Breakpoints) -> np.ndarray:
    """Part (n,) in which each value lies, counted from 0; -1 where it is missing.

    A value that fills several parts, because many people share it, counts as the middle one of them.
    """
    if ends is None:
        return np.full(len(values), -1)
    n_below = np.searchsorted(ends, values, side="left")
    n_reached = np.searchsorted(ends, values, side="right")
    return np.where(np.isnan(values), -1, (n_below + n_reached) // 2)


def _span(first_days: dict[str, float], days: np.ndarray) -> np.ndarray:
    """Position (n,) of the band or stage in which each number of days lies."""
    return np.searchsorted(list(first_days.values()), days, side="right") - 1


def _first_of(name: str, cases: dict[str, np.ndarray]) -> np.ndarray:
    """Position (n,) in a segment's values of the first case that holds; -1 where none does."""
    positions = [SEGMENTS[name].values.index(value) for value in cases]
    return np.select(list(cases.values()), positions, default=-1)


def _counts(customers: pd.DataFrame, responses: pd.DataFrame) -> list[np.ndarray]:
    """The counts of `RESPONSES`, each (n,); 0 for those who are not in the table."""
    if not set(RESPONSES) <= set(responses):
        raise InputError(f"responses: expected columns {', '.join(RESPONSES)}, found {list(responses)}")
    if "customer_id" in responses or not responses.index.is_unique:
        raise InputError("responses: expected one row a customer, customer_id being the index, found otherwise")
    counts = responses.reindex(customers["customer_id"])
    return [counts[name].fillna(0).to_numpy(dtype=float) for name in RESPONSES]
