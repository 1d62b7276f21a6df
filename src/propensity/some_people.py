"""Some of the people instead of all, where there are more than memory holds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from propensity import contract
from propensity.policy.draws import uniform_draws

SALT = "people who are read"


def rows_of_some(table: pa.Table, share: float) -> pa.Table:
    """The rows of a share of the people, drawn at random by ``customer_id``; of a smaller share some of the same.

    Parameters
    ----------
    table : Table
        Rows without a value in ``customer_id``, and tables without it, stay for the contract's check to find.
    share : float
        Above 0; with 1 all rows stay.
    """
    if share >= 1 or "customer_id" not in table.column_names:
        return table
    people = contract.as_text(table["customer_id"].to_pandas())
    stays = people.isna().to_numpy(copy=True)
    stays[~stays] = uniform_draws(people[~stays], SALT) < share
    return table.filter(pa.array(np.asarray(stays, dtype=bool)))


def told_of_some(origin: str, share: float) -> str:
    """Where data came from, with the share of the people that was read."""
    return origin if share >= 1 else f"{origin}, {100 * share:.3g} % of the people, at random"
