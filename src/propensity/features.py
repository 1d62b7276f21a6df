"""From customers to the matrix that models see.

Categoricals stay categorical, with the categories seen in training; an unseen category and a missing value are both
missing, which the models allow. A feature is either a column of the customers table or derived from its times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from propensity.contract import CONSENT_PREFIX, CUSTOMERS, Column, as_text
from propensity.playbook import Playbook


def days_since_churn(customers: pd.DataFrame, at: pd.Series | pd.Timestamp) -> pd.Series:
    """Days from ``churned_at`` to ``at``, a float Series (n,)."""
    return (at - customers["churned_at"]).dt.total_seconds() / 86_400


DERIVED: dict[str, Callable[[pd.DataFrame, Any], pd.Series]] = {"days_since_churn": days_since_churn}
"""Features that are computed from the contract's own columns and the time of the decision."""


def required_columns(playbook: Playbook) -> list[Column]:
    """The columns that a customers table needs beyond the contract for this playbook: features and consents."""
    own = {column.name for column in CUSTOMERS}
    numeric = [name for name in playbook.features.numeric if name not in own and name not in DERIVED]
    categorical = [name for name in playbook.features.categorical if name not in own]
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
        Category labels of each categorical feature, as seen in training, sorted.
    """

    numeric: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]

    @classmethod
    def fit(cls, customers: pd.DataFrame, playbook: Playbook) -> FeatureBuilder:
        """Learn the categories of the playbook's categorical features."""
        categories = {
            name: tuple(sorted(as_text(customers[name]).dropna().unique()))
            for name in playbook.features.categorical
            if name in customers
        }
        numeric = tuple(n for n in playbook.features.numeric if n in customers or n in DERIVED)
        return cls(numeric, categories)

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
        columns: dict[str, Any] = {}
        for name in self.numeric:
            if name in DERIVED:
                columns[name] = DERIVED[name](customers, at)
            elif name in customers:
                columns[name] = customers[name].astype("float64")
            else:
                columns[name] = pd.Series(float("nan"), index=customers.index)
        for name, categories in self.categories.items():
            # the same texts as in training: a flag or a number would match no category
            values = as_text(customers[name]) if name in customers else pd.Series(index=customers.index, dtype="str")
            values = values.where(values.isin(list(categories)))
            columns[name] = values.astype(pd.CategoricalDtype(list(categories)))
        return pd.DataFrame(columns, index=customers.index)

    def to_state(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {"numeric": list(self.numeric), "categories": {k: list(v) for k, v in self.categories.items()}}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> FeatureBuilder:
        """The builder that `to_state` described."""
        return cls(tuple(state["numeric"]), {k: tuple(v) for k, v in state["categories"].items()})


def without_reason(features: pd.DataFrame) -> pd.DataFrame:
    """The model matrix (n, d) without the reason for churn, which is told from it."""
    return features.drop(columns="reason", errors="ignore")
