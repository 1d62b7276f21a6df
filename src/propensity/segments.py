"""Segments: named columns that say of each person which cell of a program they are in.

Features, conditions of the playbook and summaries share them. A person has exactly one value of each segment. What must
be learnt from a wave (the fifths of scores, the thirds of activity) is learnt once by `SegmentBuilder.fit`, so that a
person's segments do not depend on who else is in a later wave.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from propensity import contract
from propensity.errors import InputError
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


def days_since_churn(customers: pd.DataFrame, at: pd.Series | pd.Timestamp) -> pd.Series:
    """Days from ``churned_at`` to ``at``, a float Series (n,)."""
    return (at - customers["churned_at"]).dt.total_seconds() / 86_400


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
        measures = _measures(customers, _days(customers, at), playbook.segments)
        return cls._by_rules(
            playbook, {name: _ends_of_parts(measures[name], n_parts) for name, n_parts in N_PARTS.items()}
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
        days = _days(customers, at)
        measures = _measures(customers, days, self.columns)
        part = {name: _part(measures[name], ends) for name, ends in self.breakpoints.items()}
        recency, frequency, monetary = (part[name] for name in ("recency", "frequency", "monetary"))
        reason = _choices(customers, "reason", contract.REASONS)
        codes = {
            "reason_for_churn": reason,
            "time_since_churn": _span(BANDS, days),
            "value_tier": self._value_tier(measures["monetary"]),
            "competitive_status": _competitive_status(customers, reason),
            "relationship": _choices(customers, "relationship", contract.RELATIONSHIPS),
            "recency": recency,
            "frequency": frequency,
            "monetary": monetary,
            "rfm": np.where((frequency >= 0) & (monetary >= 0), recency * 25 + frequency * 5 + monetary, -1),
            "tenure": self._tenure(customers, measures["monetary"]),
            "lifecycle_stage": self._lifecycle_stage(days),
            "engagement": self._engagement(part["activity"], customers, responses),
        }
        columns = {name: _categorical(name, codes[name]) for name in SEGMENTS}
        return pd.DataFrame(columns, index=customers.index)

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

    def _value_tier(self, value: np.ndarray) -> np.ndarray:
        tiers = [name for name in TIERS if name in self.tier_minimums_currency]
        reached = {name: value >= self.tier_minimums_currency[name] for name in tiers}
        return _first_of("value_tier", reached | {"mass": ~np.isnan(value) & bool(tiers)})

    def _tenure(self, customers: pd.DataFrame, value: np.ndarray) -> np.ndarray:
        tenure_months = _numbers(customers, self.columns.tenure_months)
        trial = contract.as_flag(_column(customers, self.columns.trial_canceller))
        cases = {
            # whether somebody only tried is asked where there are trials: not known means no
            "trial_canceller": trial.fillna(False).to_numpy(dtype=bool),
            "free_and_inactive": value == 0,
            "paid_under_6_months": (value > 0) & (tenure_months < SHORT_TENURE_MONTHS),
            "paid_over_6_months": (value > 0) & (tenure_months >= SHORT_TENURE_MONTHS),
        }
        return _first_of("tenure", cases)

    def _lifecycle_stage(self, days: np.ndarray) -> np.ndarray:
        stages = SEGMENTS["lifecycle_stage"].values
        # the same bounds as those by which people are eligible
        codes = np.where(days > self.horizon_days, stages.index("gone"), stages.index("fresh") + _span(STAGES, days))
        return np.where(days < self.cooling_off_days, stages.index("cooling_off"), codes)

    def _engagement(self, level: np.ndarray, customers: pd.DataFrame, responses: pd.DataFrame | None) -> np.ndarray:
        """The third of activity (n,), corrected by what people did since."""
        if responses is None:
            return level
        touches, opened, clicked = _counts(customers, responses)
        low, middle, high = range(3)
        cases = [clicked > 0, opened > 0, touches >= self.ignored_touches]
        return np.select(cases, [np.full_like(level, high), np.maximum(level, middle), np.full_like(level, low)], level)


def meets(condition: Condition, customers: pd.DataFrame, segments: pd.DataFrame) -> np.ndarray:
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
    if not segments.index.equals(customers.index):
        raise InputError("segments: expected the index of the customers, found another one")
    met = np.ones(len(customers), dtype=bool)
    for name, wanted in condition.items():
        _check_condition(name, wanted, customers, segments)
        column = segments[name] if name in segments else _column(customers, name)
        met &= _as_written(column).isin(list(wanted)).to_numpy()
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


def _days(customers: pd.DataFrame, at: pd.Timestamp | pd.Series) -> np.ndarray:
    """Days since churn (n,), of everybody."""
    if isinstance(at, pd.Series) and not at.index.equals(customers.index):
        raise InputError("at: expected one time, or times with the index of the customers, found another index")
    days = days_since_churn(customers, at)
    if days.isna().any():
        raise InputError(f"at: expected a time for everybody, found {int(days.isna().sum()):,} people without")
    return days.to_numpy()


def _column(customers: pd.DataFrame, name: str) -> pd.Series:
    if name in customers:
        return customers[name]
    return pd.Series(np.nan, index=customers.index)


def _numbers(customers: pd.DataFrame, name: str) -> np.ndarray:
    return contract.as_number(_column(customers, name)).to_numpy()


def _measures(customers: pd.DataFrame, days: np.ndarray, columns: Segments) -> dict[str, np.ndarray]:
    """What is cut into parts, each (n,): more is better, missing is NaN."""
    own = {"frequency": columns.orders, "monetary": columns.value, "activity": columns.activity}
    return {"recency": -days} | {name: _numbers(customers, column) for name, column in own.items()}


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


def _choices(customers: pd.DataFrame, name: str, choices: Sequence[str]) -> np.ndarray:
    """Position (n,) of each value among the choices; -1 where it is missing."""
    return pd.Index(choices).get_indexer(pd.Index(contract.as_text(_column(customers, name))))


def _first_of(name: str, cases: dict[str, np.ndarray]) -> np.ndarray:
    """Position (n,) in a segment's values of the first case that holds; -1 where none does."""
    positions = [SEGMENTS[name].values.index(value) for value in cases]
    return np.select(list(cases.values()), positions, default=-1)


def _categorical(name: str, codes: np.ndarray) -> pd.Categorical:
    """A segment from positions (n,) in its values; -1 is unknown."""
    unknown = len(SEGMENTS[name].values) - 1
    return pd.Categorical.from_codes(np.where(codes < 0, unknown, codes).astype(np.int64), dtype=_DTYPES[name])


def _competitive_status(customers: pd.DataFrame, reason: np.ndarray) -> np.ndarray:
    cases = {
        "named_competitor": contract.as_text(_column(customers, "competitor")).notna().to_numpy(),
        # said by the reason that they gave; an empty field alone says nothing: many were never asked
        "no_competitor": (reason >= 0) & (reason != contract.REASONS.index("competitive_switch")),
    }
    return _first_of("competitive_status", cases)


def _counts(customers: pd.DataFrame, responses: pd.DataFrame) -> list[np.ndarray]:
    """The counts of `RESPONSES`, each (n,); 0 for those who are not in the table."""
    if not set(RESPONSES) <= set(responses):
        raise InputError(f"responses: expected columns {', '.join(RESPONSES)}, found {list(responses)}")
    if "customer_id" in responses or not responses.index.is_unique:
        raise InputError("responses: expected one row a customer, customer_id being the index, found otherwise")
    counts = responses.reindex(customers["customer_id"])
    return [counts[name].fillna(0).to_numpy(dtype=float) for name in RESPONSES]


def _check_condition(name: str, wanted: Sequence[str], customers: pd.DataFrame, segments: pd.DataFrame) -> None:
    where = f"condition {name} = {', '.join(wanted)}"
    own = next((column for column in contract.CUSTOMERS if column.name == name), None)
    if name not in segments and name not in customers and own is None:
        near = contract.close_name(name, [*segments, *customers])
        hint = f" (did it mean {near!r}?)" if near else ""
        raise InputError(f"{where}: expected a segment or a column of the customers table, found no {name!r}{hint}")
    possible: Sequence[str] | None = own.choices if own else None
    if name in segments:
        possible = list(segments[name].cat.categories)
    elif name.startswith(contract.CONSENT_PREFIX) or (own and own.kind == "flag"):
        possible = ("true", "false")
    for value in wanted:
        if possible is not None and value not in possible:
            shown = ", ".join(possible[:9]) + (", …" if len(possible) > 9 else "")
            raise InputError(f"{where}: expected values among {shown}, found {value!r}")


def _as_written(values: pd.Series) -> pd.Series:
    """Values as a condition writes them; missing stays missing."""
    if pd.api.types.infer_dtype(values, skipna=True) == "boolean":
        return values.map({True: "true", False: "false"})
    return contract.as_text(values)
