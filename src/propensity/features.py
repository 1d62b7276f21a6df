"""From customers to the matrix that models see.

Categoricals stay categorical, with the categories seen in training; an unseen category and a missing value are both
missing, which the models allow. A feature is a column of the customers table, derived from its times, or one of the
segments that conditions of the playbook and summaries use too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from propensity.contract import CONSENT_PREFIX, CUSTOMERS, TEXT, Column, as_text
from propensity.errors import InputError
from propensity.people import Customers, People
from propensity.playbook import Playbook, derived
from propensity.segments import MADE_FROM, SEGMENTS, TELL_THE_REASON, SegmentBuilder

DERIVED: dict[str, Callable[[People, Any], np.ndarray]] = {"days_since_churn": People.days_since_churn}
"""Features that are computed from the contract's own columns and the time of the decision."""
Columns = Mapping[str, Any]
"""Features by name: arrays (n,) of float64, and categoricals (n,)."""
SEGMENT_FEATURES = tuple(name for name in SEGMENTS if name not in {column.name for column in CUSTOMERS})
"""Segments that a playbook may name among its categorical features; a column of the contract comes first."""


def days_since_churn(customers: pd.DataFrame, at: pd.Series | pd.Timestamp) -> pd.Series:
    """Days from ``churned_at`` to ``at``, a float Series (n,)."""
    return pd.Series(People(customers).days_since_churn(at), index=customers.index)


@derived
def required_columns(playbook: Playbook) -> list[Column]:
    """The columns that a customers table needs beyond the contract for this playbook: features and consents."""
    own = {column.name for column in CUSTOMERS}
    numeric = [name for name in playbook.features.numeric if name not in own and name not in DERIVED]
    segments = [name for name in playbook.features.categorical if name in SEGMENT_FEATURES]
    categorical = [name for name in playbook.features.categorical if name not in {*own, *segments}]
    made_from = {getattr(playbook.segments, part): None for name in segments for part in MADE_FROM.get(name, ())}
    numeric += [name for name in made_from if name not in {*own, *numeric}]
    return (
        [Column(name, "number", "feature", nullable=True) for name in numeric]
        + [Column(name, "text", "feature", nullable=True) for name in categorical]
        + [
            Column(CONSENT_PREFIX + channel, "flag", "consent for this channel", nullable=True)
            for channel in playbook.consent_channels
        ]
    )


@dataclass(frozen=True)
class FeatureBuilder:
    """Builds the model matrix.

    Attributes
    ----------
    numeric : tuple of str
    categories : dict
        Category labels of each categorical feature, as seen in training, sorted; of a segment, in its order.
    segments : SegmentBuilder or None
        Learnt in training, where a feature is a segment.
    """

    numeric: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]
    segments: SegmentBuilder | None = None

    @classmethod
    def fit(cls, customers: pd.DataFrame, playbook: Playbook) -> FeatureBuilder:
        """Learn the categories of the playbook's categorical features, and where their segments end.

        Parameters
        ----------
        customers : DataFrame (n, ...)
            A training frame; without segments among the features a checked customers table will do.
        playbook : Playbook

        Raises
        ------
        InputError
            A feature is a segment, and ``customers`` do not say when was decided.
        """
        named = [name for name in playbook.features.categorical if name in SEGMENT_FEATURES]
        segments, values = None, pd.DataFrame(index=customers.index)
        if named:
            if "decided_at" not in customers:
                raise InputError(f"customers: expected decided_at, which segments ({', '.join(named)}) count days to")
            segments = SegmentBuilder.fit(customers, customers["decided_at"], playbook)
            values = segments.transform(customers, customers["decided_at"])
        categories = {}
        for name in playbook.features.categorical:
            if name in named:
                categories[name] = tuple(v for v in SEGMENTS[name].values if (values[name] == v).any())
            elif name in customers:
                categories[name] = tuple(sorted(as_text(customers[name]).dropna().unique()))
        numeric = tuple(n for n in playbook.features.numeric if n in customers or n in DERIVED)
        return cls(numeric, categories, segments)

    def transform(self, customers: pd.DataFrame, at: pd.Series | pd.Timestamp) -> pd.DataFrame:
        """The model matrix.

        Parameters
        ----------
        customers : DataFrame (n, ...)
            A checked customers table or training frame.
        at : Series (n,) or Timestamp
            When the decision is (or was) taken.

        Returns
        -------
        DataFrame (n, n features)
            float64 and category columns; the index of ``customers``. Columns that ``customers`` lacks are missing.
        """
        return pd.DataFrame(self.columns(customers, at), index=customers.index)

    def values(self, customers: pd.DataFrame, at: pd.Series | pd.Timestamp) -> pd.DataFrame:
        """What `transform` starts from (n, n features): categories that training did not see are still there."""
        people = People.of(customers)
        found = self._numbers(people, at)
        segments = None if self.segments is None else self.segments.of(people, at)
        for name in self.categories:
            if segments is not None and name in SEGMENT_FEATURES:
                found[name] = segments.categorical(name)
            else:
                found[name] = pd.array(people.texts(name), dtype=TEXT)
        return pd.DataFrame(found, index=customers.index)

    def columns(self, customers: Customers, at: pd.Series | pd.Timestamp) -> dict[str, Any]:
        """The columns of the model matrix; see `transform`."""
        people = People.of(customers)
        found = self._numbers(people, at)
        segments = None if self.segments is None else self.segments.of(people, at)
        for name, kind in self._kinds.items():
            if segments is not None and name in SEGMENT_FEATURES:
                found[name] = segments.categorical(name).set_categories(kind.categories)
                continue
            # the same texts as in training: a flag or a number would match no category
            positions, texts = self._positions[name], people.texts(name).tolist()
            codes = np.array([positions.get(text, -1) for text in texts], dtype=np.int64)
            found[name] = pd.Categorical.from_codes(codes, dtype=kind, validate=False)
        return found

    def _numbers(self, people: People, at: pd.Series | pd.Timestamp) -> dict[str, Any]:
        return {name: DERIVED[name](people, at) if name in DERIVED else people.numbers(name) for name in self.numeric}

    @cached_property
    def _kinds(self) -> dict[str, pd.CategoricalDtype]:
        return {name: pd.CategoricalDtype(list(categories)) for name, categories in self.categories.items()}

    @cached_property
    def _positions(self) -> dict[str, dict[Any, int]]:
        return {
            name: {text: position for position, text in enumerate(categories)}
            for name, categories in self.categories.items()
        }

    def to_state(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "numeric": list(self.numeric),
            "categories": {k: list(v) for k, v in self.categories.items()},
            "segments": None if self.segments is None else self.segments.to_state(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> FeatureBuilder:
        """The builder that `to_state` described."""
        segments = SegmentBuilder.from_state(state["segments"]) if state["segments"] else None
        return cls(tuple(state["numeric"]), {k: tuple(v) for k, v in state["categories"].items()}, segments)


def without_reason(features: pd.DataFrame) -> pd.DataFrame:
    """The model matrix (n, d) without the reason for churn, which is told from it, and what is made of the reason."""
    return features.drop(columns=["reason", *TELL_THE_REASON], errors="ignore")
