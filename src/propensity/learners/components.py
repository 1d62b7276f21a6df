"""Actions as sums of parts: what all contact has in common, and what an archetype, a channel or an offer adds."""

from __future__ import annotations

import numpy as np

from propensity.learners._typing import Matrix


def action_components(factors: Matrix, n_actions: int) -> Matrix:
    """Which parts each action is made of, (n actions, n parts) of 0 and 1; control (row 0) has none.

    The first part is contact itself. The others are the levels of the factors (codes from `factor_codes`), or, without
    factors, the actions themselves.
    """
    contact = np.r_[0.0, np.ones(n_actions - 1)][:, None]
    if n_actions == 2:
        return contact
    if factors.shape[1] == 0:
        return np.hstack([contact, np.eye(n_actions)[:, 1:]])
    levels = [(codes[:, None] == np.unique(codes[1:])).astype(float) for codes in factors.T]
    return np.hstack([contact, *levels])


def sum_of_parts(parts: Matrix, components: Matrix) -> Matrix:
    """Effects (n, actions) from those of the parts (n, parts), with ``components`` (actions, parts) of 0 and 1.

    To the last digit the same for one row as among many, which a product of matrices is not.
    """
    effects = np.zeros((len(parts), len(components)))
    for part, has_it in zip(parts.T, components.T > 0, strict=True):
        effects[:, has_it] += part[:, None]
    return effects


def row_products(rows: Matrix, table: Matrix) -> Matrix:
    """The product of rows (n, p) with each row of a table (k, p), (n, k); for one row the same as among many."""
    return np.column_stack([(rows * each).sum(axis=1) for each in table])
