"""Segments: named columns that say of each person which cell of a program they are in.

Features, conditions of the playbook and summaries share them. A person has exactly one value of each segment. What must
be learnt from a wave (the fifths of scores, the thirds of activity) is learnt once by `SegmentBuilder.fit`, so that a
person's segments do not depend on who else is in a later wave.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from propensity import contract
from propensity.errors import InputError
from propensity.people import Customers, People
from propensity.playbook import TIERS, Condition, Playbook
from propensity.playbook.parts import Segments

UNKNOWN = "unknown"
"""The value of those of whom too little is known; it stands last."""

SCORES = ("1", "2", "3", "4", "5")
RFM = tuple("".join(scores) for scores in itertools.product(SCORES, repeat=3))
RESPONSES = ("touches", "opened", "clicked")
"""Columns of ``responses``: contacts with a person since they left, and how many they opened and clicked."""

# First day since churn of each band and stage. Field guide; a year is 365 days and 18 months are 548, as in playbooks.
# 90 to 120 days are no band of their own: they are a touch inside the peak, not another time.
BANDS = {
    "under_30_days": -np.inf,
    "30_to_60_days": 30.0,
    "60_to_180_days": 60.0,
    "6_to_12_months": 180.0,
    "12_to_18_months": 365.0,
    "over_18_months": 548.0,
}
STAGES = {"fresh": -np.inf, "peak": 60.0, "fading": 180.0, "long_tail": 365.0}
SHORT_TENURE_MONTHS = 6.0
TENURES = ("trial_canceller", "paid_under_6_months", "paid_over_6_months", "free_and_inactive")
N_PARTS = {"recency": 5, "frequency": 5, "monetary": 5, "activity": 3}
"""Into how many parts of equally many people each measure is cut."""


@dataclass(frozen=True)
class Segment:
    """A named column: what it says in one sentence, and the values it can have, in their order."""

    name: str
    description: str
    values: tuple[str, ...]


SEGMENTS: dict[str, Segment] = {
    segment.name: segment
    for segment in (
        Segment("reason_for_churn", "The reason that they gave for leaving.", (*contract.REASONS, UNKNOWN)),
        Segment("time_since_churn", "How long ago they left.", tuple(BANDS)),
        Segment("value_tier", "The playbook's tier of their yearly value; mass is all the rest.", (*TIERS, UNKNOWN)),
        Segment(
            "competitive_status", "Whether they went to a competitor.", ("named_competitor", "no_competitor", UNKNOWN)
        ),
        Segment("relationship", "How they parted.", (*contract.RELATIONSHIPS, UNKNOWN)),
        Segment("recency", "In which fifth they are by how lately they left; 5 is the latest.", SCORES),
        Segment("frequency", "In which fifth they are by how often they ordered; 5 is the most.", (*SCORES, UNKNOWN)),
        Segment("monetary", "In which fifth they are by yearly value; 5 is the highest.", (*SCORES, UNKNOWN)),
        Segment("rfm", "Scores of recency, frequency and monetary value side by side; 555 is best.", (*RFM, UNKNOWN)),
        Segment("tenure", "How long they paid before they left, or that they never did.", (*TENURES, UNKNOWN)),
        Segment("lifecycle_stage", "Where in the program's time they stand.", ("cooling_off", *STAGES, "gone")),
        Segment(
            "engagement",
            "How likely they are to take notice, by activity before leaving and by what they opened and clicked since.",
            ("low", "middle", "high", UNKNOWN),
        ),
    )
}

MADE_FROM = {
    "value_tier": ("value",),
    "frequency": ("orders",),
    "monetary": ("value",),
    "rfm": ("orders", "value"),
    "tenure": ("value", "tenure_months"),
    "engagement": ("activity",),
}
"""Columns, by their names in the playbook's [segments], without which a segment is unknown for everybody."""
TELL_THE_REASON = ("reason_for_churn", "competitive_status")
"""Segments that are made from the stated reason."""

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
            self._codes[name] = np.where(found < 0, unknown, found).astype(np.int64)
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
        return np.array([choices.get(text, -1) for text in self.people.texts(name).tolist()], dtype=np.intp)

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
            "named_competitor": self.people.texts("competitor") != None,  # noqa: E711 - element by element
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


class _Framed:
    """Segments of a DataFrame, asked as `Segmented` is."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        self.index = frame.index

    def __contains__(self, name: object) -> bool:
        return name in self.frame

    def possible(self, name: str) -> Sequence[str]:
        return list(self.frame[name].cat.categories)

    def texts(self, name: str) -> np.ndarray:
        return self.frame[name].to_numpy(dtype=object)


AnySegments = pd.DataFrame | Segmented


def segment_texts(segments: AnySegments, name: str) -> np.ndarray:
    """The value (n,) of a segment."""
    return _asked(segments).texts(name)


def _asked(segments: AnySegments) -> Segmented | _Framed:
    return _Framed(segments) if isinstance(segments, pd.DataFrame) else segments


def meets(condition: Condition, customers: Customers, segments: AnySegments) -> np.ndarray:
    """Who meets a condition of the playbook.

    Parameters
    ----------
    condition : dict of str to tuple of str
        Columns and the values of which one must hold; all columns must agree. A column is looked for among the
        segments first, then in the customers table. Without any column everybody meets it.
    customers : DataFrame (n, ...)
        A checked customers table.
    segments : DataFrame (n, segments)
        Categorical columns with the index of ``customers``, as `SegmentBuilder.transform` makes them.

    Returns
    -------
    array (n,) of bool
        Values are compared as texts: flags are ``true`` and ``false``, whole numbers have no decimal point. A missing
        value never meets a condition; ``unknown`` is a value like any other.

    Raises
    ------
    InputError
        A column is in neither table, or a value is one that the column cannot have.
    """
    people, found = People.of(customers), _asked(segments)
    if found.index is not people.index and not found.index.equals(people.index):
        raise InputError("segments: expected the index of the customers, found another one")
    met = np.ones(len(people), dtype=bool)
    for name, wanted in condition.items():
        _check_condition(name, wanted, people, found)
        values = found.texts(name) if name in found else people.written(name)
        met &= np.array([value in wanted for value in values.tolist()], dtype=bool)
    return met


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


def _check_condition(name: str, wanted: Sequence[str], people: People, segments: Segmented | _Framed) -> None:
    possible: Sequence[str] | None = None
    if name in segments:
        possible = segments.possible(name)
    else:
        own = next((column for column in contract.CUSTOMERS if column.name == name), None)
        if name not in people and own is None:
            near = contract.close_name(name, [*SEGMENTS, *people.table])
            hint = f" (did it mean {near!r}?)" if near else ""
            raise InputError(
                f"{_words(name, wanted)}: expected a segment or a column of the customers table, found no {name!r}"
                f"{hint}"
            )
        possible = own.choices if own else None
        if name.startswith(contract.CONSENT_PREFIX) or (own and own.kind == "flag"):
            possible = ("true", "false")
    for value in wanted:
        if possible is not None and value not in possible:
            shown = ", ".join(possible[:9]) + (", …" if len(possible) > 9 else "")
            raise InputError(f"{_words(name, wanted)}: expected values among {shown}, found {value!r}")


def _words(name: str, wanted: Sequence[str]) -> str:
    return f"condition {name} = {', '.join(wanted)}"
